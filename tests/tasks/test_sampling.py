"""Sampling: the readable mathematics against numbers worked out by hand, and against transformers' own code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ftkit.errors import UserError
from ftkit.tasks.sampling import Sampling, next_probabilities, penalised, without_tail

LOGS = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()


def drawn_from(**controls: Any) -> list[float]:
    return [round(p, 4) for p in next_probabilities(LOGS, Sampling(**controls)).tolist()]


def test_by_hand() -> None:
    assert drawn_from() == [0.4, 0.3, 0.2, 0.1]
    assert drawn_from(temperature=0.5) == [round(p, 4) for p in (0.16 / 0.3, 0.09 / 0.3, 0.04 / 0.3, 0.01 / 0.3)]
    assert drawn_from(temperature=0) == [1, 0, 0, 0]
    assert drawn_from(temperature=1e6) == [0.25] * 4
    assert drawn_from(top_k=2) == [round(4 / 7, 4), round(3 / 7, 4), 0, 0]
    assert drawn_from(top_k=9) == drawn_from()
    assert drawn_from(top_p=0.6) == [round(4 / 7, 4), round(3 / 7, 4), 0, 0]
    assert drawn_from(top_p=0.8) == [round(4 / 9, 4), round(3 / 9, 4), round(2 / 9, 4), 0]
    assert drawn_from(top_p=0.01) == [1, 0, 0, 0], "the best one always may"
    assert drawn_from(top_k=2, top_p=0.55) == [1, 0, 0, 0], "top-p counts what top-k has left: 4/7 is enough"


def test_the_penalty_is_for_what_was_seen_however_often() -> None:
    scores = torch.tensor([2.0, -2.0, 1.0])
    assert penalised(scores, [0, 1, 1, 1], 2.0).tolist() == [1.0, -4.0, 1.0]
    assert penalised(scores, [], 2.0).tolist() == scores.tolist()
    assert scores.tolist() == [2.0, -2.0, 1.0], "the scores themselves stay"


def test_order_does_not_matter_to_ties() -> None:
    assert int((without_tail(torch.zeros(5), top_k=2) > -math.inf).sum()) == 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("controls", [
    {}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}, {"repetition_penalty": 1.7},
    {"temperature": 1.4, "top_k": 20, "top_p": 0.7, "repetition_penalty": 1.2}])
def test_transformers_does_the_same(seed: int, controls: dict[str, Any]) -> None:
    from transformers.generation import logits_process as theirs

    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(50, generator=generator)
    seen = torch.randint(50, (1, 12), generator=generator)
    ours = next_probabilities(scores, Sampling(**controls), seen[0].tolist())
    expected = scores[None]
    if "repetition_penalty" in controls:
        expected = theirs.RepetitionPenaltyLogitsProcessor(controls["repetition_penalty"])(seen, expected)
    if "temperature" in controls:
        expected = theirs.TemperatureLogitsWarper(controls["temperature"])(seen, expected)
    if "top_k" in controls:
        expected = theirs.TopKLogitsWarper(controls["top_k"])(seen, expected)
    if "top_p" in controls:
        expected = theirs.TopPLogitsWarper(controls["top_p"])(seen, expected)
    assert torch.allclose(ours, expected[0].softmax(-1), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"temperature": math.inf}, {"temperature": math.nan},
                                   {"temperature": "hot"}, {"temperature": True}, {"top_k": -1}, {"top_k": 2.5},
                                   {"top_p": 0}, {"top_p": 1.1}, {"repetition_penalty": 0}])
def test_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"{name} must be .*not {value!r}"):
        Sampling(**wrong)
