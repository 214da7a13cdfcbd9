"""The live half of a panel: an anywidget that sends its state out and takes commands in. No logic lives here.

The script is made of the files in ftkit/widgets/static, one after another: what is written there is what runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import anywidget
import traitlets

from ftkit.errors import FtkitError
from ftkit.widgets.base import static_files

MOST_PER_SECOND = 5


class Panel(anywidget.AnyWidget):
    """A widget whose trait `state` is what it shows, and whose messages are commands.

    A child names its `scripts` and `styles`; the last script has `export default { render }`. JavaScript sends
    {"cmd": name, "args": {...}}. What `answer(name, args)` returns goes back as {"reply": name, "value": ...}; a
    mistake goes back as {"error": text, "cmd": name}. Messages may arrive in any thread, and `answer` must be quick.

    Args:
        answer: Called with each command.
    """

    scripts: ClassVar[tuple[str, ...]] = ("common.js",)
    styles: ClassVar[tuple[str, ...]] = ("common.css",)

    state = traitlets.Dict().tag(sync=True)
    static_id = traitlets.Unicode().tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if {"scripts", "styles"} & set(cls.__dict__):  # not for the classes that traitlets derives for itself
            cls._esm, cls._css = static_files(*cls.scripts), static_files(*cls.styles)
        super().__init_subclass__(**kwargs)

    def __init__(self, answer: Callable[[str, dict[str, Any]], Any], **traits: Any) -> None:
        super().__init__(**traits)
        self._answer = answer
        self.on_msg(self._on_message)

    def close(self) -> None:
        """Gone from the page; and what answered, with all that it holds, can go from memory at once."""
        super().close()
        self._answer = lambda name, arguments: None

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        name = str(content.get("cmd")) if isinstance(content, dict) else ""
        try:
            value = self._answer(name, dict(content.get("args") or {}))
        except FtkitError as error:
            self.send({"error": str(error), "cmd": name})
        except Exception as error:  # nobody reads the log of a callback: the panel shows it
            self.send({"error": f"{type(error).__name__}: {error}", "cmd": name})
            raise
        else:
            if value is not None:
                self.send({"reply": name, "value": value})


class Throttle:
    """Calls `send` after each `poke`, at most some times a second, and never in the thread that poked.

    The last poke is never lost: what it announced is sent when the pause is over.

    Args:
        send: Called without arguments, one call at a time.
        per_second: The most calls in a second.
    """

    def __init__(self, send: Callable[[], None], per_second: float = MOST_PER_SECOND) -> None:
        self._send, self._pause = send, 1 / per_second
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._waiting, self._last = False, float("-inf")

    def poke(self) -> None:
        """Something has changed."""
        with self._lock:
            if self._waiting:
                return
            self._waiting = True
            pause = max(0.0, self._last + self._pause - time.monotonic())
        timer = threading.Timer(pause, self._fire)
        timer.daemon = True
        timer.start()

    def _fire(self) -> None:
        with self._sending:
            with self._lock:
                self._waiting, self._last = False, time.monotonic()
            self._send()
