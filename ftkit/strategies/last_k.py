"""The last k blocks and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups, thawed


@dataclass(frozen=True)
class LastK(Strategy):
    """Train the head and the last `k` blocks; the first layers, which know the most general things, stay.

    Args:
        k: How many blocks; 0 is the linear probe.

    Source: Yosinski et al. 2014 measured which layers are general. Lesson 01.
    """

    k: int = 2

    name: ClassVar[str] = "last_k"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.k, int) or self.k < 0:
            raise UserError(f"k counts blocks: a whole number of at least 0, not {self.k!r}.")

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The same in every epoch. Raises UserError if the model has fewer than k blocks."""
        if self.k > len(layers.blocks):
            raise UserError(f"last_k:k={self.k}, but this model has {len(layers.blocks)} blocks. "
                            "Use 'full' to train everything.")
        return scale_groups(layers, dict.fromkeys(thawed(layers, self.k + 1), 1.0))
