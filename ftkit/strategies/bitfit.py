"""BitFit: only the biases, and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups


@dataclass(frozen=True, kw_only=True)
class BitFit(Strategy):
    """Train every bias, that of norms too, and the head: about one parameter in a thousand.

    Source: Ben Zaken, Goldberg & Ravfogel 2022. Lesson 08.
    """

    name: ClassVar[str] = "bitfit"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Raises UserError for a model whose body has no bias."""
        biases = [name for name in layers.parameters if name.endswith("bias") and layers.group_of(name) != "head"]
        if not biases:
            raise UserError("bitfit needs biases, and the body of this model has none. Try 'last_k:k=1'.")
        return scale_groups(layers, {"head": 1.0, **dict.fromkeys(biases, 1.0)})
