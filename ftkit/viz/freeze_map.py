"""The freeze map: which layer group trains in which epoch, before a single step has run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies import Plan, Strategy, make_strategy
from ftkit.viz.style import (
    BLUE,
    BODY,
    INK,
    LINES,
    ORANGE,
    PALE,
    SMALL,
    WIDTH,
    Picture,
    bare,
    count,
    ink_on,
    mix,
    percent,
    plain,
    text_width,
)


@dataclass(frozen=True)
class Cell:
    """One group in one epoch.

    Args:
        share: Of the group's parameters that train, 0 to 1; None if the group has no parameters.
        low: The smallest learning-rate scale of those that train.
        high: The largest.
    """

    share: float | None
    low: float = 0.0
    high: float = 0.0

    @property
    def text(self) -> str:
        """What stands in the cell."""
        if self.share is None:
            return "empty"
        if not self.share:
            return "frozen"
        scale = f"×{self.low:.2g}" + (f"–{self.high:.2g}" if self.high > self.low else "")
        scale = "" if self.low == self.high == 1 else scale
        return " ".join(filter(None, (percent(self.share), scale))) if self.share < 1 else scale or "train"

    @property
    def words(self) -> str:
        """The same for the picture's text form."""
        if not self.share:
            return "without parameters" if self.share is None else "frozen"
        how = "" if self.text == "train" else f" {self.text}".replace(" %", " % of it").replace(" ×", " at ×")
        return f"trains{how}"


def freeze_map(model: Any, strategy: str | Strategy, epochs: int = 3) -> Picture:
    """Draw what a strategy will train, when, and at what share of the learning rate.

    Rows are layer groups with the input at the top; columns are epochs; the bars count each group's parameters.

    Args:
        model: From `load_backbone`, or its LayerMap. It is not changed.
        strategy: Such as "gradual", "last_k:k=2" or GradualUnfreeze(every=1).
        epochs: How many to draw, at least 1.

    Returns:
        A Picture.

    Raises:
        UserError: An unknown strategy, one that this model cannot follow, or a number of epochs below 1.

    Lesson 00.
    """
    layers = model if isinstance(model, LayerMap) else getattr(model, "layers", None)
    if not isinstance(layers, LayerMap):
        raise UserError(f"freeze_map draws a model from load_backbone, not {type(model).__name__}.")
    if not isinstance(epochs, int) or epochs < 1:
        raise UserError(f"epochs must be a whole number of at least 1, not {epochs!r}.")
    chosen = make_strategy(strategy)
    plans = [chosen.plan(layers, epoch) for epoch in range(epochs)]
    grid = [[_cell(layers, list(group.parameters), plan) for plan in plans] for group in layers]
    title = _title(_spoken(strategy, chosen), layers, plans)
    picture = Picture(height=1.55 + 0.34 * max(4, len(layers)))
    picture.heading(title)
    picture.alt = f"{title}. {_in_words(layers.names, grid)}"
    cells, bars = picture.subplots(1, 2, width_ratios=(4, 1), sharey=True)
    _draw_cells(cells, layers.names, grid)
    _draw_bars(bars, [sum(layers.sizes[name] for name in group.parameters) for group in layers])
    _draw_key(picture, list(itertools.chain(*grid)))
    return picture


def _cell(layers: LayerMap, names: Sequence[str], plan: Plan) -> Cell:
    scales = {name: plan[name] for name in names if plan.get(name, 0.0) > 0}
    if not names:
        return Cell(None)
    if not scales:
        return Cell(0.0)
    share = sum(layers.sizes[name] for name in scales) / sum(layers.sizes[name] for name in names)
    return Cell(share, min(scales.values()), max(scales.values()))


def _spoken(strategy: str | Strategy, chosen: Strategy) -> str:
    """ "last_k (k=2)": the name and its own options."""
    name = chosen.name or type(chosen).__name__
    if isinstance(strategy, str):
        options = strategy.partition(":")[2].replace(",", ", ").replace(",  ", ", ")
    else:
        own = [f.name for f in fields(chosen) if f.name not in {g.name for g in fields(Strategy)} | {"scales"}]
        options = ", ".join(f"{key}={getattr(chosen, key)!r}" for key in own)
    return f"{name} ({options})" if options else name


def _title(name: str, layers: LayerMap, plans: Sequence[Plan]) -> str:
    total = sum(layers.sizes.values())
    shares = [percent(sum(layers.sizes[n] for n, scale in plan.items() if scale > 0) / total) for plan in plans]
    first = f"{name}: {shares[0]} of {count(total)} parameters train"
    if len(set(shares)) == 1:
        return f"{first} in every epoch" if len(plans) > 1 else first
    return f"{first} in epoch 1, {shares[-1]} in epoch {len(plans)}"


def _runs(row: Sequence[Cell]) -> list[tuple[Cell, int, int]]:
    """(cell, first epoch, epochs) of each stretch of equal cells, epochs counted from 0."""
    found, start = [], 0
    for cell, same in itertools.groupby(row):
        length = len(list(same))
        found.append((cell, start, length))
        start += length
    return found


