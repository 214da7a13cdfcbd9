"""A strategy is a pure plan: which parameters train, at what share of the learning rate, in which epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ftkit.errors import UnknownName, UserError, check_name
from ftkit.layers import LayerMap

Plan = dict[str, float]
"""Parameter name to learning-rate scale; 0 (or absent) means frozen."""

DECAYS = ("linear", "cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """The parent of every strategy. A strategy changes nothing itself: the training session obeys its plan.

    Args:
        warmup: Share of all steps in which the learning rate rises from zero.
        decay: How it falls afterwards: "linear", "cosine" (both to zero) or "constant".
    """

    warmup: float = 0.1
    decay: str = "linear"

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_name("decay", self.decay, DECAYS)
        if not 0 <= self.warmup <= 1:
            raise UserError(f"warmup is a share of the steps, between 0 and 1, not {self.warmup}.")

    def adapt(self, model: Any) -> None:
        """Change the network before training, as LoRA does. Here: nothing.

        Done twice to the same model, it changes nothing more: a run may be resumed, or go on.
        """

    def source(self, model: Any) -> list[str]:
        """What `adapt` has done to this model, as lines of Python over `net`: for Show code. Here: none."""
        return []

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The learning-rate scale of every parameter in this epoch (0 = first epoch)."""
        raise NotImplementedError

    def schedule(self, step: int, total: int) -> float:
        """The share of the learning rate at a step (0 = first step of `total`): warm-up, then decay."""
        rising = round(self.warmup * total)
        if step < rising:
            return (step + 1) / rising
        if self.decay == "constant":
            return 1.0
        left = 1 - (step - rising) / max(1, total - rising)
        return left if self.decay == "linear" else 0.5 * (1 - math.cos(math.pi * left))


def scale_groups(layers: LayerMap, scales: Mapping[str, float]) -> Plan:
    """A plan from scales by group name or parameter name; everything not named is frozen.

    Raises:
        UnknownName: A name that is neither a group nor a parameter of this model.
        UserError: A scale that is negative or not a number.
    """
    plan = dict.fromkeys(layers.parameters, 0.0)
    groups = {group.name: group for group in layers}
    for name, scale in scales.items():
        if not isinstance(scale, (int, float)) or not 0 <= scale < math.inf:
            raise UserError(f"The learning-rate scale of '{name}' must be a number of at least 0, not {scale!r}.")
        if name in groups:
            plan.update(dict.fromkeys(groups[name].parameters, float(scale)))
        elif name in plan:
            plan[name] = float(scale)
        else:
            raise UnknownName("layer group or parameter", name, layers.names)
    return plan


def thawed(layers: LayerMap, count: int) -> list[str]:
    """The last `count` groups: 1 is the head alone."""
    return layers.names[max(0, len(layers) - count) :]
