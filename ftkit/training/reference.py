"""What the reference says of each example: asked once, before training or an evaluation, and never kept in memory.

Preference tuning compares a network with what it was before (Rafailov et al. 2023). A second network would double the
memory; asking the first one before it moves costs one pass over the data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.tasks import Encoded, Task
from ftkit.training import processes
from ftkit.training.batches import by_length
from ftkit.training.precision import autocast
from ftkit.training.weights import StartRecord


def add_reference(model: Model, task: Task, encoded: Encoded, precision: str, batch_size: int = 16) -> None:
    """Fill `encoded.reference` with what the reference answers to each example, if the task compares with one.

    The reference is `model.reference`: another Model, or the record of the weights that a run began with; None means
    the network as it is now.

    Raises:
        UserError: The weights of the record are not this network's.
    """
    if not task.has_reference or not len(encoded):
        return
    found: list[tuple[int, list[float]]] = []
    whole = by_length(encoded.lengths, batch_size)
    with _reference(model) as net, torch.no_grad():
        device = next(net.parameters()).device
        for indices in whole[processes.state().process_index :: processes.count()]:
            batch = {k: v.to(device) for k, v in task.collate(encoded, indices, model.processor).items()}
            with autocast(precision, device):
                answers = task.forward(net, batch).float()
            found.extend(zip(indices, answers.cpu().tolist(), strict=True))
    encoded.reference = np.array([row for _, row in sorted(processes.gather(found))], dtype=np.float32)


@contextlib.contextmanager
def _reference(model: Model) -> Iterator[nn.Module]:
    """The network to ask, in eval mode, inside the context."""
    other, net = model.reference, model.net
    if isinstance(other, Model):
        net = other.net.to(next(model.net.parameters()).device)
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        with other.back_in(net) if isinstance(other, StartRecord) else contextlib.nullcontext():
            yield net
    finally:
        for module in training:
            module.training = True


def check_reference(model: Model) -> None:
    """Raise UserError if an evaluation needs a reference that nobody knows."""
    if model.task.has_reference and model.reference is None:
        raise UserError(f"{model.task.name} compares with the model that training began from, and this one was not "
                        "trained here. Say which it was: model.reference = ft.load_backbone(…, data.task).")
