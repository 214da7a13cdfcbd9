"""Forgetting: what a body that was fine-tuned for something new still knows of something old."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training import evaluate
from ftkit.training.weights import fill, tensors_of


def forgetting(old: Model, tuned: Model, split: Any, before: float | None = None) -> dict[str, float]:
    """How much of an old task is lost: the old head on the old body, and on the body that has since been fine-tuned.

    Args:
        old: The model of the old task, with its trained head. It is afterwards as it was before.
        tuned: A model that began with the same body and was fine-tuned for something else.
        split: Examples of the old task that neither has trained on.
        before: Accuracy of `old` on this split, if you know it: spares the pass that measures it.

    Returns:
        before, after: accuracy on the old task with the old body and with the tuned one; lost: before - after.

    Raises:
        UserError: The two bodies are not of the same architecture.

    Source: "catastrophic interference", McCloskey & Cohen 1989. Lesson 04.
    """
    if before is None:
        before = evaluate(old, split)["accuracy"]
    with _body_of(old, tuned):
        after = evaluate(old, split)["accuracy"]
    return {"before": before, "after": after, "lost": before - after}


@contextlib.contextmanager
def _body_of(old: Model, tuned: Model) -> Iterator[None]:
    """Lend the tuned body's weights and BatchNorm statistics to the old network."""
    mine, others = _body(old), _body(tuned)
    if {name: tensor.shape for name, tensor in mine.items()} != {name: tensor.shape for name, tensor in others.items()}:
        raise UserError(f"Forgetting compares two models with the same body; these are {old.spec.name} with "
                        f"{len(mine)} tensors and {tuned.spec.name} with {len(others)}, not alike in names and shapes.")
    kept = {name: tensor.detach().clone() for name, tensor in mine.items()}
    try:
        fill(mine, others)
        yield
    finally:
        fill(mine, kept)


def _body(model: Model) -> dict[str, Tensor]:
    """Parameters and buffers of everything but the head."""
    head = tuple(f"{path}." for path in model.layers["head"].modules)
    net: nn.Module = model.net
    return {name: tensor for name, tensor in tensors_of(net).items()
            if name not in model.layers["head"].parameters and not name.startswith(head)}
