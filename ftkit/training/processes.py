"""Several processes or machines: accelerate starts and connects them (`accelerate launch -m ftkit train …`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn


@lru_cache(maxsize=1)
def state() -> Any:
    """accelerate's view of this process: device, rank, number of processes."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # PartialState reads neither by itself, and several processes without a GPU would each believe that they are alone.
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    without_gpu = not torch.accelerator.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or (several and without_gpu))


def started_alone() -> bool:
    """Whether `accelerate launch --cpu --num_processes 2` was meant to start several: without mpirun it starts one."""
    meant = "MASTER_PORT" in os.environ and "ACCELERATE_USE_CPU" in os.environ
    return meant and "WORLD_SIZE" not in os.environ and count() == 1


def device() -> torch.device:
    """Where to train: a GPU if there is one."""
    return state().device


def count() -> int:
    """How many processes share the work."""
    return state().num_processes


def is_main() -> bool:
    """Whether this process is the one that prints and saves."""
    return state().is_main_process


def shard(indices: Sequence[int]) -> tuple[list[int], float]:
    """This process's part of a batch, and its weight: 0 for a stand-in example when the batch is too small to share."""
    mine = list(indices[state().process_index :: count()])
    return (mine, 1.0) if mine else ([indices[0]], 0.0)


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    from accelerate.utils import reduce

    return float(reduce(torch.tensor(value, dtype=torch.float64, device=device()), "sum"))


def gather(rows: list[Any]) -> list[Any]:
    """The lists of all processes, joined."""
    if count() == 1:
        return rows
    from accelerate.utils import gather_object

    return gather_object(rows)


def share_gradients(net: nn.Module) -> nn.Module:
    """The network wrapped so that backward averages gradients over the processes; itself if there is only one.

    Made anew whenever other parameters train: DistributedDataParallel looks at requires_grad once.
    """
    if count() == 1:
        return net
    return nn.parallel.DistributedDataParallel(net, device_ids=None)


def wait() -> None:
    """Go on when all processes have come this far."""
    if count() > 1:
        state().wait_for_everyone()


def close() -> None:
    """Part from the other processes, once all have come this far: the end of a command."""
    if count() > 1:
        wait()
        state().destroy_process_group()
