"""The live form of the small panels: passes what is pressed on to the panel, and shows the regions that it draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ftkit.errors import FtkitError
from ftkit.widgets.panel import Panel

if TYPE_CHECKING:
    from ftkit.widgets.small_panel import SmallPanel


class SmallView(Panel):
    """One per panel; its page is static/small.js, and what that may ask for is listed in `panel.commands`.

    `state` holds title, regions (HTML by name), say, trouble (whether `say` is about something that went wrong) and
    answered (how many messages were, so that the page knows when the kernel is busy). A file comes as a message's
    buffer and becomes the argument `content`.
    """

    scripts: ClassVar[tuple[str, ...]] = ("common.js", "camera.js", "small.js")
    styles: ClassVar[tuple[str, ...]] = ("common.css", "small.css")

    def __init__(self, panel: SmallPanel) -> None:
        super().__init__(lambda name, arguments: panel.command(name, **arguments))
        self.source, self.answered = panel, 0
        panel.on_change.append(self.refresh)
        self.refresh()

    def close(self) -> None:
        """Gone from the page; the panel, with all that it holds, can then go from memory at once."""
        super().close()
        source = self.__dict__.pop("source", None)
        if source is not None:
            source.on_change.remove(self.refresh)

    def refresh(self, trouble: str = "") -> None:
        """Show the panel as it is now, or what went wrong."""
        self.state = {"title": self.source.title, "regions": self.source.regions(), "trouble": bool(trouble),
                      "say": trouble or self.source.say, "answered": self.answered}

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        """Obey a command of the page. Nobody reads the log of a callback: what goes wrong is shown in the panel."""
        trouble = ""
        try:
            files = {"content": bytes(buffers[0])} if buffers else {}
            self.source.command(str(content["cmd"]), **content.get("args", {}), **files)
        except FtkitError as error:
            trouble = str(error)
        except Exception as error:
            trouble = f"This went wrong: {type(error).__name__}, {error}."
        self.answered += 1
        self.refresh(trouble)
        if not trouble:
            self.source.refresh_static()
