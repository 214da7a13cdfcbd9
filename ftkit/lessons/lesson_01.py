"""Exercises of lesson 01: the five steps, and freezing by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.lessons.exercise import Exercise, choice, number
from ftkit.strategies import Custom, Strategy, make_strategy


class SmallNet(nn.Module):
    """A stand-in for BERT with the same names: a body of three layers and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
        self.classifier = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 4) to logits (B, 2)."""
        return self.classifier(self.bert(x))


def judge_freeze(answer: Any) -> str:
    """The answer is a function of a network that freezes `net.bert` and leaves `net.classifier` trainable."""
    if not callable(answer):
        return "The answer is a function: def freeze_body(net): …"
    net = SmallNet()
    try:
        answer(net)
    except AttributeError as error:
        return f"{error}. This small network has only net.bert and net.classifier; freeze all of net.bert."
    body = [p.requires_grad for p in net.bert.parameters()]
    head = [p.requires_grad for p in net.classifier.parameters()]
    if not any(body) and not any(head):
        return "Now the head is frozen too, so nothing would train. Freeze net.bert, not all of net."
    if all(body) and not any(head):
        return "That is the wrong half: the head is frozen, and the body trains. Freeze net.bert instead."
    if all(body):
        if getattr(net.bert, "requires_grad", None) is False:
            return ("net.bert.requires_grad = False only pins a label on the module. Set it on each parameter, or call "
                    "net.bert.requires_grad_(False).")
        if not net.bert.training:
            return "eval() switches dropout off. It freezes nothing: set requires_grad to False."
        return "Nothing is frozen yet. requires_grad must be False for each parameter of net.bert."
    if any(body):
        return "Some layers of the body are frozen and some are not. Loop over net.bert.parameters()."
    if not all(head):
        return "The body is right. But the head must go on training: leave net.classifier alone."
    return ""


def judge_optimizer(answer: Any) -> str:
    """The answer is a function that takes a network whose last body layer was just thawed, and returns an optimizer."""
    if not callable(answer) or isinstance(answer, torch.optim.Optimizer):
        return "The answer is a function that returns an optimizer: def rebuild(net): …"
    net = SmallNet()
    net.bert.requires_grad_(False)
    net.bert[2].requires_grad_(True)
    optimizer = answer(net)
    if not isinstance(optimizer, torch.optim.Optimizer):
        return f"The function returned {type(optimizer).__name__}. It must return a torch optimizer."
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [n for n, p in net.named_parameters() if p.requires_grad and id(p) not in held]
    extra = [n for n, p in net.named_parameters() if not p.requires_grad and id(p) in held]
    if missing:
        return f"{missing[0]} is thawed, but the optimizer does not know it: it would get a gradient and never move."
    if extra:
        return (f"{extra[0]} is frozen and yet in the optimizer. It works until an old gradient is lying about: then a "
                "frozen layer moves. Filter by requires_grad.")
    return ""


def judge_plan(answer: Any) -> str:
    """The answer is a strategy: head at rate 1, the last two blocks at 0.1, the rest frozen."""
    hints = (_judge_plan_on(answer, blocks, epoch) for blocks in (4, 7) for epoch in (0, 3))
    return next((hint for hint in hints if hint), "")


def _judge_plan_on(answer: Any, blocks: int, epoch: int) -> str:
    """The hint for a model of so many blocks in one epoch: a plan that fits one model only is not yet right."""
    names = ["stem", *(f"block {i}" for i in range(blocks)), "head"]
    net = nn.ModuleDict({name.replace(" ", "_"): nn.Linear(2, 2) for name in names})
    layers = LayerMap(net, [(name, [name.replace(" ", "_")]) for name in names])
    where = f"On a model of {blocks} blocks, in epoch {epoch}:"
    try:
        plan = make_strategy(answer if isinstance(answer, (str, Strategy)) else Custom(answer)).plan(layers, epoch)
    except UserError as error:
        return f"{where} {error} Name the last two blocks from the end: layers.blocks[-2:], and use block.name."
    scale = {group.name: plan[group.parameters[0]] for group in layers}
    if scale["head"] != 1:
        return f"{where} the head should train at the full rate, 1. Yours has {scale['head']:g}."
    if any(scale[name] for name in names[:-3]):
        return f"{where} only the last two blocks and the head may train. Yours trains more."
    wrong = next((name for name in names[-3:-1] if abs(scale[name] - 0.1) > 1e-9), None)
    return f"{where} {wrong} should train at a tenth of the rate, 0.1. Yours has {scale[wrong]:g}." if wrong else ""


EXERCISES = {
    "01.1": Exercise("600 training texts, batches of 16: how many optimizer steps has one epoch?",
                     number(38, 38, {37: "37 full batches leave 8 texts over. They are a batch too.",
                                     37.5: "There are no half steps: the last batch is smaller.",
                                     9600: "That is 600 times 16. Divide, and round up."},
                            "Divide 600 by 16, and round up."),
                     "37 full batches and one of 8."),
    "01.2": Exercise("Write freeze_body(net): net.bert frozen, net.classifier trainable.", judge_freeze,
                     "The body keeps what it knows, and the head can learn."),
    "01.3": Exercise("Some layers were just thawed. Write rebuild(net): an optimizer of exactly what trains.",
                     judge_optimizer, "Trap 1 avoided: what is thawed is in the optimizer, and nothing else is."),
    "01.4": Exercise("A strategy: head at rate 1, last two blocks at 0.1, rest frozen, for any number of blocks.",
                     judge_plan,
                     "A plan of your own. Train by it: ft.fit(model, data, ft.strategies.Custom(my_strategy))."),
    "01.q1": Exercise("Gradual unfreezing starts with the head alone because: a) the head is the largest part  "
                      "b) a fresh head sends useless gradients at first  c) the body cannot be trained",
                      choice("b", {"a": "The head is less than 2 % of bert-mini.",
                                   "c": "It can: full fine-tuning does it from the first step."}),
                      "While the head settles, the body is kept out of harm's way."),
    "01.q2": Exercise("Training loss falls to 0.05 while validation loss rises. This is: a) too low a "
                      "learning rate  b) overfitting  c) a frozen head",
                      choice("b", {"a": "Then the training loss would hardly fall.",
                                   "c": "That would not part the two losses. Here one falls and the other rises."}),
                      "The model learns these texts by heart. Stop earlier, freeze more, or find more data."),
}
