"""A plan that is being edited: a learning-rate scale per parameter and epoch, seen as cells of groups and epochs."""

from __future__ import annotations

from typing import Any

from ftkit.errors import UserError, check_name
from ftkit.layers import LayerMap
from ftkit.strategies import STRATEGIES, Custom, Plan, Strategy, make_strategy
from ftkit.viz.cells import Cell, make_cell

MOST_EPOCHS = 50  # more cannot be told apart as columns


class EditedPlan:
    """One plan per epoch, begun from a strategy. Epochs are counted from 1, as in the pictures.

    Args:
        layers: The groups of the model.
        strategy: The plan to begin with.
        epochs: How many, 1 to 50.

    Attributes:
        plans: One per epoch: the learning-rate scale of every parameter.
        start: Name of the strategy that it began with.

    Raises:
        UserError: An unknown strategy, one that this model cannot follow, or a number of epochs out of range.
    """

    def __init__(self, layers: LayerMap, strategy: str | Strategy, epochs: int) -> None:
        begun = make_strategy(strategy)
        if type(begun).adapt is not Strategy.adapt:
            raise UserError(f"{begun.name} puts new layers into the model; freeze_map edits those that it has. "
                            "Begin with probe, last_k, gradual or full.")
        self.layers, self.begun = layers, begun
        self.start = strategy if isinstance(strategy, str) else begun.name
        self.plans = [begun.plan(layers, epoch) for epoch in range(_checked(epochs))]

    def names(self, group: str, epoch: int) -> tuple[str, ...]:
        """The parameters of a cell; raises UserError if there is no such cell, or nothing in it."""
        check_name("layer group", group, self.layers.names)
        if isinstance(epoch, bool) or not isinstance(epoch, int) or not 1 <= epoch <= len(self.plans):
            raise UserError(f"epoch counts from 1 to {len(self.plans)} here, not {epoch!r}.")
        names = self.layers[group].parameters
        if not names:
            raise UserError(f"{group} has no parameters: there is nothing to freeze.")
        return names

    def scales(self, group: str, epoch: int) -> Plan:
        """The scale of each parameter of a cell."""
        names = self.names(group, epoch)
        return {name: self.plans[epoch - 1].get(name, 0.0) for name in names}

    def resize(self, epochs: int) -> None:
        """More or fewer epochs; a new one repeats the last."""
        last = len(self.plans) - 1
        self.plans = [dict(self.plans[min(epoch, last)]) for epoch in range(_checked(epochs))]

    @property
    def shares(self) -> list[float]:
        """The share of all parameters that trains, per epoch."""
        total = sum(self.layers.sizes.values())
        return [sum(self.layers.sizes[name] for name, scale in plan.items() if scale > 0) / total
                for plan in self.plans]

    @property
    def cells(self) -> list[list[Cell]]:
        """One row per group, one cell per epoch."""
        return [[make_cell(self.layers, group.parameters, plan) for plan in self.plans] for group in self.layers]

    @property
    def strategy(self) -> Custom:
        """The plan as a strategy; warm-up and decay are those of the strategy that it began with.

        Raises:
            UserError: Nothing would train in some epoch.
        """
        empty = [str(epoch) for epoch, share in enumerate(self.shares, 1) if not share]
        if empty:
            raise UserError(f"The plan freezes everything in epoch {', '.join(empty)}: nothing would train. "
                            "Let at least the head train.")
        return Custom([_short(self.layers, plan) for plan in self.plans], warmup=self.begun.warmup,
                      decay=self.begun.decay)

    @property
    def starts(self) -> list[str]:
        """The strategies that this model could begin with, by their written form; the present one among them."""
        usable = []
        for name, kind in STRATEGIES.items():
            if kind is Custom or kind.adapt is not Strategy.adapt:
                continue
            try:
                kind().plan(self.layers, 0)  # last_k needs blocks, bn_only BatchNorm, bitfit biases
            except UserError:
                continue
            usable.append(name)
        return usable if self.start in usable else [self.start, *usable]


def _checked(epochs: Any) -> int:
    if isinstance(epochs, bool) or not isinstance(epochs, int) or not 1 <= epochs <= MOST_EPOCHS:
        raise UserError(f"epochs must be a whole number from 1 to {MOST_EPOCHS}, not {epochs!r}.")
    return epochs


def _short(layers: LayerMap, plan: Plan) -> Plan:
    """The plan by group names where a group is of one mind, else by parameter names; what is frozen is left out."""
    short: Plan = {}
    for group in layers:
        scales = {name: plan.get(name, 0.0) for name in group.parameters}
        if scales and len(set(scales.values())) == 1:
            scales = {group.name: next(iter(scales.values()))}
        short.update({name: scale for name, scale in scales.items() if scale > 0})
    return short
