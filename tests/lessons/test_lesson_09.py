"""Exercises of lesson 09: each right answer is taken however it is written, each misconception gets its own hint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ftkit.lessons import check
from ftkit.preference.advantages import gae
from ftkit.tasks import DPO


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain(c: float, r: float, c0: float, r0: float, beta: float) -> float:
    return -math.log(sigmoid(beta * ((c - c0) - (r - r0))))


def by_torch(c: Any, r: Any, c0: Any, r0: Any, beta: Any) -> torch.Tensor:
    return -torch.nn.functional.logsigmoid(beta * ((c - c0) - (r - r0)))


def by_the_task(c: float, r: float, c0: float, r0: float, beta: float) -> torch.Tensor:
    return DPO((), beta=beta).losses(torch.tensor([[c, r]]), {"reference": torch.tensor([[c0, r0]])})[0]


LOSSES = [plain, by_torch, by_the_task, lambda c, r, c0, r0, beta: np.log1p(np.exp(-beta * (c - c0 - r + r0)))]
NOT_LOSSES = [
    (lambda c, r, c0, r0, beta: -plain(c, r, c0, r0, beta), "the sign"),
    (lambda c, r, c0, r0, beta: plain(r, c, r0, c0, beta), "chosen less rejected"),
    (lambda c, r, c0, r0, beta: plain(c, r, c0, r0, 1.0), "beta is missing"),
    (lambda c, r, c0, r0, beta: plain(c, r, 0, 0, beta), "The reference is missing"),
    (lambda c, r, c0, r0, beta: plain(c, r, -c0, -r0, beta), "subtracted"),
    (lambda c, r, c0, r0, beta: math.exp(-plain(c, r, c0, r0, beta)), "-log of it"),
    (lambda c, r, c0, r0, beta: 1 - math.exp(-plain(c, r, c0, r0, beta)), "that it wins"),
    (lambda c, r, c0, r0, beta: beta * (c - c0 - r + r0), "That is the margin."),
    (lambda c, r, c0, r0, beta: -beta * (c - c0 - r + r0), "with a minus"),
    (lambda c, r, c0, r0, beta: plain(c, 0, c0, 0, beta), "rejected reply is missing"),
    (lambda c, r, c0, r0, beta: 17.0, "the loss is"), (lambda c, r, c0, r0, beta: None, "one number"),
    (lambda c: c, "TypeError"), (0.4, "a function"),
]
BEST = 0.3 * math.e / (0.5 + 0.5 * math.e)

RIGHT = [
    *(("09.1", answer) for answer in (0.4, 0.1 * 4, "0.4", np.float32(0.4))),
    *(("09.2", answer) for answer in LOSSES),
    *(("09.3", answer) for answer in (BEST, 0.44, 0.439, round(BEST, 3))),
    *(("09.4", answer) for answer in (0.4, gae(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.8]]),
                                               torch.ones(1, 2), 1.0, 0.5)[0][0, 0].item())),
    ("09.q1", "b"), ("09.q1", " B)"),
]

WRONG: Sequence[tuple[str, Any, str]] = [
    *(("09.1", answer, hint) for answer, hint in (
        (4, "beta is missing"), (-0.1, "has gained"), (-1, "has gained"), (0.2, "lost something"), (0, "2 less (-2)"),
        (-0.4, "above zero"), (7, "Subtract"), ("x", "a number"))),
    *(("09.2", answer, hint) for answer, hint in NOT_LOSSES),
    *(("09.3", answer, hint) for answer, hint in (
        (0.3 * math.e, "Divide by their sum"), (0.3, "the reference"), (0.5, "liked the second"), (0.6, "has a price"),
        (1, "without KL"), (0.4, "Times e"), (1.3 / 3, "multiplies"), (2, "then divide"))),
    *(("09.4", answer, hint) for answer, hint in (
        (0.3, "lambda = 0"), (0.5, "lambda = 1"), (0.2, "second token"), (0.1, "is missing"), (0.8, "Subtract"),
        (0.9, "its own value"),
        (0.55, "not the first one's"), (9, "plus 0.5 times"))),
    ("09.q1", "a", "not trained on"), ("09.q1", "c", "direction"), ("09.q1", "d", "one letter"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right(number: str, answer: Any) -> None:
    assert check(number, answer), check(number, answer)


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_with_its_hint(number: str, answer: Any, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert hint in verdict.text, verdict


@pytest.mark.parametrize("number", ["09.1", "09.2", "09.3", "09.4", "09.q1"])
def test_no_answer_yet(number: str) -> None:
    assert "No answer yet" in check(number, ...).text
