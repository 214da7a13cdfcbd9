"""The freeze map: which layer group trains in which epoch, before a single step has run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies import Strategy, make_strategy, map_for
from ftkit.viz.cells import Cell, in_words, make_cell, share_title, strategy_name, stretches
from ftkit.viz.style import BLUE, BODY, INK, LINES, ORANGE, PALE, SMALL, WIDTH, Picture, bare, ink_on, mix
from ftkit.viz.words import count, plain, text_width


def freeze_map(model: Any, strategy: str | Strategy, epochs: int = 3) -> Picture:
    """Draw what a strategy will train, when, and at what share of the learning rate.

    Rows are layer groups with the input at the top; columns are epochs; the bars count each group's parameters.

    Args:
        model: From `load_backbone`, or its LayerMap. It is not changed. A strategy that changes the network, such as
            LoRA, is drawn as the network will be, and needs the model itself.
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
    if not isinstance(model, LayerMap):
        layers = map_for(model, chosen)  # with what the strategy will put in or take out: in a copy without numbers
    plans = [chosen.plan(layers, epoch) for epoch in range(epochs)]
    grid = [[make_cell(layers, list(group.parameters), plan) for plan in plans] for group in layers]
    title = share_title(strategy_name(strategy, chosen), layers, plans)
    picture = Picture(height=1.55 + 0.34 * max(4, len(layers)))
    picture.heading(title)
    picture.alt = f"{title}. {in_words(layers.names, grid)}"
    cells, bars = picture.subplots(1, 2, width_ratios=(4, 1), sharey=True)
    _draw_cells(cells, layers.names, grid)
    _draw_bars(bars, [sum(layers.sizes[name] for name in group.parameters) for group in layers])
    _draw_key(picture, list(itertools.chain(*grid)))
    return picture


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
                                     cell.share == 1 else LINES, hatch=_hatch(cell), linewidth=border,
                                     in_layout=False))  # it lies inside the axes: no need to make room for it
        pieces = stretches(row) if joined else [(cell, x, 1) for x, cell in enumerate(row)]
        for cell, x, length in pieces:
            if text_width(cell.text, SMALL) <= wide * length - 0.06:
                color = _color(cell, strongest)
                axes.text(x + length / 2, y + 0.5, cell.text, ha="center", va="center", fontsize=SMALL,
                          color=ink_on(color), bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5},
                          in_layout=False)
    bare(axes).set(xlim=(0, epochs), ylim=(len(names), 0))
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, epochs) if n * wide > 0.28)
    shown = [x for x in range(epochs) if x == 0 or (x + 1) % every == 0]
    axes.set_xticks([x + 0.5 for x in shown], [f"epoch {x + 1}" if wide > 0.8 else str(x + 1) for x in shown])
    axes.set_xlabel("" if wide > 0.8 else "epoch", fontsize=BODY, color=INK, labelpad=6)
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
    entries: list[tuple[str, Any, str]] = [("trains", BLUE, "")] if full else []
    if len({cell.high for cell in full}) > 1:
        entries[0] = ("trains; ×0.5 = half the learning rate", mix(BLUE, 0.25 + 0.75 * 0.5**0.5), "")
    if any(cell.share and cell.share < 1 for cell in cells):
        entries.append(("trains in part: the share of its parameters", mix(ORANGE, 0.6), ".."))
    if any(cell.share == 0 for cell in cells):
        entries.append(("frozen", PALE, "//"))
    patches = [Patch(facecolor=color, hatch=hatch, edgecolor=LINES, label=text) for text, color, hatch in entries]
    picture.legend(handles=patches, loc="outside lower left", ncols=len(patches), fontsize=SMALL, frameon=False,
                   labelcolor=INK)
