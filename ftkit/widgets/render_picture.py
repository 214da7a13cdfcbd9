"""The playground as a picture, for what shows no HTML: rows of layer groups, and the curves below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ftkit.viz.style import BLUE, INK, LINES, ORANGE, SMALL, TITLE, WIDTH, WRONG, Picture
from ftkit.viz.words import count, plain, wrap
from ftkit.widgets.render_curves import curves_height, draw_curves, notes
from ftkit.widgets.words import (
    BACKWARD,
    MEASURES,
    Snapshot,
    curve_words,
    facts,
    measure,
    question_words,
    state_words,
    title,
)

LINE, ROW = 0.23, 0.42  # inches: from a line of text to the next; of a layer group
_NAME, _CHIP, _PARAMETERS, _BARS, _FLOW = 0.15, 1.5, 4.1, (4.35, 5.4, 6.45, 7.5), 8.6  # left edges; one right edge
_BAR = 0.85  # inches of the longest bar
_LOOK: dict[str, dict[str, Any]] = {
    "trains": {"facecolor": BLUE, "edgecolor": INK}, "partly": {"facecolor": "#F7D68F", "hatch": "\\\\\\\\",
                                                               "edgecolor": ORANGE},
    "frozen": {"facecolor": "white", "hatch": "////", "edgecolor": LINES}}


def as_picture(snapshot: Snapshot) -> Picture:
    """The whole state; see `render`. Its `alt` says the same in words."""
    question = question_words(snapshot)
    below = notes(snapshot) + ([wrap(question, WIDTH - 0.3, SMALL)] if question else [])
    header = _header(snapshot)
    rows = _rows(snapshot)
    tall = 0.3 + LINE * len(header) + 0.35 + sum(row.height for row in rows) + 0.25
    curves = curves_height(snapshot)
    picture = Picture(tall + curves + LINE * sum(text.count("\n") + 1 for text in below) + 0.15, constrained=False)
    page = _page(picture)
    y = 0.3
    for i, line in enumerate(header):
        _write(page, _NAME, y, line, size=SMALL if i else TITLE, weight="normal" if i else "bold")
        y += LINE + 0.05 * (i == 0)
    _draw_table(page, snapshot, rows, y + 0.25)
    if curves:
        draw_curves(picture, snapshot, top=tall)
    _write_below(page, below, tall + curves + 0.1)
    picture.alt = " ".join([f"{title(snapshot)}.", *(f"{name}: {value}." for name, value in facts(snapshot)),
                            *(_row_words(group) for group in snapshot["groups"]),
                            *map(curve_words, snapshot["curves"]), question]).strip()
    return picture


def curves_picture(snapshot: Snapshot) -> Picture:
    """The curves alone, for the HTML form."""
    picture = Picture(curves_height(snapshot), constrained=False)
    draw_curves(picture, snapshot, top=0.0)
    picture.alt = "Learning curves. " + " ".join(map(curve_words, snapshot["curves"]))
    return picture


@dataclass(frozen=True)
class _Row:
    group: dict[str, Any]
    warnings: list[str]  # wrapped

    @property
    def height(self) -> float:
        return ROW + LINE * sum(text.count("\n") + 1 for text in self.warnings)


def _rows(snapshot: Snapshot) -> list[_Row]:
    return [_Row(group, [wrap(f"Warning! {text}", _FLOW - _CHIP - 0.1, SMALL, bold=True) for text in group["warnings"]])
            for group in snapshot["groups"]]


def _header(snapshot: Snapshot) -> list[str]:
    told = facts(snapshot)
    pairs = [told[i : i + 2] for i in range(0, len(told), 2)]
    lines = ["     ".join(f"{name}: {value}" for name, value in pair) for pair in pairs]
    message = wrap(snapshot["message"], WIDTH - 0.3, SMALL).split("\n") if snapshot["message"] else []
    return [wrap(title(snapshot), WIDTH - 0.3, TITLE, lines=1, bold=True), *lines, *message]


def _page(picture: Picture) -> Axes:
    """Axes over the whole picture whose unit is an inch, with y downwards."""
    page = picture.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, WIDTH), ylim=(picture.get_figheight(), 0))
    return page


def _write(page: Axes, x: float, y: float, text: str, *, size: float = SMALL, color: str = INK, **look: Any) -> None:
    page.text(x, y, text, fontsize=size, color=color, va="baseline", **plain(), **look)


def _write_below(page: Axes, texts: list[str], y: float) -> None:
    for text in texts:
        for line in text.split("\n"):
            y += LINE
            _write(page, _NAME, y, line)


def _draw_table(page: Axes, snapshot: Snapshot, rows: list[_Row], top: float) -> None:
    heads = [(_NAME, "layer group"), (_CHIP, "state"), *zip(_BARS, (name for _, name, _ in MEASURES), strict=True),
             (_FLOW, BACKWARD)]
    for x, name in heads:
        _write(page, x, top - 0.08, name, weight="bold")
    _write(page, _PARAMETERS, top - 0.08, "parameters", weight="bold", ha="right")
    longest = {key: max([group[key] or 0 for group in snapshot["groups"]], default=0) for key, _, _ in MEASURES}
    reached = next((i for i, row in enumerate(rows) if row.group["gradient"] != "none"), len(rows))
    for i, row in enumerate(rows):
        page.plot([_NAME, WIDTH - 0.15], [top, top], color=LINES, linewidth=1.2 if i == 0 else 0.5)
        _draw_row(page, row, top, longest)
        _draw_flow(page, row, top, last=i == reached)
        top += row.height
    page.plot([_NAME, WIDTH - 0.15], [top, top], color=LINES, linewidth=0.5)
    _write(page, _FLOW, top + 0.2, "↑ the loss")


def _draw_row(page: Axes, row: _Row, top: float, longest: dict[str, float]) -> None:
    group, base = row.group, top + 0.22
    _write(page, _NAME, base, wrap(group["name"], _CHIP - _NAME - 0.1, SMALL, lines=1), weight="bold")
    page.add_patch(Rectangle((_CHIP, top + 0.1), 0.3, 0.14, linewidth=0.8, **_LOOK[group["state"]]))
    _write(page, _CHIP + 0.38, base, state_words(group))
    _write(page, _PARAMETERS, base, count(group["parameters"]), ha="right")
    for x, (key, _, _) in zip(_BARS, MEASURES, strict=True):
        _write(page, x, base, measure(group, key))
        if group[key] and longest[key]:
            page.add_patch(Rectangle((x, top + 0.28), max(0.02, _BAR * group[key] / longest[key]), 0.08,
                                     linewidth=0.5, **_LOOK[group["state"]]))
    for i, line in enumerate("\n".join(row.warnings).split("\n") if row.warnings else []):
        _write(page, _CHIP, top + ROW + 0.12 + LINE * i, line, color=WRONG, weight="bold")


def _draw_flow(page: Axes, row: _Row, top: float, last: bool) -> None:
    """Gradients run up: a thick line with a mark where they are stored, a dotted one where they only pass."""
    kind, middle, x = row.group["gradient"], top + 0.19, _FLOW + 0.08
    if kind != "none":
        page.plot([x, x], [top + row.height, middle if last else top], color=BLUE, linewidth=3.2,
                  linestyle="-" if kind == "stored" else (0, (1, 1)), solid_capstyle="butt")
    if kind == "stored":
        page.plot(x, middle, marker="^" if last else "o", markersize=9, color=BLUE, markeredgecolor=INK)
    _write(page, _FLOW + 0.24, top + 0.22, kind)


def _row_words(group: dict[str, Any]) -> str:
    told = ", ".join(f"{name} {measure(group, key)}" for key, name, _ in MEASURES if group[key])
    warned = "".join(f" Warning! {text}." for text in group["warnings"])
    return f"{group['name']}: {state_words(group)}, gradients {group['gradient']}{f', {told}' if told else ''}.{warned}"
