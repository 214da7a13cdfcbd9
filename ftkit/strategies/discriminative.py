"""Discriminative learning rates: everything trains, the deeper the slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups


@dataclass(frozen=True)
class Discriminative(Strategy):
    """The head learns at the full rate, and each group below at `factor` times the rate of the one above it.

    Args:
        factor: Between 0 and 1. ULMFiT used 1/2.6; with few groups a milder factor keeps the stem alive.

    Source: Howard & Ruder 2018 (ULMFiT), section 3.2. Lesson 02.
    """

    factor: float = 0.7

    name: ClassVar[str] = "discriminative"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.factor <= 1:
            raise UserError(f"factor must be above 0 and at most 1, not {self.factor}.")

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The same in every epoch."""
        return scale_groups(layers, {name: self.factor**depth for depth, name in enumerate(reversed(layers.names))})
