"""For all tests: one thread, because tiny matrices gain nothing from more, and lose much when cores are shared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from windows import FLAGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = ("These tests need a browser: no 'chromium' was found. On Debian or Ubuntu: apt-get install chromium. "
               "Elsewhere put Chromium or Chrome on PATH under that name.")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; training honours it too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lessons first: they take minutes each, and with two workers the other one has all else to do meanwhile."""
    items.sort(key=lambda item: "notebooks" not in item.path.parts)


@pytest.fixture(autouse=True)
def _progress_goes_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises that a test answers are not those of whoever runs the tests."""
    monkeypatch.setenv("FTKIT_PROGRESS", str(tmp_path_factory.getbasetemp() / f"progress-{os.getpid()}.json"))



@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium, from the system's packages: one for all, because a process can run Playwright only once."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(NO_CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
