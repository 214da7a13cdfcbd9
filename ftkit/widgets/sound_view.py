"""The live form of the panels that take or play sounds: a small panel's page, and the microphone."""

from __future__ import annotations

from typing import ClassVar

from ftkit.widgets.small_view import SmallView


class SoundView(SmallView):
    """Like its parent; `<ft-recorder>` in a region becomes a button to record (static/recorder.js)."""

    scripts: ClassVar[tuple[str, ...]] = ("common.js", "camera.js", "recorder.js", "small.js")
    styles: ClassVar[tuple[str, ...]] = ("common.css", "small.css", "sound.css")
