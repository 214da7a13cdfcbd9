"""A reward model: a language model whose head says in one number how good a reply is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ftkit.tasks.base import Batch, Source
from ftkit.tasks.pairs import PairTask, side_by_side


@dataclass(frozen=True)
class Reward(PairTask):
    """Learn from pairs of replies to give the chosen one the higher number.

    The model of Bradley & Terry 1952: the chosen reply wins with the probability sigmoid(r_chosen - r_rejected). Only
    differences count, so the numbers have no zero of their own. PPO needs such a model (Ouyang et al. 2022, section
    3.5). Lesson 09.
    """

    name: ClassVar[str] = "reward"

    def build(self, source: Source) -> nn.Module:
        """A `...ForSequenceClassification` network with one number as its answer, read at the last token."""
        return source.transformers("AutoModelForSequenceClassification", num_labels=1)

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """The rewards of the chosen and of the rejected reply, (B, 2)."""
        scores = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return side_by_side(scores.squeeze(-1))

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """-log sigmoid(r_chosen - r_rejected) of each pair, (B,): Ouyang et al. 2022, equation 1 for one pair."""
        return -nn.functional.logsigmoid(logits[:, 0] - logits[:, 1])
