"""How every picture looks, and how it gets into a notebook.

Colour is never the only sign: hatches, markers, line styles and words say the same, so that a picture can be read in
greyscale, by colour-blind people, and from the last row of a class.
"""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ftkit.viz.words import plain, wrap

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # Okabe & Ito 2008
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
WRONG = "#A84300"  # vermillion, dark enough for text on white
INK, LINES, PALE = "#1A1A1A", "#8A8A8A", "#E4E4E4"
TITLE, BODY, SMALL = 14, 12, 11  # points, on a picture 10 inches wide
WIDTH, DPI = 10.0, 100


class RunStyle(NamedTuple):
    """How one run among several is drawn."""

    color: str
    line: Any  # a name or a pattern, as matplotlib takes them
    marker: str
    hatch: str


_COLORS = (BLUE, ORANGE, VERMILLION, SKY, BLACK, GREEN, PURPLE)  # neighbours differ in brightness too
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (12, 2, 4, 2)))
_MARKERS, _HATCHES = "osD^vPX*", ("", "//", "..", "xx", "\\\\", "oo", "--", "++")


def run_style(i: int) -> RunStyle:
    """The style of the i-th run: colour, line, marker and hatch change together, at different paces."""
    return RunStyle(_COLORS[i % len(_COLORS)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)],
                    _HATCHES[i % len(_HATCHES)])


class Picture(Figure):
    """A matplotlib Figure that shows itself in a notebook, with a sentence for those who cannot see it.

    It needs neither pyplot nor a display, so it can be made in any thread. `picture.savefig("a.png")` writes it.

    Args:
        height: Inches; the width is 10.
        constrained: Let matplotlib make room for all labels; False leaves placing to the caller.

    Attributes:
        alt: What the picture shows, in words: its text form, and the alternative text of its image.
    """

    def __init__(self, height: float, constrained: bool = True) -> None:
        layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07) if constrained else None  # inches to the edge
        super().__init__(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout=layout)
        self._agg = FigureCanvasAgg(self)
        self.alt = ""

    def png(self) -> bytes:
        """The picture as a PNG file; its description holds `alt`."""
        file = io.BytesIO()
        self._agg.print_png(file, metadata={"Description": self.alt})  # savefig would obey the user's settings
        return file.getvalue()

    def heading(self, text: str) -> None:
        """A title above everything, wrapped to the width of the picture."""
        self.suptitle(wrap(text, WIDTH - 0.3, TITLE, bold=True), x=0.01, ha="left", fontsize=TITLE, weight="bold",
                      color=INK, **plain())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """For notebooks: the image, the sentence, and the sentence again where nbconvert looks for it."""
        image = base64.b64encode(self.png()).decode("ascii")
        return {"image/png": image, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt or "Picture()"


def tidy(axes: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Our sizes and colours, whatever the user's matplotlib settings are; no frame above and to the right."""
    axes.set_facecolor("white")
    axes.set_title(title, fontsize=BODY, color=INK, loc="left", **plain())
    axes.set_xlabel(x, fontsize=BODY, color=INK)
    axes.set_ylabel(y, fontsize=BODY, color=INK)
    axes.tick_params(labelsize=SMALL, colors=INK, labelcolor=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINES)
    axes.grid(False)
    return axes


def bare(axes: Axes) -> Axes:
    """Axes without frame and ticks."""
    tidy(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    return axes


def mix(color: str, share: float) -> tuple[float, float, float]:
    """White at share 0, the colour at share 1."""
    red, green, blue = (1 - share * (1 - channel) for channel in to_rgb(color))
    return red, green, blue


def ink_on(color: Any) -> str:
    """Black or white, whichever can be read on this colour, printed in colour or in grey."""
    red, green, blue = to_rgb(color)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.46 else "white"
