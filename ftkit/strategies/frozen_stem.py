"""Everything trains but the stem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy


@dataclass(frozen=True, kw_only=True)
class FrozenStem(Strategy):
    """Train every group but the stem. What `fit` does with sounds when it is not told.

    The stem of a speech network is a stack of convolutions that turn samples into frames. It has heard enough to know
    what sound is, it has few weights, and it is the dearest part to train: it works at 3,200 frames a second where the
    blocks have 50.

    Raises:
        UserError: The model has nothing but a stem and a head that could train.

    Source: Baevski et al. 2020, who fine-tune wav2vec 2.0 this way. Lesson 05.
    """

    name: ClassVar[str] = "frozen_stem"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Scale 0 for the stem, 1 for all else."""
        stem = set(layers.groups[0].parameters)
        plan = {name: 0.0 if name in stem else 1.0 for name in layers.parameters}
        if not any(plan.values()):
            raise UserError("frozen_stem would freeze everything: this model has no layer behind its stem.")
        return plan
