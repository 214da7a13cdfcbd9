"""Measured on one real batch of an open run: the activations that each group keeps, and a step of full fine-tuning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from ftkit.errors import MemoryLimit
from ftkit.layers import LayerMap
from ftkit.report.costs import borrowed, step_seconds
from ftkit.strategies import Plan
from ftkit.tasks import Batch
from ftkit.training import TrainSession
from ftkit.training.batches import epoch_batches
from ftkit.training.cpu import reusing_memory
from ftkit.training.freezing import apply_plan, make_optimizer, set_modes
from ftkit.training.memory import check_batch_fits, is_out_of_memory, saved_by_place
from ftkit.training.precision import autocast


def typical_batch(session: TrainSession) -> Batch:
    """Of the batches of the first epoch the one of middling length."""
    batches = epoch_batches(session.train.lengths, session.batch_size, session.settings.seed, 0)
    chosen = sorted(batches, key=lambda batch: (session.train.lengths[batch].max() * len(batch)))[len(batches) // 2]
    batch = session.task.collate(session.train, chosen, session.model.processor)
    return {name: tensor.to(session.device) for name, tensor in batch.items()}


def activation_bytes(session: TrainSession, plan: Plan) -> list[int]:
    """For each group the bytes that the forward pass keeps there for the backward pass, under a plan.

    The session is afterwards exactly as it was. The feature cache is not counted: what it steps over keeps nothing.
    """
    net, layers = session.net, session.layers
    with borrowed(session.model):
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(plan.get(name, 0.0) > 0)
        set_modes(net, layers, plan)
        with _following(net, layers) as place, autocast(session.precision, session.device):
            found = saved_by_place(net, session.task, typical_batch(session), place)
    return [found.get(i, 0) for i in range(len(layers))]


def full_step_seconds(session: TrainSession, going_on: Callable[[], bool] = lambda: True) -> float | None:
    """How long a step takes when everything trains: the fastest of three.

    Args:
        session: Between two steps. It is afterwards exactly as it was.
        going_on: Asked before each step; where it says no, nothing more is measured.

    Returns:
        Seconds; None if full fine-tuning does not fit into the memory that is free, or was not measured.
    """
    net, everything = session.net, dict.fromkeys(session.layers.parameters, 1.0)
    seconds: list[float] = []
    with borrowed(session.model), reusing_memory():  # as in training
        optimizer = make_optimizer(session.settings.optimizer, net, 0.0)
        apply_plan(net, session.layers, everything, optimizer)
        batch = typical_batch(session)

        def loss() -> torch.Tensor:
            with autocast(session.precision, session.device):
                return session.task.loss(net, batch, session.class_weights).total

        try:
            if session.device.type == "cpu":
                check_batch_fits(net, session.task, session.train, session.model.processor, session.batch_size,
                                 session.trainable_parameters(everything))
            while len(seconds) < 3 and going_on():
                seconds.append(step_seconds(loss, optimizer))
        except (MemoryLimit, MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryLimit) and not is_out_of_memory(error):
                raise
            return None
    return min(seconds) if len(seconds) == 3 else None


@contextlib.contextmanager
def _following(net: torch.nn.Module, layers: LayerMap) -> Iterator[Callable[[], int]]:
    """Give a function that says in which group the forward pass is: the innermost one, or the last one left."""
    inside: list[int] = []
    last = [0]

    def enter(index: int) -> None:
        inside.append(index)

    def leave() -> None:
        last[0] = inside.pop()

    modules = dict(net.named_modules())
    handles = []
    for i, group in enumerate(layers):
        for path in group.modules:
            if path in modules:  # a layout may also name a parameter, such as a class token
                handles.append(modules[path].register_forward_pre_hook(lambda *_, _i=i: enter(_i)))
                handles.append(modules[path].register_forward_hook(lambda *_: leave()))
    try:
        yield lambda: inside[-1] if inside else last[0]
    finally:
        for handle in handles:
            handle.remove()
