"""Exercises of lesson 08: right answers however they are written, and each misconception with a hint of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ftkit as ft
from ftkit.lessons import check


def merge(w: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    return w + alpha / len(a) * b @ a


def merge_by_addmm(w: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    return torch.addmm(w, b, a, alpha=alpha / a.shape[0])


def merge_by_einsum(w: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    return w.clone() + torch.einsum("or,ri->oi", b, a) * (alpha / b.shape[1])


def in_place(w: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    w += alpha / len(a) * b @ a
    return w


RIGHT: list[tuple[str, Any]] = [
    ("08.1", 5120), ("08.1", 5120.0), ("08.1", np.int64(5120)), ("08.1", "5120"), ("08.2", merge),
    ("08.2", merge_by_addmm), ("08.2", merge_by_einsum), ("08.3", "c"), ("08.3", " C)"),
    ("08.4", ft.strategies.LoRA(r=4, last=2, where="attention")), ("08.4", "lora:r=4,last=2,where=attention"),
    ("08.4", "lora:r=4,alpha=8,last=2,where=attention,inner=gradual"), ("08.5", 0.225), ("08.5", 0.75 * 0.2 + 0.075),
    ("08.q1", "b"), ("08.q2", "b")]

WRONG: list[tuple[str, Any, str]] = [
    ("08.1", 262_144, "That is the matrix itself"), ("08.1", 1280, "rank 1"), ("08.1", 1024, "B alone"),
    ("08.1", 4096, "A alone"), ("08.1", 267_264, "How many of them train"), ("08.1", 5, "Two thin matrices"),
    ("08.1", "many", "The answer is a number"),
    ("08.2", lambda w, a, b, alpha: w + b @ a, "its factor is missing"),
    ("08.2", lambda w, a, b, alpha: w + alpha * b @ a, "divided by the rank"),
    ("08.2", lambda w, a, b, alpha: w + b @ a / len(a), "The factor is alpha / r"),
    ("08.2", lambda w, a, b, alpha: w + alpha / a.shape[1] * b @ a, "number of inputs"),
    ("08.2", lambda w, a, b, alpha: alpha / len(a) * b @ a, "the change alone"),
    ("08.2", lambda w, a, b, alpha: w - alpha / len(a) * b @ a, "added, not taken away"),
    ("08.2", lambda w, a, b, alpha: w, "as it was"), ("08.2", lambda w, a, b, alpha: 2 * w, "numbers are not"),
    ("08.2", lambda w, a, b, alpha: (w + alpha / len(a) * b @ a).T, "which product has W's shape"),
    ("08.2", lambda w, a, b, alpha: None, "Yours returned NoneType"), ("08.2", in_place, "W itself has changed"),
    ("08.2", 3, "The answer is a function"), ("08.2", lambda w: w, "raised TypeError"),
    ("08.3", "a", "What is B in the first step"), ("08.3", "b", "the other way round"),
    ("08.4", "full", "That is 'full'"), ("08.4", "lora:r=8,last=2,where=attention", "The rank is 8"),
    ("08.4", "lora:r=4,where=attention", "in all blocks"), ("08.4", "lora:r=4,last=1,where=attention", "in the last 1"),
    ("08.4", ft.strategies.LoRA(r=4, last=2), "adapts more than attention"), ("08.4", "lora:rank=4", "Unknown option"),
    ("08.4", {"r": 4}, "A strategy is a name such as"),
    ("08.5", 0.275, "from the end"), ("08.5", 0.25, "the middle"), ("08.5", 0.15, "Add alpha times"),
    ("08.q1", "a", "They share one base"), ("08.q1", "c", "the base is needed"),
    ("08.q2", "a", "through the whole network"), ("08.q2", "c", "crosses every block")]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right(exercise: str, answer: Any) -> None:
    verdict = check(exercise, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("exercise", "answer", "hint"), WRONG)
def test_wrong(exercise: str, answer: Any, hint: str) -> None:
    verdict = check(exercise, answer)
    assert not verdict
    assert hint in verdict.text


def test_every_exercise_is_tried() -> None:
    assert {number for number, _ in RIGHT} == set(ft.lessons.exercises("08"))


def test_what_the_exercises_say_is_so() -> None:
    """08.3: after one step without weight decay B has moved and A has not."""
    from nets import data_for, tiny

    from ftkit.training import TrainSession

    model = tiny("bert")
    session = TrainSession(model, data_for("text"), "lora:r=2", epochs=1, weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in model.net.named_parameters()}
    moved = []
    for _ in range(2):
        session.step()
        changed = [name for name, p in model.net.named_parameters() if not torch.equal(p, before[name])]
        moved.append({part for name in changed for part in ("lora_A", "lora_B") if part in name})
    assert moved == [{"lora_B"}, {"lora_A", "lora_B"}]
