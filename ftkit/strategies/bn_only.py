"""Only the BatchNorm scales and shifts, and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups


@dataclass(frozen=True, kw_only=True)
class BatchNormOnly(Strategy):
    """Train each BatchNorm layer (its statistics adapt as well) and the head; convolutions stay as they are.

    Source: Frankle, Schwab & Morcos 2021, "Training BatchNorm and Only BatchNorm". Lesson 03.
    """

    name: ClassVar[str] = "bn_only"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Raises UserError for a model without BatchNorm."""
        norms = [name for name, kind in layers.kinds.items() if kind == "batchnorm"]
        if not norms:
            raise UserError("bn_only needs BatchNorm layers, and this model has none. Transformers: try 'bitfit'.")
        return scale_groups(layers, {"head": 1.0, **dict.fromkeys(norms, 1.0)})
