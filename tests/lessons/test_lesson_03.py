"""Lesson 03: every right answer is accepted, and the plausible wrong ones get the hint that names the mistake."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn
from torchvision.transforms import v2

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.lessons import check, exercises
from ftkit.lessons.lesson_03 import MEAN, STD
from ftkit.tasks import make_task

MEANS, STDS = torch.tensor(MEAN), torch.tensor(STD)


# --- 03.1: a picture becomes a tensor -------------------------------------------------------------------------------


def colours_last(picture: np.ndarray) -> Tensor:
    return (((torch.from_numpy(picture) / 255) - MEANS) / STDS).permute(2, 0, 1).unsqueeze(0)


def colours_first(picture: np.ndarray) -> Tensor:
    floats = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    return (floats - MEANS.view(1, 3, 1, 1)) / STDS.view(1, 3, 1, 1)


def by_numpy(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.moveaxis((picture / 255 - MEAN) / STD, -1, 0)[None])


def by_ftkit(picture: np.ndarray) -> Tensor:
    return ImagePreprocess().normalise(torch.from_numpy(picture).permute(2, 0, 1)[None])


def by_torchvision(picture: np.ndarray) -> Tensor:
    steps = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    return torch.as_tensor(steps(picture)[None])


def unit(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


def normal(images: Tensor) -> Tensor:
    return (images - MEANS.view(3, 1, 1)) / STDS.view(3, 1, 1)


# --- 03.2: measured in the middle of training -----------------------------------------------------------------------


def accuracy(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        share = (net(pictures).argmax(1) == labels).float().mean().item()
    net.train()
    return share


def accuracy_one_by_one(net: nn.Module, pictures: Tensor, labels: Tensor) -> Tensor:
    modes = {module: module.training for module in net.modules()}
    net.eval()
    right = torch.stack([net(picture[None]).argmax() == label for picture, label in zip(pictures, labels, strict=True)])
    for module, mode in modes.items():
        module.training = mode
    return right.double().mean()


def accuracy_of_a_copy(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    twin = copy.deepcopy(net).eval()
    return float(np.mean((twin(pictures).argmax(-1) == labels).numpy()))


def measured(how: Any) -> Any:
    def answer(net: nn.Module, pictures: Tensor, labels: Tensor) -> Any:
        net.eval()
        right = net(pictures).argmax(1) == labels
        net.train()
        return how(right)

    return answer


def in_train_mode(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (net(pictures).argmax(1) == labels).float().mean().item()


def left_in_eval(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    return (net.eval()(pictures).argmax(1) == labels).float().mean().item()


def over_the_wrong_axis(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    net.eval()
    best = net(pictures).argmax(0)
    net.train()
    return (best == labels[:5]).float().mean().item() + 0.01


def trained_a_little(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    share = accuracy(net, pictures, labels)
    next(net.parameters()).data.add_(1)
    return share


# --- 03.4: bursts ---------------------------------------------------------------------------------------------------


def whole_bursts(bursts: Sequence[str]) -> list[int]:
    chosen = sorted(set(bursts))[::5]
    return [i for i, burst in enumerate(bursts) if burst in chosen]


def by_sklearn(bursts: Sequence[str]) -> np.ndarray:
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=0)
    return next(splitter.split(list(bursts), groups=bursts))[1]


def as_mask(bursts: Sequence[str]) -> np.ndarray:
    return np.isin(np.array(bursts), sorted(set(bursts))[-3:])


def at_random(bursts: Sequence[str]) -> list[int]:
    return np.random.default_rng(0).permutation(len(bursts))[: len(bursts) // 5].tolist()


GOOD = {"signs": "shift", "cats and dogs": True, "digits": "shift", "hands, left or right": "shift",
        "where the ball lies": False}

RIGHT = [
    ("03.1", colours_last), ("03.1", colours_first), ("03.1", by_numpy), ("03.1", by_ftkit), ("03.1", by_torchvision),
    ("03.3", GOOD), ("03.3", {**GOOD, "faces": True}),
    ("03.2", accuracy), ("03.2", accuracy_one_by_one), ("03.2", accuracy_of_a_copy),
    ("03.4", whole_bursts), ("03.4", by_sklearn), ("03.4", as_mask), ("03.4", lambda b: set(whole_bursts(b))),
    ("03.4", lambda b: torch.tensor(whole_bursts(b))), ("03.4", lambda b: tuple(reversed(whole_bursts(b)))),
    ("03.q1", "a"), ("03.q1", "(A)"), ("03.q2", "b"),
]

WRONG = [
    ("03.1", "permute", "is a function"), ("03.1", lambda p: p, "takes a tensor"), ("03.1", lambda p: None, "NoneType"),
    ("03.1", lambda p: torch.from_numpy(p), "as files hold it"),
    ("03.1", lambda p: torch.from_numpy(p)[None], "Colours are still last"),
    ("03.1", lambda p: colours_last(p)[0], "batch is missing"),
    ("03.1", lambda p: torch.from_numpy(np.ascontiguousarray(p.T))[None] / 255, "lies on its side"),
    ("03.1", lambda p: colours_last(p)[:, :2], "must be (1, 3, 5, 7)"),
    ("03.1", lambda p: torch.from_numpy(p).permute(2, 0, 1)[None], "still whole"),
    ("03.1", lambda p: unit(p) - MEANS, "line up with the last axis"),
    ("03.1", lambda p: normal(torch.from_numpy(p).reshape(1, 3, 5, 7) / 255), "mixes up colours"),
    ("03.1", lambda p: torch.from_numpy((p / 255 - MEAN) / STD).reshape(1, 3, 5, 7), "mixes up colours"),
    ("03.1", unit, "0 to 1 now"), ("03.1", lambda p: unit(p) * 255, "still 0 to 255"),
    ("03.1", lambda p: normal(unit(p) * 255), "divide by 255 first"),
    ("03.1", lambda p: normal(normal(unit(p))), "normalised twice"),
    ("03.1", lambda p: normal(unit(p) / 255), "Divided by 255 twice"),
    ("03.1", lambda p: normal(unit(p).flip(1)), "Red and blue"),
    ("03.1", lambda p: unit(p) - MEANS.view(3, 1, 1), "Divide by STD too"),
    ("03.1", lambda p: unit(p) / STDS.view(3, 1, 1), "Subtract MEAN first"),
    ("03.1", lambda p: (unit(p) - STDS.view(3, 1, 1)) / MEANS.view(3, 1, 1), "changed places"),
    ("03.1", lambda p: (unit(p) - unit(p).mean()) / unit(p).std(correction=0), "own mean"),
    ("03.1", lambda p: (unit(p) - unit(p).mean((2, 3), keepdim=True)) / unit(p).std((2, 3), keepdim=True,
                                                                                    correction=0), "own mean"),
    ("03.1", lambda p: unit(p) * 2 - 1, "other networks"),
    ("03.1", lambda p: normal(unit(p)) + 1, "the numbers are not"),
    ("03.1", lambda p: 1 / 0, "ZeroDivisionError"),
    ("03.3", "shift", "is a dict"), ("03.3", {"signs": "shift"}, "'cats and dogs' is missing"),
    ("03.3", {**GOOD, "signs": ...}, "signs: no answer yet"),
    ("03.3", {**GOOD, "signs": "mirror"}, "no value of augment"),
    ("03.3", {**GOOD, "signs": True}, "curve to the left"), ("03.3", {**GOOD, "signs": False}, "the same sign"),
    ("03.3", {**GOOD, "cats and dogs": "shift"}, "not wrong"),
    ("03.3", {**GOOD, "cats and dogs": False}, "still a cat"),
    ("03.3", {**GOOD, "digits": True}, "a 3 is no digit"), ("03.3", {**GOOD, "digits": False}, "the same digit"),
    ("03.3", {**GOOD, "hands, left or right": True}, "is a right hand"),
    ("03.3", {**GOOD, "hands, left or right": False}, "the same hand"),
    ("03.3", {**GOOD, "where the ball lies": True}, "place is the label"),
    ("03.3", {**GOOD, "where the ball lies": "shift"}, "near a border"),
    ("03.2", 0.75, "is a function"), ("03.2", in_train_mode, "running statistics"),
    ("03.2", left_in_eval, "stays in eval mode"), ("03.2", over_the_wrong_axis, "argmax(1)"),
    ("03.2", trained_a_little, "has changed"), ("03.2", measured(lambda right: right.sum()), "divide by the number"),
    ("03.2", measured(lambda right: 100 * right.float().mean().item()), "in percent"),
    ("03.2", measured(lambda right: right), "one answer per picture"), ("03.2", lambda *_: None, "NoneType"),
    ("03.2", measured(lambda right: 1 - right.float().mean().item()), "not the accuracy"),
    ("03.4", [0, 1], "is a function"), ("03.4", at_random, "nearly the same picture"),
    ("03.4", lambda b: list(range(0, len(b), 5)), "on both sides"),
    ("03.4", lambda b: range(len(b) - len(b) // 5 + 1, len(b)), "on both sides"),
    ("03.4", lambda b: list(range(48, 60)) if len(b) == 60 else at_random(b), "on both sides"),
    ("03.4", lambda b: sorted(set(b))[:3], "as one list"), ("03.4", lambda b: None, "as one list"),
    ("03.4", lambda b: (whole_bursts(b), whole_bursts(b)), "as one list"), ("03.4", lambda b: 0.2, "as one list"),
    ("03.4", lambda b: [i + 0.5 for i in whole_bursts(b)], "as one list"),
    ("03.4", lambda b: [], "0 of 60"), ("03.4", lambda b: range(len(b)), "60 of 60"),
    ("03.4", lambda b: [*whole_bursts(b), len(b)], "indices run from 0 to 59"),
    ("03.4", lambda b: [-1], "from 0 to 59"),
    ("03.4", lambda b: [*whole_bursts(b), whole_bursts(b)[0]], "in the list twice"),
    ("03.q1", "b", "no two scores"), ("03.q1", "c", "the real thing"), ("03.q2", "a", "what the data taught"),
    ("03.q2", "c", "same habit"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers_of_lesson_03(number: str, answer: object) -> None:
    verdict = check(number, answer)
    assert verdict, verdict


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_answers_of_lesson_03(number: str, answer: object, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert hint in verdict.text, verdict


def test_every_exercise_of_lesson_03_is_tried_both_ways() -> None:
    assert {number for number, _ in RIGHT} == {number for number, *_ in WRONG} == set(exercises("03"))


@pytest.mark.parametrize("number", ["03.1", "03.2", "03.4"])
def test_an_empty_function_of_lesson_03_is_not_yet_right(number: str) -> None:
    assert not check(number, lambda *_: None)


def test_what_the_exercise_asks_is_what_ftkit_does() -> None:
    """The mean and the deviation of 03.1 are those of the bundled backbones, and 'shift' is a value of augment."""
    assert (ImagePreprocess().mean, ImagePreprocess().std) == (MEAN, STD)
    task = make_task("image-classification", ["a", "b"], False)
    assert {"augment", "mirror"} <= set(task.__dataclass_fields__)