def _in_words(names: Sequence[str], grid: Sequence[Sequence[Cell]]) -> str:
    """Neighbouring groups that do the same share a sentence: "stem to block 3: frozen in epochs 1–3"."""
    sentences = []
    for told, same in itertools.groupby(zip(names, map(_row_in_words, grid), strict=True), key=lambda pair: pair[1]):
        members = [name for name, _ in same]
        group = members[0] if len(members) == 1 else f"{members[0]} to {members[-1]}"
        sentences.append(f"{group}: {told}")
    return "; ".join(sentences) + "."


def _row_in_words(row: Sequence[Cell]) -> str:
    runs = _runs(row)
    if len(runs) == 1:
        return f"{runs[0][0].words} throughout"
    return ", ".join(f"{cell.words} in epoch{'s' * (n > 1)} {at + 1}{f'–{at + n}' * (n > 1)}" for cell, at, n in runs)


def _color(cell: Cell, strongest: float) -> Any:
    if not cell.share:
        return PALE if cell.share == 0 else "white"
    if cell.share < 1:
        return mix(ORANGE, 0.6)
    return mix(BLUE, 0.25 + 0.75 * (cell.high / strongest) ** 0.5)  # the root keeps small scales apart


def _hatch(cell: Cell) -> str:
    return "" if cell.share == 1 or cell.share is None else ".." if cell.share else "//"


def _draw_cells(axes: Axes, names: Sequence[str], grid: Sequence[Sequence[Cell]]) -> None:
    epochs = len(grid[0])
    strongest = max(1.0, *(cell.high for row in grid for cell in row))
    wide = (WIDTH - 3.2) / epochs  # inches of a column, roughly: enough to know which words fit
    joined = any(text_width(cell.text, SMALL) > wide - 0.15 for row in grid for cell in row)
    border = 0.8 if wide > 0.2 else 0.0  # of many epochs, the lines between them would be all that one sees
    for y, row in enumerate(grid):
        for x, cell in enumerate(row):
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=_color(cell, strongest), edgecolor="white" if
                                     cell.share == 1 else LINES, hatch=_hatch(cell), linewidth=border))
        pieces = _runs(row) if joined else [(cell, x, 1) for x, cell in enumerate(row)]
        for cell, x, length in pieces:
            if text_width(cell.text, SMALL) <= wide * length - 0.06:
                color = _color(cell, strongest)
                axes.text(x + length / 2, y + 0.5, cell.text, ha="center", va="center", fontsize=SMALL,
                          color=ink_on(color), bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5})
    bare(axes).set(xlim=(0, epochs), ylim=(len(names), 0))
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, epochs) if n * wide > 0.28)
    shown = [x for x in range(epochs) if x == 0 or (x + 1) % every == 0]
    axes.set_xticks([x + 0.5 for x in shown], [f"epoch {x + 1}" if wide > 0.8 else str(x + 1) for x in shown])
    axes.set_xlabel("" if wide > 0.8 else "epoch", fontsize=BODY)
    axes.set_yticks([y + 0.5 for y in range(len(names))], names, **plain())
    axes.set_ylabel("input  →  output", rotation=270, va="top", fontsize=BODY, color=INK)
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)


def _draw_bars(axes: Axes, sizes: Sequence[int]) -> None:
    rows = [y + 0.5 for y in range(len(sizes))]
    axes.barh(rows, sizes, height=0.6, color=LINES)
    for y, size in zip(rows, sizes, strict=True):
        axes.annotate(count(size), (size, y), (4, 0), textcoords="offset points", va="center", fontsize=SMALL,
                      color=INK)
    bare(axes).set_xlim(0, max(1, *sizes) * 1.75)  # room for the longest bar's number
    axes.set_xticks([])
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("parameters", fontsize=BODY, color=INK, loc="left")
    axes.tick_params(labelleft=False)


def _draw_key(picture: Picture, cells: Sequence[Cell]) -> None:
    full = [cell for cell in cells if cell.share == 1]
    entries = [("trains", mix(BLUE, 1), "")] if full else []
    if len({cell.high for cell in full}) > 1:
        entries[0] = ("trains; ×0.5 = half the learning rate", mix(BLUE, 0.25 + 0.75 * 0.5**0.5), "")
    if any(cell.share and cell.share < 1 for cell in cells):
        entries.append(("trains in part: the share of its parameters", mix(ORANGE, 0.6), ".."))
    if any(cell.share == 0 for cell in cells):
        entries.append(("frozen", PALE, "//"))
    patches = [Patch(facecolor=color, hatch=hatch, edgecolor=LINES, label=text) for text, color, hatch in entries]
    picture.legend(handles=patches, loc="outside lower left", ncols=len(patches), fontsize=SMALL, frameon=False,
                   labelcolor=INK)
