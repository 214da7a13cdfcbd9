"""Full fine-tuning: everything trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy


@dataclass(frozen=True, kw_only=True)
class Full(Strategy):
    """Train every parameter at the same rate, in every epoch. Lesson 01."""

    name: ClassVar[str] = "full"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Scale 1 for all."""
        return dict.fromkeys(layers.parameters, 1.0)
