"""For all tests: one thread, because tiny matrices gain nothing from more, and lose much when cores are shared."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; training honours it too


@pytest.fixture(autouse=True)
def _progress_goes_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises that a test answers are not those of whoever runs the tests."""
    monkeypatch.setenv("FTKIT_PROGRESS", str(tmp_path_factory.getbasetemp() / f"progress-{os.getpid()}.json"))

