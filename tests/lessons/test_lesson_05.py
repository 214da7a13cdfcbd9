"""Exercises of lesson 05: each right answer is taken however it is written, each misconception gets its own hint."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ftkit.backbones.sound import SoundPreprocess
from ftkit.lessons import check
from ftkit.lessons.lesson_05 import TRANSCRIPTS
from ftkit.tasks.decoding import collapse
from ftkit.tasks.spelling import error_rates

# --- 05.2: collapsing a path -----------------------------------------------------------------------------------------


def by_groupby(row: list[int], blank: int) -> list[int]:
    return [one for one, _ in itertools.groupby(row) if one != blank]


def by_a_loop(row: list[int], blank: int) -> list[int]:
    kept, before = [], None
    for one in row:
        if one != before and one != blank:
            kept.append(one)
        before = one
    return kept


def by_torch(row: list[int], blank: int) -> torch.Tensor:
    once = torch.unique_consecutive(torch.tensor(row, dtype=torch.long))
    return once[once != blank]


def by_numpy(row: list[int], blank: int) -> np.ndarray:
    numbers = np.array(row, dtype=int)
    starts = np.append([True], numbers[1:] != numbers[:-1])[: len(numbers)]
    return numbers[starts & (numbers != blank)]


def a_generator(row: list[int], blank: int) -> Any:
    return (one for one in by_groupby(row, blank))


COLLAPSED = [collapse, by_groupby, by_a_loop, by_torch, by_numpy, a_generator,
             lambda row, blank: tuple(by_a_loop(row, blank))]

NOT_COLLAPSED = [
    (lambda row, blank: [one for one in row if one != blank], "repeats are still in"),
    (lambda row, blank: [one for one, _ in itertools.groupby(one for one in row if one != blank)], "Repeats first"),
    (lambda row, blank: [one for one, _ in itertools.groupby(row)], "blanks are still in"),
    (lambda row, blank: list(dict.fromkeys(one for one in row if one != blank)), "may come again later"),
    (lambda row, blank: sorted(set(row) - {blank}), "may come again later"),
    (lambda row, blank: [one for one, _ in itertools.groupby(row) if one], "not always number 0"),
    (lambda row, blank: collapse(row, blank)[:-1], "it must be"), (lambda row, blank: row, "Nothing has changed"),
    (lambda row, blank: None, "as a list"), (lambda row, blank: "hello", "as a list"), (lambda row: row, "TypeError"),
    ([8, 5], "a function"),
]

# --- 05.5: transcripts -----------------------------------------------------------------------------------------------

WRITTEN = dict(TRANSCRIPTS)
OTHERS = [("a", "cannot be heard"), ("b", "twenty five"), ("c", "spelt d, r"), ("d", "said twice"), ("e", "grammar")]

RIGHT = [
    *(("05.1", answer) for answer in (125, 124, 124.75, "125", np.int64(124), 40_000 / 320)),
    *(("05.2", answer) for answer in COLLAPSED),
    *(("05.3", answer) for answer in (0.51, 0.4 * 0.3 + 0.4 * 0.6 + 0.5 * 0.3, "0.51", np.float32(0.51))),
    *(("05.4", answer) for answer in ((0.12, 0.6), [3 / 25, 3 / 5], {"cer": 0.12, "wer": 0.6}, np.array([0.12, 0.6]),
                                      {"WER": 0.6, "CER": 0.12}, ("0.12", "0.60"))),
    ("05.5", WRITTEN), ("05.5", {name.upper(): int(right) for name, right in WRITTEN.items()}),
    ("05.5", {name: np.bool_(right) for name, right in reversed(WRITTEN.items())}), ("05.q1", "c"), ("05.q1", " C)"),
]

WRONG: Sequence[tuple[str, Any, str]] = [
    ("05.1", 40_000, "the samples"), ("05.1", 50, "one second"), ("05.1", 250, "every 20"), ("05.1", 2000, "320"),
    ("05.1", 20, "How many of them"), ("05.1", 100, "two and a half"), ("05.1", 126, "How often"),
    ("05.1", True, "a number"), ("05.1", "many", "a number"), ("05.1", 320, "in samples"),
    *(("05.2", answer, hint) for answer, hint in NOT_COLLAPSED),
    ("05.3", 0.12, "path a, a"), ("05.3", 0.24, "a, blank"), ("05.3", 0.15, "blank, a"), ("05.3", 0.39, "goes on"),
    ("05.3", 0.3, "its text is empty"), ("05.3", 0.7, "multiplied"), ("05.3", 0.58, "\"ab\""), ("05.3", 51, "share"),
    ("05.3", 0.5, "Three paths"), ("05.3", None, "No answer yet"), ("05.3", [0.51], "a number"),
    ("05.4", (0.6, 0.12), "other order"), ("05.4", (12, 60), "as shares"), ("05.4", (0.08, 0.6), "is a sign too"),
    ("05.4", (3 / 24, 0.6), "were *said*, 25"), ("05.4", (1 / 7, 0.6), "the spaces too"), ("05.4", (3, 3), "Divide"),
    ("05.4", (0.88, 0.4), "share that is right"), ("05.4", (2 / 21, 0.6), "spaces are signs"),
    ("05.4", (0.3, 0.6), "CER: count"), ("05.4", (0.12, 0.4), "one superfluous one"), ("05.4", (0.12, 0.5), "6 that"),
    ("05.4", (0.12, 0.8), "three errors are enough"), ("05.4", (0.12, 0.2), "sounds the same"),
    ("05.4", (0.12, 1 / 3), "superfluous word"), ("05.4", (0.12, 0.9), "WER: count"),
    ("05.4", (0.12, 3), "three errors"),
    ("05.4", 0.12, "two numbers"), ("05.4", (0.12,), "two numbers"), ("05.4", {"cer": 0.12}, "As a dict"),
    ("05.4", (..., ...), "two numbers"), ("05.4", (True, True), "two numbers"),
    *(("05.5", {**WRITTEN, name: not WRITTEN[name]}, hint) for name, hint in OTHERS),
    ("05.5", {**WRITTEN, "c": ...}, "No answer yet for c"), ("05.5", {}, "No answer yet for a, b"),
    ("05.5", {**WRITTEN, "b": "no"}, "True or False"), ("05.5", [True], "a dict"),
    ("05.5", dict.fromkeys(WRITTEN, True), "Row b"), ("05.5", dict.fromkeys(WRITTEN, False), "Row a"),
    ("05.q1", "a", "in train and in test"), ("05.q1", "b", "makes sure"), ("05.q1", "d", "one letter"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers(number: str, answer: object) -> None:
    verdict = check(number, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_fits(number: str, answer: object, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert hint in verdict.text, verdict


def test_what_the_questions_say_is_what_ftkit_computes() -> None:
    """Frames, error rates, and the sum over the paths, each by the code that a training uses."""
    assert SoundPreprocess().frames(40_000) == 124
    rates = error_rates(["to reefs in the top sail"], ["two reefs in the topsails"])
    assert (rates["cer"], rates["wer"]) == (pytest.approx(0.12), pytest.approx(0.6))
    table = np.array([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1]])
    sums = torch.nn.functional.ctc_loss(torch.tensor(table).log()[:, None], torch.tensor([[1]]), torch.tensor([2]),
                                        torch.tensor([1]), reduction="sum")
    assert float(torch.exp(-sums)) == pytest.approx(0.51)


def test_an_answer_cannot_spoil_the_rows() -> None:
    def rude(row: list[int], blank: int) -> list[int]:
        answer = by_groupby(row, blank)
        row.clear()
        return answer

    assert check("05.2", rude)
    assert check("05.2", by_groupby)
