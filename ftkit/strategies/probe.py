"""Linear probe: only the head trains, on features that stay as pretraining left them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups


@dataclass(frozen=True, kw_only=True)
class LinearProbe(Strategy):
    """Freeze the body, train the head: the cheapest way, and the yardstick for all others. Lesson 00."""

    name: ClassVar[str] = "probe"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The head at full rate, the rest frozen."""
        return scale_groups(layers, {"head": 1.0})
