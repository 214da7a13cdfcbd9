"""Half fine-tuning: in each round another half of the weights is at rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ftkit.errors import UserError, check_name
from ftkit.layers import Group, LayerMap
from ftkit.strategies.adapting import in_attention
from ftkit.strategies.base import Plan, Strategy, scale_groups

LEVELS = ("category", "layer", "model")


@dataclass(frozen=True)
class HalfFineTuning(Strategy):
    """Train the head and a random half of the body; draw another half after each round.

    What rests keeps what it knows, and half as much can be forgotten. A matrix and its bias are one thing here, and so
    are the scale and shift of a norm: they train or rest together.

    Args:
        level: Where the half is drawn. "category": in each block half of its attention matrices, half of those of its
            MLP, half of its norms; of an odd number one more in every second block, so that it is half in the sum.
            "layer": half of the blocks, whole. "model": half of all matrices and norms, wherever they are.
        every: Epochs in a round.
        seed: Of the draw. The plan depends on it and on the epoch alone, so it can be drawn before it is run.

    The stem (embeddings, or the first convolution) is drawn as one more block: a word table that always trained would
    make it much more than half in a small model. The head always trains: for most tasks it is fresh.

    Half is counted in matrices and norms, and not in numbers: one epoch's plan may well train a third of the numbers.

    Source: Hui et al. 2024, "HFT: Half Fine-Tuning for Large Language Models", who draw by category in each block of a
    pretrained decoder. How stem and head are treated is our own choice. Lesson 08.
    """

    level: str = "category"
    every: int = 1
    seed: int = 0

    name: ClassVar[str] = "half"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("level", self.level, LEVELS)
        if not isinstance(self.every, int) or self.every < 1:
            raise UserError(f"every must be a whole number of at least 1, not {self.every!r}.")

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The head, and the half that is drawn for this epoch's round."""
        turn = epoch // self.every
        body = [group for group in layers if group.name != "head"]
        if self.level == "layer":
            train = self._half(body, turn, "layer", turn)
            return scale_groups(layers, dict.fromkeys([*(group.name for group in train), "head"], 1.0))
        units: list[list[str]] = []
        if self.level == "model":
            units = self._half([unit for group in body for unit in _units(layers, group)], turn, "model", turn)
        else:
            for i, group in enumerate(body):
                for j, (category, members) in enumerate(_categories(layers, group).items()):
                    units += self._half(members, turn, f"{group.name} {category}", turn + i + j)
        return scale_groups(layers, {"head": 1.0, **{name: 1.0 for unit in units for name in unit}})

    def _half(self, things: Sequence[Any], turn: int, where: str, odd: int) -> list[Any]:
        """Half of them at random, in their order; of an odd number one more if `odd` is odd."""
        count = (len(things) + odd % 2) // 2
        drawn = set(random.Random(f"{self.seed} {turn} {where}").sample(range(len(things)), count))
        return [thing for i, thing in enumerate(things) if i in drawn]


def _units(layers: LayerMap, group: Group) -> list[list[str]]:
    """The parameters of a group, those of one module together."""
    found: dict[str, list[str]] = {}
    for name in group.parameters:
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return list(found.values())


def _categories(layers: LayerMap, group: Group) -> dict[str, list[list[str]]]:
    """The same by category: attention, norm, embedding, and other matrices."""
    found: dict[str, list[list[str]]] = {}
    for unit in _units(layers, group):
        kind = layers.kinds[unit[0]]
        category = kind if kind in ("norm", "batchnorm", "embedding") else (
            "attention" if in_attention(unit[0]) else "matrix")
        found.setdefault(category, []).append(unit)
    return found
