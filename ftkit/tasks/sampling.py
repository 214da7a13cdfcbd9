"""From scores to the next token: what temperature, top-k, top-p and the repetition penalty do. Small enough to read.

`ftkit.generate` samples by transformers' own, fast code; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ftkit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen from the scores of all tokens.

    Args:
        temperature: Scores are divided by it: below 1 the likely becomes likelier, above 1 the unlikely gets a chance.
            0 takes the best token always.
        top_k: Only the k best tokens may be drawn; 0 is no limit (Fan et al. 2018).
        top_p: Only the best tokens that together reach this probability may be drawn; 1 is no limit (Holtzman et al.
            2020).
        repetition_penalty: Above 1, tokens that have been there already lose (Keskar et al. 2019). The end of the text
            is never punished.

    Raises:
        UserError: A number that makes no sense.

    Lesson 07.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high, words in (
            ("temperature", 0.0, math.inf, "a number of at least 0 (0: always the best token)"),
            ("top_p", 1e-6, 1.0, "above 0 and at most 1 (1: no limit)"),
            ("repetition_penalty", 1e-6, math.inf, "a number above 0 (1: no penalty)")):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise UserError(f"{name} must be {words}, not {value!r}.")
            if value == math.inf or value != value:
                raise UserError(f"{name} must be {words}, not {value!r}.")
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or self.top_k < 0:
            raise UserError(f"top_k must be a whole number of at least 0 (0: no limit), not {self.top_k!r}.")


def penalised(scores: Tensor, seen: Sequence[int] | Tensor, penalty: float) -> Tensor:
    """Scores (V,) in which the tokens that were seen are less likely: divided by the penalty, or times it if negative.

    How often a token was seen does not matter.
    """
    seen = torch.as_tensor(seen, dtype=torch.long, device=scores.device)
    before = scores[seen]
    return scores.index_put((seen,), torch.where(before > 0, before / penalty, before * penalty))


def without_tail(scores: Tensor, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Scores (V,) with -inf for all tokens that may not be drawn; the best one always may."""
    ranked = scores.argsort(descending=True)
    keep = len(scores) if top_k == 0 else top_k
    if top_p < 1:
        # A token is kept if those before it do not reach top_p yet. They are counted after top-k has cut its share.
        shares = scores[ranked[:keep]].softmax(-1)
        keep = int((shares.cumsum(-1) - shares < top_p).sum())
    return scores.index_fill(0, ranked[max(1, keep):], -math.inf)


def next_probabilities(scores: Tensor, sampling: Sampling, seen: Sequence[int] = ()) -> Tensor:
    """What the next token is drawn from: probabilities (V,) from scores (V,).

    Args:
        scores: The network's logits after the last token.
        sampling: The controls, applied in this order: repetition penalty, temperature, top-k, top-p.
        seen: Tokens that are there already, for the repetition penalty.

    Lesson 07.
    """
    scores = scores.float()
    if sampling.repetition_penalty != 1 and len(seen):
        scores = penalised(scores, seen, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(scores.argmax(), len(scores)).float()
    return without_tail(scores / sampling.temperature, sampling.top_k, sampling.top_p).softmax(-1)
