"""Words and numbers in a picture: how wide they are, where to break them, how to say 11.9 million."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg

_SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Microsoft YaHei", "Yu Gothic", "PingFang SC",
            "Hiragino Sans", "Malgun Gothic", "Noto Sans Devanagari", "Nirmala UI", "Noto Sans Arabic", "Noto Emoji")


def plain() -> dict[str, Any]:
    """Keywords for any text that a user wrote: a dollar sign is no formula, and other scripts find their font."""
    return {"parse_math": False, "fontfamily": fonts()}


@lru_cache(maxsize=1)
def fonts() -> list[str]:
    """DejaVu Sans, which comes with matplotlib, and the fonts for other scripts that this machine has."""
    have = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _SCRIPTS if name in have)]


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
            rows[-1], rest = _cut(word, inches, size, bold)
            words[:0] = [rest] if rest else []
        if lines and len(rows) > lines:
            return "\n".join([*rows[: lines - 1], _shortened(rows[lines - 1], inches, size, bold)])
    return "\n".join(rows)


def clean(text: str) -> str:
    """One line: runs of white space become a blank, what cannot be printed goes, what no font has becomes a box."""
    line = " ".join(str(text).split())
    return "".join(c if c < "\x7f" or _drawable(c) else "□" for c in line if c.isprintable())


@lru_cache(maxsize=4096)
def _drawable(letter: str) -> bool:
    paths = (font_manager.findfont(name) for name in fonts())
    return any(font_manager.get_font(path).get_char_index(ord(letter)) for path in paths)


def _cut(word: str, inches: float, size: float, bold: bool) -> tuple[str, str]:
    """What fits of a word, with a hyphen between letters of European scripts, and the rest."""
    for end in range(len(word) - 1, 1, -1):
        hyphen = "-" if word[end - 1].isalpha() and word[end].isalpha() and word[end] < "\u0600" else ""
        if text_width(word[:end] + hyphen, size, bold) <= inches:
            return word[:end] + hyphen, word[end:]
    return word[:1], word[1:]


def _shortened(row: str, inches: float, size: float, bold: bool) -> str:
    while row and text_width(f"{row}…", size, bold) > inches:
        row = row[:-1]
    return f"{row.rstrip()}…"
