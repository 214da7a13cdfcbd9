"""What a training step costs: measured on a real batch, never guessed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.strategies import Strategy, changed_copy, make_strategy
from ftkit.training.batches import by_length
from ftkit.training.freezing import apply_plan, make_optimizer
from ftkit.training.memory import saved_bytes


@dataclass(frozen=True)
class Cost:
    """One training step under one plan.

    Args:
        strategy: Its written form or repr.
        parameters: In the network.
        trainable: Parameters that the plan trains.
        forward_flops: Floating-point operations of the forward pass (torch's FlopCounterMode: matrix products only).
        backward_flops: Of the backward pass.
        activation_bytes: Kept from forward for backward.
        gradient_bytes: Of all gradients.
        optimizer_bytes: Of AdamW's memory after a step.
        seconds: Of a step, the faster of two.
        examples: In the batch that was measured.
    """

    strategy: str
    parameters: int
    trainable: int
    forward_flops: int
    backward_flops: int
    activation_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    seconds: float
    examples: int

    def row(self) -> dict[str, Any]:
        """The figures in readable units: MFLOP, MiB, milliseconds."""
        return {"strategy": self.strategy, "trainable": self.trainable,
                "share": round(self.trainable / self.parameters, 4),
                "forward_MFLOP": round(self.forward_flops / 1e6, 1),
                "backward_MFLOP": round(self.backward_flops / 1e6, 1),
                "activations_MiB": round(self.activation_bytes / 2**20, 2),
                "gradients_MiB": round(self.gradient_bytes / 2**20, 2),
                "optimizer_MiB": round(self.optimizer_bytes / 2**20, 2), "step_ms": round(self.seconds * 1e3, 1)}


def cost(model: Model, split: Any, strategy: str | Strategy = "full", *, epoch: int = 0, batch_size: int = 8) -> Cost:
    """Measure one training step; the model is afterwards exactly as it was before.

    Args:
        model: From `load_backbone`.
        split: Where the batch comes from, such as `data.train`: its longest examples.
        strategy: What trains.
        epoch: Of the plan.
        batch_size: Examples in the batch.

    Returns:
        A Cost. The feature cache is not counted: this is a first epoch.

    Lesson 01.
    """
    if not hasattr(split, "inputs"):
        raise UserError("cost needs one split, such as data.train.")
    chosen = make_strategy(strategy)
    few = split.take(batch_size) if hasattr(split, "take") and len(split) > batch_size else split
    encoded = model.task.encode(few.inputs, few.targets, model.processor)
    batch = model.task.collate(encoded, by_length(encoded.lengths, batch_size)[0], model.processor)
    with borrowed(model):
        model = changed_copy(model, chosen) if type(chosen).adapt is not Strategy.adapt else model
        plan = chosen.plan(model.layers, epoch)
        sizes = model.layers.sizes
        trainable = sum(sizes[name] for name, scale in plan.items() if scale > 0)
        optimizer = make_optimizer("adamw", model.net, 0.0)
        apply_plan(model.net, model.layers, plan, optimizer)
        activations = saved_bytes(model.net, model.task, batch)
        with FlopCounterMode(display=False) as forward:
            loss = model.task.loss(model.net, batch).total
        with FlopCounterMode(display=False) as backward:
            loss.backward()
        gradients = sum(p.grad.nbytes for p in model.net.parameters() if p.grad is not None)
        seconds = [step_seconds(lambda: model.task.loss(model.net, batch).total, optimizer) for _ in range(2)]
        memory = sum(t.nbytes for state in optimizer.state.values() for t in state.values()
                     if isinstance(t, torch.Tensor))
    return Cost(strategy if isinstance(strategy, str) else repr(strategy), sum(sizes.values()), trainable,
                forward.get_total_flops(), backward.get_total_flops(), activations, gradients, memory, min(seconds),
                len(batch["labels"]))


def step_seconds(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> float:
    """How long forward, backward and the optimizer's step take; no weight moves.

    The optimizer's rate must be 0. Its step then multiplies the gradient by 0, which is 0 only if the gradient is a
    number: one broken example would turn every weight into NaN. So it steps with gradients of 0, in the same time.
    """
    start = time.perf_counter()
    loss().backward()
    passed = time.perf_counter() - start
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    torch._foreach_zero_(gradients)
    start = time.perf_counter()
    optimizer.step()
    passed += time.perf_counter() - start
    optimizer.zero_grad()
    return passed


@contextlib.contextmanager
def borrowed(model: Model) -> Iterator[None]:
    """Put back requires_grad, gradients, modes, buffers and the random state, whatever happens inside."""
    net = model.net
    wants = {p: (p.requires_grad, p.grad) for p in net.parameters()}
    modes = {module: module.training for module in net.modules()}
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    for p in wants:
        p.grad = None
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            yield
    finally:
        for p, (wanted, gradient) in wants.items():
            p.requires_grad_(wanted)
            p.grad = gradient
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for name, buffer in net.named_buffers():
                buffer.copy_(buffers[name])
