"""An editor for freezing plans: layer groups down, epochs across; each cell trains or is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies import Custom, Plan, Strategy
from ftkit.viz.cells import in_words, make_cell
from ftkit.viz.words import count, percent
from ftkit.widgets.freeze_grid_html import live_regions, static_html
from ftkit.widgets.freeze_plan import EditedPlan
from ftkit.widgets.small_panel import SmallPanel


def freeze_map(model: Any, strategy: str | Strategy = "probe", epochs: int = 4) -> FreezeGrid:
    """Edit which layer group trains in which epoch, and train by it: `ft.fit(model, data, grid, epochs=4)`.

    Args:
        model: From `load_backbone`. It is not changed.
        strategy: The plan to begin with.
        epochs: Columns, 1 to 50. A longer run repeats the last one.

    Returns:
        The grid: click a cell, or call `grid.toggle("head", epoch=1)`; `grid.strategy` is what fit uses.

    Raises:
        UserError: An unknown strategy, one that this model cannot follow, or a number of epochs out of range.

    Lesson 01.
    """
    return FreezeGrid(model, strategy, epochs)


class FreezeGrid(SmallPanel):
    """What `freeze_map` returns. Each command is also what a click or a key does; epochs are counted from 1.

    Attributes:
        plan: The plan as it is now.
        last: (group, epoch) of the cell that was changed last.
    """

    title = "Freeze map"
    commands = ("toggle", "set_scale", "rescale", "repeat", "start_from", "set_epochs")

    def __init__(self, model: Any, strategy: str | Strategy = "probe", epochs: int = 4) -> None:
        super().__init__()
        layers = model if isinstance(model, LayerMap) else getattr(model, "layers", None)
        if not isinstance(layers, LayerMap):
            raise UserError(f"freeze_map edits plans for a model from load_backbone, not {type(model).__name__}.")
        self.plan = EditedPlan(layers, strategy, epochs)
        self.last = (layers.names[-1], 1)
        self._before: dict[tuple[str, int], Plan] = {}  # what a cell was before it was frozen

    @property
    def strategy(self) -> Custom:
        """The plan as a strategy, for fit; raises UserError if nothing would train in some epoch."""
        return self.plan.strategy

    # --- commands ---------------------------------------------------------------------------------------------------

    def toggle(self, group: str, epoch: int) -> None:
        """Freeze a cell that trains, wholly or in part; let a frozen one train, as it did before."""
        scales = self.plan.scales(group, epoch)
        if any(scales.values()):
            self._before[group, epoch] = scales
            self._write(group, [epoch], dict.fromkeys(scales, 0.0))
        else:
            self._write(group, [epoch], self._before.get((group, epoch), dict.fromkeys(scales, 1.0)))

    def set_scale(self, group: str, epoch: int, scale: float) -> None:
        """Train a cell at this share of the learning rate; 0 freezes it. Of a cell that trains in part, that part.

        Raises:
            UserError: A scale below 0, above 1000, or not a number.
        """
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 <= scale <= 1000:
            raise UserError(f"scale is a share of the learning rate: a number from 0 to 1000, not {scale!r}.")
        scales = self.plan.scales(group, epoch)
        chosen = {name for name, now in scales.items() if now > 0} or set(scales)
        self._write(group, [epoch], {name: float(scale) if name in chosen else 0.0 for name in scales})

    def rescale(self, group: str, epoch: int, factor: float) -> None:
        """Multiply the scale of a cell that trains; a frozen one stays frozen."""
        scales = {name: scale * factor for name, scale in self.plan.scales(group, epoch).items()}
        if factor <= 0 or not all(scale == 0 or 1e-4 <= scale <= 1000 for scale in scales.values()):
            raise UserError("A scale stays between 0.0001 and 1000.")
        self._write(group, [epoch], scales)

    def repeat(self, group: str, epoch: int) -> None:
        """Do in all later epochs what this cell does."""
        scales = self.plan.scales(group, epoch)
        self._write(group, range(epoch, len(self.plan.plans) + 1), scales)

    def start_from(self, strategy: str) -> None:
        """Begin anew from the plan of a strategy. If the model cannot follow it, the old plan is kept."""
        self.plan = EditedPlan(self.plan.layers, strategy, len(self.plan.plans))
        self._before.clear()
        self.changed(f"The plan is now that of {self.plan.start}.")

    def set_epochs(self, epochs: int) -> None:
        """More or fewer columns; a new one repeats the last."""
        self.plan.resize(epochs)
        self.last = (self.last[0], min(self.last[1], epochs))
        self.changed(f"The plan has {epochs} epoch{'s' * (epochs > 1)}.")

    def _write(self, group: str, epochs: Sequence[int], scales: Plan) -> None:
        for epoch in epochs:
            self.plan.plans[epoch - 1].update(scales)
        self.last = (group, epochs[0])
        cell, share = make_cell(self.plan.layers, list(scales), scales), self.plan.shares[epochs[0] - 1]
        when = f"in epoch {epochs[0]}" + (f" to {epochs[-1]}" if len(epochs) > 1 else "")
        total = f"{percent(share)} of all parameters train in epoch {epochs[0]}." if share else (
            f"Nothing trains in epoch {epochs[0]}: fit would refuse this plan.")
        self.changed(f"{group} {'is frozen' if not cell.share else cell.words} {when}. {total}")

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """The grid, and the controls below it."""
        return live_regions(self.plan, self.last)

    def _text(self) -> str:
        total = count(sum(self.plan.layers.sizes.values()))
        shares = ", ".join(percent(share) for share in self.plan.shares)
        return (f"Freeze map: of {total} parameters train, by epoch: {shares}. "
                f"{in_words(self.plan.layers.names, self.plan.cells)}")

    def _html(self) -> str:
        return static_html(self.plan)

    def _png(self) -> bytes:
        """The picture of ftkit.viz.freeze_map; none while an epoch trains nothing."""
        from ftkit.viz import freeze_map as draw

        plan = self.plan
        return draw(plan.layers, plan.strategy, len(plan.plans)).png() if all(plan.shares) else b""
