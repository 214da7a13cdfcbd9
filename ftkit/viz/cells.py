"""What a plan does to each layer group in each epoch, as cells and in words. Nothing is drawn here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields

from ftkit.layers import LayerMap
from ftkit.strategies import Plan, Strategy
from ftkit.viz.words import count, percent


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


def make_cell(layers: LayerMap, names: Sequence[str], plan: Plan) -> Cell:
    """The cell of the group that holds these parameters, under the plan of one epoch."""
    scales = {name: plan[name] for name in names if plan.get(name, 0.0) > 0}
    if not names:
        return Cell(None)
    if not scales:
        return Cell(0.0)
    share = sum(layers.sizes[name] for name in scales) / sum(layers.sizes[name] for name in names)
    return Cell(share, min(scales.values()), max(scales.values()))


def strategy_name(strategy: str | Strategy, chosen: Strategy) -> str:
    """ "last_k (k=2)": the name and its own options."""
    name = chosen.name or type(chosen).__name__
    if isinstance(strategy, str):
        options = strategy.partition(":")[2].replace(",", ", ").replace(",  ", ", ")
    else:
        own = [f.name for f in fields(chosen) if f.name not in {g.name for g in fields(Strategy)} | {"scales"}]
        options = ", ".join(f"{key}={getattr(chosen, key)!r}" for key in own)
    return f"{name} ({options})" if options else name


def share_title(name: str, layers: LayerMap, plans: Sequence[Plan]) -> str:
    """How much trains at first and at last: "gradual: 0.7 % of 22.7 M parameters train in epoch 1, …"."""
    total = sum(layers.sizes.values())
    shares = [percent(sum(layers.sizes[n] for n, scale in plan.items() if scale > 0) / total) for plan in plans]
    first = f"{name}: {shares[0]} of {count(total)} parameters train"
    if len(set(shares)) == 1:
        return f"{first} in every epoch" if len(plans) > 1 else first
    return f"{first} in epoch 1, {shares[-1]} in epoch {len(plans)}"


def stretches(row: Sequence[Cell]) -> list[tuple[Cell, int, int]]:
    """(cell, first epoch, epochs) of each stretch of equal cells, epochs counted from 0."""
    found, start = [], 0
    for cell, same in itertools.groupby(row):
        length = len(list(same))
        found.append((cell, start, length))
        start += length
    return found


def in_words(names: Sequence[str], grid: Sequence[Sequence[Cell]]) -> str:
    """Neighbouring groups that do the same share a sentence: "stem to block 3: frozen in epochs 1–3"."""
    sentences = []
    for told, same in itertools.groupby(zip(names, map(_row_in_words, grid), strict=True), key=lambda pair: pair[1]):
        members = [name for name, _ in same]
        group = members[0] if len(members) == 1 else f"{members[0]} to {members[-1]}"
        sentences.append(f"{group}: {told}")
    return "; ".join(sentences) + "."


def _row_in_words(row: Sequence[Cell]) -> str:
    runs = stretches(row)
    if len(runs) == 1:
        return f"{runs[0][0].words} throughout"
    return ", ".join(f"{cell.words} in epoch{'s' * (n > 1)} {at + 1}{f'–{at + n}' * (n > 1)}" for cell, at, n in runs)
