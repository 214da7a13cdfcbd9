"""Your own plan: a dict, a list of dicts (one per epoch), or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups

Scales = Mapping[str, float]


@dataclass(frozen=True)
class Custom(Strategy):
    """A plan by group names ("head", "block 3", "stem") or parameter names; what is not named is frozen.

    Args:
        scales: A dict; or a list of dicts, one per epoch, the last one repeated; or a function of
            (layer_map, epoch) that returns such a dict.

    Example: `Custom({"head": 1, "block 5": 0.1})`. Lesson 01.
    """

    scales: Scales | Sequence[Scales] | Callable[[LayerMap, int], Scales]

    name: ClassVar[str] = "custom"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Raises UserError when nothing at all would train in this epoch."""
        if callable(self.scales):
            chosen = self.scales(layers, epoch)
        elif isinstance(self.scales, Mapping):
            chosen = self.scales
        else:
            chosen = self.scales[min(epoch, len(self.scales) - 1)]
        plan = scale_groups(layers, chosen)
        if not any(plan.values()):
            raise UserError(f"The custom plan freezes everything in epoch {epoch}: nothing would train.")
        return plan
