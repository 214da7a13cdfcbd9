"""How every picture looks, and how it gets into a notebook.

Colour is never the only sign: hatches, markers, line styles and words say the same, so that a picture can be read in
greyscale, by colour-blind people, and from the last row of a class.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any, NamedTuple

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # Okabe & Ito 2008
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
INK, LINES, PALE = "#1A1A1A", "#8A8A8A", "#E4E4E4"
TITLE, BODY, SMALL = 14, 12, 11  # points, on a picture 10 inches wide
WIDTH, DPI = 10.0, 100

_SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Microsoft YaHei", "Yu Gothic", "PingFang SC",
            "Hiragino Sans", "Malgun Gothic", "Noto Sans Devanagari", "Nirmala UI", "Noto Sans Arabic", "Noto Emoji")


class RunStyle(NamedTuple):
    """How one run among several is drawn."""

    color: str
    line: str
    marker: str
    hatch: str


_COLORS = (BLUE, ORANGE, VERMILLION, SKY, BLACK, GREEN, PURPLE)  # neighbours differ in brightness too
_LINES, _MARKERS, _HATCHES = ("-", "--", "-.", ":"), "osD^vPX*", ("", "//", "..", "xx", "\\\\", "oo", "--", "++")


def run_style(i: int) -> RunStyle:
    """The style of the i-th run: colour, line, marker and hatch change together, at different paces."""
    return RunStyle(*(choices[i % len(choices)] for choices in (_COLORS, _LINES, _MARKERS, _HATCHES)))


class Picture(Figure):
    """A matplotlib Figure that shows itself in a notebook, with a sentence for those who cannot see it.

    It needs neither pyplot nor a display, so it can be made in any thread. `picture.savefig("a.png")` writes it.

    Args:
        height: Inches; the width is 10.
        layout: "constrained" keeps labels inside the picture; "none" leaves placing to the caller.

    Attributes:
        alt: What the picture shows, in words: its text form, and the alternative text of its image.
    """

    def __init__(self, height: float, layout: Any = "constrained") -> None:
        super().__init__(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout=layout)
        self._agg = FigureCanvasAgg(self)
        if self.get_layout_engine():
            self.get_layout_engine().set(w_pad=0.07, h_pad=0.07)  # inches to the edge
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


def plain() -> dict[str, Any]:
    """Keywords for any text that a user wrote: a dollar sign is no formula, and other scripts find their font."""
    return {"parse_math": False, "fontfamily": fonts()}


@lru_cache(maxsize=1)
def fonts() -> list[str]:
    """DejaVu Sans, which comes with matplotlib, and the fonts for other scripts that this machine has."""
    have = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _SCRIPTS if name in have)]


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
    """Black or white, whichever can be read on this colour."""
    red, green, blue = to_rgb(color)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"


# --- words and numbers ----------------------------------------------------------------------------------------------


def count(number: int) -> str:
    """11 900 000 as "11.9 M"."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            value = number / size
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"
    return str(number)


def percent(share: float) -> str:
    """0.16 as "16 %"; never "0 %" for a little, nor "100 %" for nearly all."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.001 or value > 99.9:
        return "<0.001 %" if value < 1 else ">99.9 %"
    return f"{value:.1g} %" if value < 0.1 else f"{value:.1f} %" if value < 9.95 or value > 99 else f"{value:.0f} %"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Inches that a line of text takes."""
    font = font_manager.FontProperties(family=fonts(), size=size, weight="bold" if bold else "normal")  # type: ignore[arg-type]
    return float(RendererAgg(1, 1, 72).get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def wrap(text: str, inches: float, size: float, lines: int | None = None, bold: bool = False) -> str:
    """Break a text into lines of this width; a word that is too wide is cut, and "…" stands for lines left out."""
    most = round(inches * 72) * (lines or 50)  # no letter is narrower than a point: longer texts are cut unmeasured
    words = clean(text)[: most + 1].split(" ")
    rows = [""]
    while words:
        word = words.pop(0)
        longer = f"{rows[-1]} {word}".strip()
        if text_width(longer, size, bold) <= inches:
            rows[-1] = longer
        elif rows[-1]:
            rows.append("")
            words.insert(0, word)
        else:
            fits = max(1, next(n for n in range(len(word), -1, -1) if text_width(word[:n], size, bold) <= inches))
            rows[-1] = word[:fits]
            words[:0] = [word[fits:]] if word[fits:] else []
        if lines and len(rows) > lines:
            return "\n".join([*rows[: lines - 1], _shortened(rows[lines - 1], inches, size, bold)])
    return "\n".join(rows)


def clean(text: str) -> str:
    """One line: runs of white space become a blank, and what cannot be printed goes."""
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable())


def _shortened(row: str, inches: float, size: float, bold: bool) -> str:
    while row and text_width(f"{row}…", size, bold) > inches:
        row = row[:-1]
    return f"{row.rstrip()}…"
