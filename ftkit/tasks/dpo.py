"""Direct preference optimisation: learn from pairs of replies which is better, without reward model and RL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ftkit.errors import UserError
from ftkit.tasks.base import Batch, Source
from ftkit.tasks.causal_lm import CausalLM
from ftkit.tasks.logprobs import sequence_logprobs
from ftkit.tasks.pairs import PairTask, side_by_side


@dataclass(frozen=True)
class DPO(PairTask):
    """Make the chosen reply more probable than the rejected one, by how the reference sees them (Rafailov et al. 2023).

    The reward of a reply is what the network has added to its log-probability: beta * (log p - log p_reference). The
    loss is that of a classifier on the difference of two rewards.

    The reference is the network as it was when training began, unless `model.reference` is another one. Its
    log-probabilities are computed once, before the first step: it costs no memory and next to no time.

    Args:
        labels: Always empty.
        multilabel: Always False.
        max_length: See PairTask.
        beta: How dear it is to leave the reference: a small one lets the network go far. Lesson 09 tries several.
    """

    beta: float = 0.1

    name: ClassVar[str] = "dpo"
    generates: ClassVar[bool] = True
    has_reference: ClassVar[bool] = True
    average: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf"):
            raise UserError(f"beta must be a number above 0, such as 0.1, not {self.beta!r}.")

    def build(self, source: Source) -> nn.Module:
        """A network that writes texts, with the head that it was pretrained with."""
        return CausalLM(()).build(source)

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """log p of the chosen and of the rejected reply, (B, 2)."""
        return side_by_side(sequence_logprobs(net, batch, average=self.average))

    def rewards(self, logits: Tensor, batch: Batch) -> Tensor:
        """beta * (log p - log p_reference), (B, 2): Rafailov et al. 2023, equation 5 without its constant."""
        return self.beta * (logits - batch["reference"])

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """-log sigmoid(reward of the chosen reply - reward of the rejected one), (B,): their equation 7."""
        chosen, rejected = self.rewards(logits, batch).unbind(1)
        return -nn.functional.logsigmoid(chosen - rejected)


@dataclass(frozen=True)
class IPO(DPO):
    """DPO with a goal for the margin in place of "as large as can be" (Azar et al. 2023).

    DPO's loss falls for ever while the margin grows; where every annotator agrees it drives the rejected replies to
    probability 0, whatever beta is. IPO pulls the difference of the log-ratios to 1 / (2 beta) and no further. The
    log-probabilities are averages over the tokens, as its authors advise, so that length does not set the margin.
    """

    name: ClassVar[str] = "ipo"
    average: ClassVar[bool] = True

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """(h - 1 / (2 beta))^2 with the difference h of the log-ratios, (B,): Azar et al. 2023, equation 17."""
        chosen, rejected = (logits - batch["reference"]).unbind(1)
        return torch.square(chosen - rejected - 1 / (2 * self.beta))
