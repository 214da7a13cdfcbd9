"""For all tests with a browser: its windows see this machine only, and tell what they wanted from others."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Request

HERE = ("127.0.0.1", None)  # None: of data, files and empty pages
# Chromium itself finds no other machine, by name or by number. Were each request held until Python had let it pass,
# tests would take minutes longer: JupyterLab asks for hundreds of files, and none of them would be kept.
FLAGS = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


def asked_elsewhere(context: BrowserContext) -> list[str]:
    """The addresses of other machines that a window's pages ask for, in vain: a list that fills."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in HERE:
            asked.append(request.url)

    context.on("request", note)
    return asked
