"""A text that grows before one's eyes: printed on a terminal, one field that is drawn again in a notebook."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

_PAUSE = 0.1  # seconds between two drawings in a notebook
_BOX = ("<div style='white-space:pre-wrap;max-width:70ch;border-left:4px solid #0072B2;padding:.2em .8em'>"
        "<span style='color:#5a5a5a'>{prompt}</span>{text}</div>")


class LiveText:
    """Shows a prompt and what is written after it, while it is written; a context.

    Args:
        prompt: Shown first.

    Lesson 07.
    """

    def __init__(self, prompt: str) -> None:
        self.prompt, self.text = prompt, ""
        self._handle: Any = None
        self._drawn = 0.0

    def __enter__(self) -> LiveText:
        ipython = sys.modules.get("IPython")
        if ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None:
            self._handle = ipython.display.DisplayHandle()
            self._handle.display(self._bundle(), raw=True)
        else:
            self._print(self.prompt)
        return self

    def add(self, piece: str) -> None:
        """Show a further piece."""
        self.text += piece
        if self._handle is None:
            self._print(piece)
        elif time.monotonic() - self._drawn > _PAUSE:
            self._draw()

    def __exit__(self, *error: Any) -> None:
        if self._handle is None:
            self._print("\n")
        else:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        return {"text/html": _BOX.format(prompt=html.escape(self.prompt), text=html.escape(self.text)),
                "text/plain": self.prompt + self.text}

    @staticmethod
    def _print(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
