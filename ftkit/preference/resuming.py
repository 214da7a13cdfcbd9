"""Checkpoints of PPO: one file with all that a run needs to go on as if it had never stopped.

Random numbers need no place in it: prompts, replies and minibatches follow from seed and step alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ftkit.disk import atomic_folder
from ftkit.errors import UserError
from ftkit.training.checkpoint import check_same_run, damaged
from ftkit.training.freezing import optimizer_state, restore_optimizer
from ftkit.training.weights import checksum, fill, tensors_of

if TYPE_CHECKING:
    from ftkit.preference.ppo import PPO

FILE = "ppo.pt"


def save_run(run: PPO, folder: Path) -> None:
    """Weights now and at the beginning, the optimizer's memory, and the rows so far.

    Raises:
        DiskError: The disk is full or the folder cannot be written. The older checkpoint is still whole.
    """
    tensors, start = tensors_of(run.net), run.history.start
    record = {
        "run": identity(run), "checksums": start.checksums, "first": start.values(start.names),
        "weights": {name: tensors[name].detach().cpu() for name in start.names},
        "head": {name: tensor.cpu() for name, tensor in run.head.state_dict().items()},
        "optimizer": [optimizer_state(run.optimizer, part) for part in (run.net, run.head)],
        "count": run.count, "beta": run.beta, "steps": run.history.steps, "events": run.history.events}
    with atomic_folder(folder) as fresh:
        torch.save(record, fresh / FILE)
    run.history.checkpoint = str(folder)


def read_run(run: PPO, folder: Path) -> dict[str, Any]:
    """What `save_run` wrote, if it is of this run. Nothing of the run changes yet.

    Raises:
        UserError: There is no checkpoint, or it is of another run: each setting that differs is named.
        WeightsError: A damaged file.
    """
    if not (folder / FILE).is_file():
        raise UserError(f"There is no checkpoint of PPO in {folder} to resume from.")
    try:
        saved: dict[str, Any] = torch.load(folder / FILE, weights_only=True)
        then = saved["run"]
    except Exception as error:
        raise damaged(folder, error) from error
    check_same_run(identity(run), then, folder)
    return saved


def check_network(net: nn.Module, saved: dict[str, Any], folder: Path) -> None:
    """Raise UserError unless what trained has these names and shapes, and what was frozen is bit for bit the same."""
    now, first = tensors_of(net), saved["first"]
    frozen = {name: checksum(tensor) for name, tensor in now.items() if name not in first}
    if (frozen != {name: number for name, number in saved["checksums"].items() if name not in first}
            or any(name not in now or now[name].shape != tensor.shape for name, tensor in first.items())):
        raise UserError(f"The checkpoint in {folder} is of another model: its frozen weights are not those that the "
                        "run began with. Load that model, or start again without resuming.")


def restore_run(run: PPO, saved: dict[str, Any]) -> None:
    """Bring a run that is at its beginning to where it was saved."""
    fill(tensors_of(run.net), saved["weights"])
    run.head.load_state_dict(saved["head"])
    for part, memory in zip((run.net, run.head), saved["optimizer"], strict=True):
        restore_optimizer(run.optimizer, part, memory)
    run.count, run.beta, run.history.steps = saved["count"], saved["beta"], saved["steps"]
    run.history.events = saved["events"]
    run.history.note("resumed")


def identity(run: PPO) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    return {**asdict(run.settings), "strategy": repr(run.strategy), "backbone": run.model.spec.name,
            "prompts": _digest(run.prompts)}


def _digest(prompts: Sequence[Any]) -> str:
    """How many prompts, and which: short enough for a message."""
    return f"{len(prompts)} with the checksum {zlib.crc32(json.dumps(prompts, default=str).encode()):08x}"
