"""What the small panels share: commands by name, and regions of HTML.

Python draws and JavaScript shows: such a panel is a few regions of HTML, whose buttons name a command of the panel. The
page sends the command, Python obeys and draws the regions anew. So all of it can be used and tested without a browser.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, ClassVar

from ftkit.errors import UserError, check_name
from ftkit.widgets.base import Shown


class SmallPanel(Shown):
    """The parent of the small panels. A child writes `regions`, `_text` and `_html`, and `_png` if a picture helps.

    Attributes:
        say: One sentence about what happened last; a panel shows it and screen readers speak it.
        on_change: Called after each change, without arguments: an open view draws itself anew.
    """

    title: ClassVar[str] = ""
    commands: ClassVar[tuple[str, ...]] = ()  # what the page may call; nothing else

    def __init__(self) -> None:
        self.say = ""
        self.on_change: list[Callable[[], None]] = []

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Call a method by name, as the page does.

        Raises:
            UserError: An unknown command, or a value that the panel refuses.
        """
        method = getattr(self, check_name("command", name, self.commands))
        try:
            return method(**arguments)
        except TypeError as error:
            raise UserError(f"{name}: {error}.") from error

    def regions(self) -> dict[str, str]:
        """The parts of the panel as HTML, from top to bottom; a view replaces only those that have changed."""
        raise NotImplementedError

    def changed(self, say: str = "") -> None:
        """To be called by each command at its end."""
        self.say = say
        for callback in list(self.on_change):
            callback()

    def static_bundle(self, picture: bool = True) -> dict[str, str]:
        """text/html, text/plain and, where a picture helps, image/png."""
        data = {"text/html": f'<div class="ftkit-static-{self._static_id or "only"}">{self._html()}</div>',
                "text/plain": self._text()}
        if picture and (png := self._png()):
            data["image/png"] = base64.b64encode(png).decode("ascii")
        return data

    def _png(self) -> bytes:
        return b""

    def _make_panel(self) -> Any:
        from ftkit.widgets.small_view import SmallView

        return SmallView(self)

    def __repr__(self) -> str:
        return self._text()
