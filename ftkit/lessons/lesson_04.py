"""Exercises of lesson 04: the layer-freezing lab."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ftkit.lessons.exercise import Exercise, choice


class NormNet(nn.Module):
    """A body with a BatchNorm layer, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 4) to logits (B, 2)."""
        return self.head(self.body(x))


def judge_batchnorm(answer: Any) -> str:
    """The answer is a function that freezes `net.body` so that nothing in it changes, its statistics included."""
    if not callable(answer):
        return "The answer is a function: def freeze(net): …"
    torch.manual_seed(0)
    net = NormNet()
    net.train()  # as every training loop does before it begins
    before = {name: tensor.clone() for name, tensor in net.body.state_dict().items()}
    answer(net)
    if not any(p.requires_grad for p in net.head.parameters()):
        return "Now the head is frozen too, so nothing would train. Freeze net.body only."
    if any(p.requires_grad for p in net.body.parameters()):
        return "Some parameters of net.body still want gradients. That half you know from lesson 01."
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        net(3 + 2 * torch.randn(8, 4)).sum().backward()
        optimizer.step()
    moved = [name for name, tensor in net.body.state_dict().items() if not torch.equal(tensor, before[name])]
    if any("running" in name for name in moved):
        return (f"No weight moves, but {moved[0]} does: BatchNorm averages what it sees while it is in train mode. "
                "Which mode does it have to be in?")
    if moved:
        return f"{moved[0]} has changed. Freezing must not change the network itself."
    return "" if net.head.training else "The body is right. But the head must stay in train mode: leave net.head alone."


def judge_thaw(answer: Any) -> str:
    """The answer is a function of (block, optimizer) that thaws a block in the middle of training."""
    if not callable(answer):
        return "The answer is a function: def thaw(block, optimizer): …"
    net = NormNet()
    net.body.requires_grad_(False)
    optimizer = torch.optim.AdamW(net.head.parameters(), lr=0.1)
    net(torch.randn(8, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    block = net.body[3]
    returned = answer(block, optimizer)
    if not all(p.requires_grad for p in block.parameters()):
        return "The block is still frozen: requires_grad must be True for each of its parameters."
    used = returned if isinstance(returned, torch.optim.Optimizer) else optimizer
    held = [id(p) for group in used.param_groups for p in group["params"]]
    missing = [name for name, p in block.named_parameters() if id(p) not in held]
    if missing:
        return f"The block's {missing[0]} gets gradients, but the optimizer does not know it: it would never move."
    if any(id(p) not in held for p in net.head.parameters()):
        return "Now the optimizer no longer knows the head. Add the block to what it has."
    if not all(used.state.get(p) for p in net.head.parameters()):
        return ("A new optimizer forgets what the old one knew of the head: AdamW's two averages begin at zero again. "
                "Add the block to the old one: optimizer.add_param_group.")
    return ""


def judge_experiment(answer: Any) -> str:
    """The answer is a Playground in which the student has tried two plans from one point."""
    if not hasattr(answer, "snapshot"):
        return "Hand in the playground itself: check(\"04.4\", play)."
    curves = answer.snapshot()["curves"]
    if len(curves) < 2:
        return ("There is only one curve. Go back to a checkpoint (Try it another way, or play.command(\"branch\", "
                "checkpoint_id=\"start\")) and train by another plan.")
    if len({curve["name"] for curve in curves}) < 2:
        return "Both curves come from the same plan. Choose another one for the branch."
    short = [curve["name"] for curve in curves if not curve["valid"]]
    if short:
        return f"The curve '{short[0]}' ends before its first validation: train it to the end of an epoch at least."
    return ""


EXERCISES = {
    "04.1": Exercise(
        "Which needs more memory for activations? a) training the last two blocks and the head  b) training the first "
        "block alone  c) both the same: memory goes by how many parameters train",
        choice("b", {"a": "The gradient stops at the first of the two blocks: nothing below needs to be kept.",
                     "c": "Look at the column activations_MiB: it does not follow the column trainable."}),
        "The gradient has to come all the way down, so the activations of every block above are kept."),
    "04.2": Exercise("Write freeze(net): nothing in net.body may change while net.head trains, in train mode.",
                     judge_batchnorm, "Parameters frozen and statistics fixed: that is a frozen BatchNorm."),
    "04.3": Exercise("Write thaw(block, optimizer): the block trains from now on, the optimizer forgets nothing.",
                     judge_thaw, "The old parameters keep their averages, the new ones begin theirs."),
    "04.4": Exercise("Two plans from one checkpoint, in the playground.", judge_experiment,
                     "Two curves that differ in one thing only: that is an experiment."),
    "04.q1": Exercise(
        "In a frozen block with BatchNorm in train mode, what changes? a) its weights  b) its running mean and variance"
        "  c) nothing",
        choice("b", {"a": "Frozen weights get no gradient: they stay.",
                     "c": "Look at the warning: the running statistics follow whatever the layer sees."}),
        "So a network can change although not one parameter moved."),
    "04.q2": Exercise(
        "Why is a body thawed only when the head has trained a little? a) the optimizer cannot hold both  b) a random "
        "head sends gradients that mean nothing, and they would change the body  c) it saves parameters",
        choice("b", {"a": "It can: full fine-tuning does.", "c": "In the end just as many parameters have trained."}),
        "Pretrained weights are worth protecting from a head that knows nothing yet."),
}
