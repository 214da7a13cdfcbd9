"""Gradual unfreezing: the head first, then one more group from the top every few epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups, thawed


@dataclass(frozen=True)
class GradualUnfreeze(Strategy):
    """Thaw `step` more groups, from the head downwards, every `every` epochs.

    A fresh head sends large, useless gradients at first. While it settles, the body is kept out of harm's way.

    Args:
        every: Epochs between two thaws.
        step: Groups per thaw.

    Source: Howard & Ruder 2018 (ULMFiT), section 3.3. Lesson 01.
    """

    every: int = 1
    step: int = 1

    name: ClassVar[str] = "gradual"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(count, int) and count >= 1 for count in (self.every, self.step)):
            raise UserError("every and step must be whole numbers of at least 1, not "
                            f"every={self.every}, step={self.step}.")

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Epoch 0: the head; epoch `every`: the head and the last block; and so on down to the stem."""
        return scale_groups(layers, dict.fromkeys(thawed(layers, 1 + self.step * (epoch // self.every)), 1.0))
