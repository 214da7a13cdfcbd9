"""Refuses a batch that cannot fit, before the system kills the process: measured on two examples, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import MemoryLimit
from ftkit.machine import memory_available
from ftkit.tasks import Encoded, Task

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "DefaultCPUAllocator")


def saved_bytes(net: nn.Module, task: Task, batch: dict[str, Tensor]) -> int:
    """Bytes of activations that a forward pass keeps for the backward pass; each storage counts once.

    Parameters do not count: they are there anyway.
    """
    return sum(saved_by_place(net, task, batch, lambda: None).values())


def saved_by_place(net: nn.Module, task: Task, batch: dict[str, Tensor],
                   place: Callable[[], Hashable]) -> dict[Hashable, int]:
    """The same, by where the forward pass is: `place` is asked whenever something is kept that was not kept before."""
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    seen: set[int] = set()
    found: dict[Hashable, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in seen:
            found[place()] = found.get(place(), 0) + storage.nbytes()
            seen.add(storage.data_ptr())
        # Not the tensor itself: one that an operation both makes and keeps (a softmax) would hold that operation, which
        # holds the tensor, and neither it nor any weight below it would ever be freed.
        return tensor.detach()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = task.loss(net, batch)  # alive until counted: a freed storage could hand its address on
    del loss
    return found


def check_batch_fits(net: nn.Module, task: Task, encoded: Encoded, processor: Any, batch_size: int,
                     trainable: int) -> None:
    """Raise MemoryLimit if a batch of the longest examples, with the optimizer, would exceed the memory that is free.

    Args:
        net: With the plan applied, on a CPU.
        task: For collating and the loss.
        encoded: The training split.
        processor: Of the model.
        batch_size: Wanted.
        trainable: Parameters that train in some epoch.
    """
    longest = np.argsort(-encoded.lengths, kind="stable")[:2].tolist()
    modes = {module: module.training for module in net.modules()}
    net.eval()  # BatchNorm's statistics must not see this batch
    try:
        with torch.random.fork_rng(devices=[]):
            each = saved_bytes(net, task, task.collate(encoded, longest, processor)) / len(longest)
    finally:
        for module, mode in modes.items():
            module.training = mode
    needed = 1.5 * each * min(batch_size, len(encoded)) + 12 * trainable  # 12: gradient and two AdamW moments
    free = memory_available()
    if needed > free:
        fits = int((free - 12 * trainable) / (1.5 * each))
        advice = f"At most about {fits} fit" if fits >= 1 else "Not even one example fits"
        raise MemoryLimit(f"A batch of {batch_size} needs about {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB "
                          f"are free. {advice}: use a smaller batch (and accumulate), or freeze more layers.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a CPU or a GPU."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)
