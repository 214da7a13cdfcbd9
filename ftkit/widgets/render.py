"""A snapshot of the playground in its static forms: text, an HTML table, a picture. Pure functions of the snapshot."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ftkit.errors import UserError
from ftkit.widgets.words import Snapshot

if TYPE_CHECKING:
    from ftkit.viz import Picture

VERSION = 1


def render(snapshot: Snapshot) -> Rendered:
    """The static forms of a snapshot.

    Args:
        snapshot: From `Playground.snapshot()`.

    Returns:
        A Rendered: `.text`, `.html`, `.picture`, `.png`. Each is made when it is first asked for.

    Raises:
        UserError: Not a snapshot, or one of another version of ftkit.

    Lesson 04.
    """
    if not isinstance(snapshot, dict) or "groups" not in snapshot:
        raise UserError(f"render draws what Playground.snapshot() returns, not {type(snapshot).__name__}.")
    if snapshot.get("version") != VERSION:
        raise UserError(f"This snapshot has version {snapshot.get('version')!r}; this ftkit draws version {VERSION}. "
                        "Make it anew, or install the ftkit that made it.")
    return Rendered(snapshot)


class Rendered:
    """The forms of one snapshot, which a notebook shows as the best that it can.

    Args:
        snapshot: Must not change afterwards.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def text(self) -> str:
        """For a terminal: an aligned table and what the curves say."""
        from ftkit.widgets.render_text import as_text

        return as_text(self.snapshot)

    @cached_property
    def steady_text(self) -> str:
        """The same without measured times and memory: equal whenever the same run is repeated."""
        from ftkit.widgets.render_text import as_text

        return as_text(self.snapshot, times=False)

    @cached_property
    def html(self) -> str:
        """An accessible table with inline styles only, and the curves as an image with a text alternative."""
        from ftkit.widgets.render_html import as_html

        return as_html(self.snapshot)

    @cached_property
    def picture(self) -> Picture:
        """A matplotlib figure of it all."""
        from ftkit.widgets.render_picture import as_picture

        return as_picture(self.snapshot)

    @property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return self.picture.png()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.steady_text}

    def __repr__(self) -> str:
        return self.steady_text
