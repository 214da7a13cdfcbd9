"""Exercises of lesson 02: each right answer is taken however it is written, each misconception gets its own hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import precision_recall_curve, recall_score
from sklearn.utils.class_weight import compute_class_weight

from ftkit.lessons import check
from ftkit.lessons.lesson_02 import _best_cut, _found, _two_splits

Scored = tuple[np.ndarray, np.ndarray]


# --- 02.2: a temperature ---------------------------------------------------------------------------------------------


def by_power(probabilities: np.ndarray, t: float) -> np.ndarray:
    powered = probabilities ** (1 / t)
    return powered / powered.sum(axis=1, keepdims=True)


SOFT = [
    by_power, lambda p, t: softmax(np.log(p) / t, axis=1), lambda p, t: torch.softmax(torch.tensor(p).log() / t, -1),
    lambda p, t: [by_power(row[None], t)[0].tolist() for row in p],
    lambda p, t: softmax((np.log(p) - np.log(p[:, :1])) / t, axis=-1),
]

NOT_SOFT = [
    (lambda p, t: p / t / (p / t).sum(1, keepdims=True), "Nothing has changed"),
    (lambda p, t: p, "Nothing has changed"),
    (lambda p, t: by_power(p, 1 / t), "wrong way round"), (lambda p, t: softmax(p / t, axis=1), "Go back to logits"),
    (lambda p, t: p / t, "add up to 1"), (lambda p, t: softmax(np.log(p) / t, axis=0), "add up to 1"),
    (lambda p, t: 1 - by_power(p, t) if p.shape[1] == 2 else p, "Some answers have changed"),
    (lambda p, t: p / 2 + 0.5 / p.shape[1], "but not by a temperature"),
    (lambda p, t: p[:, 0], "of the shape (6, 2)"), (lambda p, t: None, "of the shape"), (2.0, "a function"),
]

# --- 02.3: class weights ---------------------------------------------------------------------------------------------


def balanced(counts: list[int]) -> list[float]:
    return [sum(counts) / (len(counts) * count) for count in counts]


def by_scikit_learn(counts: list[int]) -> Any:
    classes = np.arange(len(counts))
    return compute_class_weight("balanced", classes=classes, y=np.repeat(classes, counts))


WEIGHTS = [
    balanced, by_scikit_learn, lambda counts: [1 / count for count in counts],
    lambda counts: tuple(max(counts) / count for count in counts), lambda counts: 1 / torch.tensor(counts),
    lambda counts: dict(enumerate(balanced(counts))), lambda counts: 7 / np.array(counts),
]

NO_WEIGHTS = [
    (lambda counts: [count / sum(counts) for count in counts], "inverse of the frequency"),
    (lambda counts: counts, "inverse of the frequency"), (lambda counts: [1.0] * len(counts), "no weight at all"),
    (lambda counts: [1 - count / sum(counts) for count in counts], "not for three"),
    (lambda counts: [counts[1] / sum(counts), counts[0] / sum(counts), 1][: len(counts)], "not for three"),
    (lambda counts: [count**-0.5 for count in counts], "square root"),
    (lambda counts: [9.0, 1.0, 1.0][: len(counts)], "weight times count comes out as"),
    (lambda counts: [0, 1, 1][: len(counts)], "above zero"), (lambda counts: 1 / counts, "TypeError"),
    (lambda counts: [1 / count for count in counts][:1], "2 weights"), ([5, 0.6], "a function"),
    (lambda counts: None, "one number per class"), (lambda counts: "balanced", "returned str"),
]


# --- 02.4: a cut-off -------------------------------------------------------------------------------------------------


def by_sorting(valid: Scored, test: Scored) -> tuple[float, float]:
    p, complaint = valid
    falling = np.sort(p[complaint])[::-1]
    cut = falling[int(np.ceil(0.9 * len(falling))) - 1]
    return cut, (test[0][test[1]] >= cut).mean()


def by_a_loop(valid: Scored, test: Scored) -> list[float]:
    p, complaint = valid
    cut = 1.0
    while recall_score(complaint, p >= cut) < 0.9:
        cut -= 0.01
    return [cut, recall_score(test[1], test[0] >= cut)]


def by_the_curve(valid: Scored, test: Scored) -> np.ndarray:
    _, recall, cuts = precision_recall_curve(valid[1], valid[0])
    cut = cuts[recall[:-1] >= 0.9].max()
    return np.array([cut, recall_score(test[1], test[0] >= cut)])


def with_cut(cut: float) -> Any:
    return lambda valid, test: (cut, _found(cut, test))


def best_on_valid_but(told: Any) -> Any:
    return lambda valid, test: (_best_cut(valid), told(_best_cut(valid), valid, test))


CUTS = [by_sorting, by_a_loop, by_the_curve,
        best_on_valid_but(lambda cut, valid, test: torch.tensor(_found(cut, test)))]

NO_CUTS = [
    (lambda valid, test: by_sorting(test, test), "no honest number is left"),
    (lambda valid, test: by_sorting(test, valid), "no honest number is left"),
    (lambda valid, test: by_sorting(valid, valid), "90 % by construction"),
    (with_cut(0.9), "Lower it"), (with_cut(0.0), "false alarms. A higher"), (with_cut(0.5), "what nobody chose"),
    (best_on_valid_but(lambda cut, valid, test: 100 * _found(cut, test)), "share between 0 and 1"),
    (best_on_valid_but(lambda cut, valid, test: ((test[0] >= cut) == test[1]).mean()), "Recall is: complaints found"),
    (best_on_valid_but(lambda cut, valid, test: test[1][test[0] >= cut].mean()), "Recall is: complaints found"),
    (lambda valid, test: None, "two numbers"), (lambda valid, test: 0.5, "two numbers"), ((0.4, 0.9), "a function"),
    (lambda valid, test: (1, 2, 3), "two numbers"), (lambda valid: 1, "TypeError"),
]


RIGHT = [
    *(("02.1", answer) for answer in (1e-3 / 2.6**2, 1.48e-4, 0.00015, "1.479e-4", np.float32(1.479e-4))),
    *(("02.2", answer) for answer in SOFT), *(("02.3", answer) for answer in WEIGHTS),
    *(("02.4", answer) for answer in CUTS), ("02.q1", "b"), ("02.q2", " C)"),
]

WRONG: Sequence[tuple[str, Any, str]] = [
    ("02.1", 3.85e-4, "block 3, the one right below"), ("02.1", 5.7e-5, "That is block 1"),
    ("02.1", 2.19e-5, "block 0"), ("02.1", 0.148, "scale times the rate"), ("02.1", 6.76e-3, "divide"),
    ("02.1", 1.92e-4, "not 2.6 twice"),
    ("02.1", 1e-3, "rate of the head"), ("02.1", 0.5, "by 2.6 again"), ("02.1", "small", "a number"),
    ("02.1", True, "a number"), ("02.1", [1e-4], "a number"),
    *(("02.2", answer, hint) for answer, hint in NOT_SOFT), *(("02.3", answer, hint) for answer, hint in NO_WEIGHTS),
    *(("02.4", answer, hint) for answer, hint in NO_CUTS),
    ("02.q1", "a", "decide alone"), ("02.q1", "c", "recall is 0 %"), ("02.q2", "a", "no answer changes"),
    ("02.q2", "b", "ranking stays"), ("02.q2", "d", "one letter"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers(number: str, answer: object) -> None:
    verdict = check(number, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_fits(number: str, answer: object, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert hint in verdict.text


@pytest.mark.parametrize("seed", range(3))
def test_the_two_splits_want_different_cut_offs(seed: int) -> None:
    """Else whoever tunes on the test split would not be found out."""
    valid, test = _two_splits(seed)
    assert _best_cut(test) < _best_cut(valid) - 0.05
    assert _found(_best_cut(valid), test) < 0.85
    assert _found(0.5, valid) < 0.85, "0.5 is not right by chance"


def test_an_answer_cannot_spoil_the_splits() -> None:
    """A function that changes what it is given is judged by what it was given."""

    def rude(valid: Scored, test: Scored) -> tuple[float, float]:
        answer = by_sorting(valid, test)
        for p, complaint in (valid, test):
            p[:], complaint[:] = 0, True
        return answer

    assert check("02.4", rude)
