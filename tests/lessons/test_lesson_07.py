"""Exercises of lesson 07: each right answer is taken however it is written, each misconception gets its own hint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

import ftkit as ft
from ftkit.lessons import check
from ftkit.lessons.lesson_07 import LEARNED, kept
from ftkit.tasks import CausalLM
from ftkit.tasks.sampling import without_tail

# --- 07.2: top-p ------------------------------------------------------------------------------------------------------


def by_a_loop(probabilities: list[float], p: float) -> list[int]:
    total, places = 0.0, []
    for place in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        places.append(place)
        total += probabilities[place]
        if total >= p:
            break
    return places


def by_numpy(probabilities: list[float], p: float) -> np.ndarray:
    order = np.argsort(probabilities)[::-1]
    sums = np.cumsum(np.array(probabilities)[order])
    return order[: int(np.searchsorted(sums, p)) + 1]


def by_torch(probabilities: list[float], p: float) -> torch.Tensor:
    values, order = torch.tensor(probabilities).sort(descending=True)
    return order[values.cumsum(0) - values < p]


def by_ftkit(probabilities: list[float], p: float) -> list[int]:
    scores = without_tail(torch.tensor(probabilities).log(), top_p=p)
    return (scores > -math.inf).nonzero().flatten().tolist()


def best_first(row: list[float]) -> list[int]:
    return sorted(range(len(row)), key=lambda i: -row[i])


def too_few(row: list[float], p: float) -> list[int]:
    total, places = 0.0, []
    for place in best_first(row):
        total += row[place]
        if total > p:
            break
        places.append(place)
    return places


def unsorted(row: list[float], p: float) -> list[int]:
    return [i for i in range(len(row)) if sum(row[:i]) < p]


TOP_P = [kept, by_a_loop, by_numpy, by_torch, by_ftkit, lambda row, p: set(by_a_loop(row, p)),
         lambda row, p: tuple(kept(row, p))]
NOT_TOP_P = [
    (too_few, "reaches p belongs to them"), (unsorted, "Begin with the likeliest"),
    (lambda row, p: [i for i, share in enumerate(row) if share >= p], "have it together"),
    (lambda row, p: best_first(row)[: len(kept(row, p)) + 1], "one too many"),
    (lambda row, p: best_first(row)[-len(kept(row, p)):], "the unlikeliest"),
    (lambda row, p: list(range(len(row))), "Nothing has been left out|one too many"),
    (lambda row, p: [row[i] for i in kept(row, p)], "and not the probabilities"),
    (lambda row, p: best_first(row)[:1], "Add up|belongs to them"), (lambda row, p: None, "as a list"),
    (lambda row: [0], "TypeError"), ([0, 1], "a function")]

RIGHT = [
    *(("07.1", answer) for answer in (91, "91", np.int64(91), 91.0)),
    *(("07.2", answer) for answer in TOP_P),
    *(("07.3", answer) for answer in (1.86, 4.0 / math.log(2) / 3.1, "1.861", 4 / 0.693 / 3.1)),
    ("07.4", 512), ("07.4", "512"),
    ("07.5", LEARNED), ("07.5", {name.upper(): int(right) for name, right in LEARNED.items()}), ("07.q1", "b"),
    ("07.q1", " B)"),
]
WRONG: Sequence[tuple[str, Any, str]] = [
    ("07.1", 90, "the text ends"), ("07.1", 89, "Two are missing"), ("07.1", 1, "writes"), ("07.1", 92, "given"),
    ("07.1", 4096, "chooses between"), ("07.1", 8100, "one guess"), ("07.1", 50, "each of the 90"),
    ("07.1", True, "a number"), ("07.1", None, "No answer yet"),
    *(("07.2", answer, hint) for answer, hint in NOT_TOP_P),
    ("07.3", 4.0 / 3.1, "nats per byte"), ("07.3", 1.29, "nats per byte"), ("07.3", 5.77, "bits per token"),
    ("07.3", 17.889637, "share the bits"), ("07.3", 4.0 * math.log(2) / 3.1, "more"), ("07.3", 1.677539, "network B"),
    ("07.3", 54.59815, "perplexity"), ("07.3", 3, "0.693"),
    ("07.4", 1_048_576, "way in"), ("07.4", 1_049_088, "counts the token table"), ("07.4", 4_339_200, "all of them"),
    ("07.4", 256, "to add"), ("07.4", 0, "Not quite"), ("07.4", 790_272, "the head alone"), ("07.4", 7, "row of the"),
    *(("07.5", {**LEARNED, name: not LEARNED[name]}, hint) for name, hint in zip(
        LEARNED, ("It is given", "asking itself", "one thing", "plays the user"), strict=True)),
    ("07.5", {}, "No answer yet for the system's message"), ("07.5", [True], "a dict"),
    ("07.5", {**LEARNED, "what the user says": "no"}, "True or False"),
    ("07.q1", "a", "come back"), ("07.q1", "c", "copy"), ("07.q1", "d", "one letter"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers(number: str, answer: object) -> None:
    verdict = check(number, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_fits(number: str, answer: object, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert any(part in verdict.text for part in hint.split("|")), verdict


def test_what_the_questions_say_is_what_ftkit_computes() -> None:
    """The guesses of a text, the numbers of the head, what is learned of a chat: by the code that a training uses."""
    model = ft.load_backbone("gpt2-mini", CausalLM(()))
    text = ft.load_data("logbook").train.inputs[0]
    tokens = len(model.processor(text)["input_ids"])
    assert model.task.encode([text], [None], model.processor).targets == [tokens + 1]
    assert sum(model.layers.sizes[name] for name in model.layers["head"].parameters) == 512
    assert sum(model.layers.sizes[name] for name in (*model.layers["head"].parameters,
                                                     *model.layers.blocks[-1].parameters)) == 790_272
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Fog."}]
    ((_, labels, _),) = model.task.encode([chat], [None], model.processor).features
    assert model.processor.decode([label for label in labels if label >= 0]) == " Fog.<|endoftext|>"
