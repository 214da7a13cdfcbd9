"""Exercise checks accept every right answer and answer the plausible wrong ones with a hint of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import ftkit as ft
from ftkit.lessons import check


def freeze_by_loop(net: nn.Module) -> None:
    for parameter in net.bert.parameters():
        parameter.requires_grad = False


def freeze_by_name(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        parameter.requires_grad = "classifier" in name


def rebuild(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)


def last_two(layers: ft.LayerMap, epoch: int) -> dict[str, float]:
    return {"head": 1, **{block.name: 0.1 for block in layers.blocks[-2:]}}


def freeze_norms(net: nn.Module) -> None:
    net.body.requires_grad_(False)
    net.body.eval()


def freeze_norms_for_good(net: nn.Module) -> None:
    for module in net.body.modules():
        module.train(False)
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad = False


def thaw(block: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    block.requires_grad_(True)
    optimizer.add_param_group({"params": list(block.parameters())})


def thaw_into_the_first_group(block: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for parameter in block.parameters():
        parameter.requires_grad = True
        optimizer.param_groups[0]["params"].append(parameter)
    return optimizer


def thaw_by_a_new_optimizer(block: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    block.requires_grad_(True)
    return torch.optim.AdamW([*optimizer.param_groups[0]["params"], *block.parameters()])


class Played:
    """A playground with these curves."""

    def __init__(self, *curves: tuple[str, int]) -> None:
        self.curves = [{"name": name, "valid": [[1, 0.5, 0.5]] * count} for name, count in curves]

    def snapshot(self) -> dict[str, object]:
        return {"curves": self.curves}


RIGHT = [
    ("04.1", "b"), ("04.2", freeze_norms), ("04.2", freeze_norms_for_good), ("04.3", thaw),
    ("04.3", thaw_into_the_first_group), ("04.4", Played(("head only", 2), ("everything", 1))), ("04.q1", "b"),
    ("04.q2", "b"),
    ("00.1", 148_610), ("00.2", "b"), ("00.2", " B "), ("00.3", 0), ("00.3", 0.0), ("00.q1", "b"), ("00.q2", "c"),
    ("01.1", 38), ("01.1", 38.0), ("01.2", freeze_by_loop), ("01.2", freeze_by_name),
    ("01.2", lambda net: net.bert.requires_grad_(False)), ("01.3", rebuild),
    ("01.3", lambda net: torch.optim.AdamW(filter(lambda p: p.requires_grad, net.parameters()))),
    ("01.4", last_two), ("01.4", ft.strategies.Custom(last_two)), ("00.1", np.int64(148_610)),
    ("00.1", "148610"), ("00.3", np.float32(0)),
    ("00.2", "b)"), ("00.2", "(b)"), ("01.q1", "b"), ("01.q2", "b"),
]

WRONG = [
    ("04.1", "a", "stops at the first"), ("04.1", "c", "does not follow"),
    ("04.2", lambda net: net.body.requires_grad_(False), "averages what it sees"),
    ("04.2", lambda net: net.body.eval(), "still want gradients"),
    ("04.2", lambda net: net.requires_grad_(False), "head is frozen too"),
    ("04.2", lambda net: (net.requires_grad_(False), net.eval(), net.head.requires_grad_(True)), "stay in train mode"),
    ("04.2", lambda net: (freeze_norms(net), net.body[0].weight.data.zero_()), "must not change"),
    ("04.2", "eval", "a function"), ("04.3", 1, "a function"),
    ("04.3", lambda block, optimizer: None, "still frozen"),
    ("04.3", lambda block, optimizer: block.requires_grad_(True), "never move"),
    ("04.3", thaw_by_a_new_optimizer, "begin at zero again"),
    ("04.3", lambda block, optimizer: torch.optim.AdamW(block.requires_grad_(True).parameters()), "no longer knows"),
    ("04.4", "play", "playground itself"), ("04.4", Played(("head only", 2)), "only one curve"),
    ("04.4", Played(("head only", 2), ("head only", 2)), "the same plan"),
    ("04.4", Played(("head only", 2), ("everything", 0)), "before its first validation"),
    ("04.q1", "a", "no gradient"), ("04.q1", "c", "running statistics"), ("04.q2", "a", "It can"),
    ("00.1", 9_842_306, "whole model"), ("00.1", 770, "pooler too"), ("00.1", 6, "layer groups"),
    ("00.1", "many", "a number"), ("00.1", True, "a number"), ("00.2", "a", "No weight was removed"),
    ("00.2", "c", "all training examples"), ("00.2", "z", "one letter"), ("00.3", 0.01, "frozen"),
    ("01.1", 37, "leave 8 texts"), ("01.1", 9600, "Divide"), ("01.1", 5, "round up"),
    ("01.2", lambda net: net.requires_grad_(False), "head is frozen too"),
    ("01.2", lambda net: None, "Nothing is frozen"),
    ("01.2", lambda net: net.classifier.requires_grad_(False), "wrong half"),
    ("01.2", lambda net: setattr(net.bert, "requires_grad", False), "label"),
    ("01.2", lambda net: net.bert[0].requires_grad_(False), "Some layers"), ("01.2", 3, "function"),
    ("01.2", lambda net: 1 / 0, "ZeroDivisionError"),
    ("01.3", lambda net: torch.optim.SGD(net.classifier.parameters(), lr=0.1), "never move"),
    ("01.3", lambda net: torch.optim.SGD(net.parameters(), lr=0.1), "frozen and yet"),
    ("01.3", lambda net: None, "NoneType"),
    ("01.4", "last_k:k=2", "tenth"), ("01.4", "full", "trains more"), ("01.4", "probe", "tenth"),
    ("01.4", {"head": 1, "block 9": 0.1}, "from the end"),
    ("01.4", "custom:head=1,block_2=0.1,block_3=0.1", "7 blocks"),
    ("01.4", lambda layers, epoch: last_two(layers, epoch) if epoch == 0 else {"head": 1}, "epoch 3"),
    ("01.4", lambda layers, epoch: {"head": 1, **dict.fromkeys(layers.blocks[-2:], 0.1)}, "block.name"),
    ("01.2", lambda net: net.bert.eval(), "freezes nothing"),
    ("01.2", lambda net: net.bert.pooler.requires_grad_(False), "only net.bert and net.classifier"),
    ("00.1", 149_000, "rounded"), ("00.3", 0.2049, "row of the head"), ("00.3", 0.0224, "fine-tuned model"),
    ("01.4", {"block 2": 0.1, "block 3": 0.1}, "head"),
    ("00.q2", "a", "every epoch"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers(number: str, answer: object) -> None:
    verdict = check(number, answer)
    assert verdict, verdict
    assert repr(verdict).startswith("Right")


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_fits(number: str, answer: object, hint: str) -> None:
    verdict = check(number, answer)
    assert not verdict
    assert hint in verdict.text


@pytest.mark.parametrize("blank", [None, ...])
def test_no_answer_shows_the_question(blank: object) -> None:
    assert "No answer yet" in repr(check("00.1", blank))


def test_unknown_exercise_names_the_nearest() -> None:
    with pytest.raises(ft.errors.UnknownName, match=r"Did you mean '01\.2'"):
        check("1.2", 0)


def test_an_empty_function_is_no_answer_and_no_error() -> None:
    """What the notebook holds before the student writes anything."""

    def freeze_body(net: nn.Module) -> None: ...

    assert "Nothing is frozen" in check("01.2", freeze_body).text
