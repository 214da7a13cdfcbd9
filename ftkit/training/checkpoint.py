"""Checkpoints: everything a run needs to go on as if it had never stopped, written in one step."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from ftkit.backbones.saving import atomic_folder, disk_errors
from ftkit.errors import UserError, WeightsError
from ftkit.training.freezing import optimizer_state, restore_optimizer

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession

WEIGHTS, OPTIMIZER, STATE, BEST = "weights.safetensors", "optimizer.pt", "session.json", "best.safetensors"
_MUST_MATCH = ("backbone", "task", "labels", "data", "strategy", "lr", "batch_size", "seed", "accumulate", "optimizer",
               "weight_decay", "clip", "class_weights", "epochs", "augment", "precision")


def save_checkpoint(session: TrainSession, folder: Path) -> Path:
    """Weights, optimizer, history and place in the epoch. Random numbers need none: they follow seed and step."""
    tensors = {**dict(session.net.named_parameters()), **dict(session.net.named_buffers())}
    history = asdict(session.history) | {"start": None, "checkpoint": str(folder)}
    state = {"step": session.step_count, "epoch": session.epoch, "position": session.position,
             "override": session.override, "history": history}
    with atomic_folder(folder) as fresh:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, fresh / WEIGHTS)
        extra = session.scaler.state_dict() if session.scaler else {}
        torch.save({"optimizer": optimizer_state(session.optimizer, session.net), "scaler": extra}, fresh / OPTIMIZER)
        if session.best.file.is_file():
            shutil.copyfile(session.best.file, fresh / BEST)
        (fresh / STATE).write_text(json.dumps(state), encoding="utf8")
    session.history.checkpoint = str(folder)
    return folder


def load_checkpoint(session: TrainSession, folder: Path) -> None:
    """Bring a fresh session to where the checkpoint was.

    Raises:
        UserError: There is no checkpoint, or it is of another run: each setting that differs is named.
        WeightsError: A damaged file. Nothing is loaded then.
    """
    if not (folder / STATE).is_file():
        raise UserError(f"There is no checkpoint in {folder} to resume from.")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf8"))
        weights = load_file(folder / WEIGHTS)
        memory = torch.load(folder / OPTIMIZER, weights_only=True)
    except Exception as error:
        raise WeightsError(f"The checkpoint in {folder} is damaged: {str(error).splitlines()[0][:200]}. "
                           "Start again without resuming.") from error
    _check_same_run(session.history.config, state["history"]["config"], folder)
    tensors = {**dict(session.net.named_parameters()), **dict(session.net.named_buffers())}
    if tensors.keys() != weights.keys():
        raise WeightsError(f"The checkpoint in {folder} is of another network.")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(weights[name])
    session.step_count, session.epoch, session.position = state["step"], state["epoch"], state["position"]
    session.override = state["override"]
    _restore_history(session, state["history"])
    _restore_plan(session)
    restore_optimizer(session.optimizer, session.net, memory["optimizer"])
    if session.scaler and memory["scaler"]:
        session.scaler.load_state_dict(memory["scaler"])
    if (folder / BEST).is_file():
        with disk_errors(session.best.folder):
            shutil.copyfile(folder / BEST, session.best.file)


def _check_same_run(now: dict[str, Any], then: dict[str, Any], folder: Path) -> None:
    differ = [f"{key} was {then.get(key)!r} and is {now[key]!r}" for key in _MUST_MATCH if then.get(key) != now[key]]
    if differ:
        raise UserError(f"The checkpoint in {folder} is of another run: {'; '.join(differ)}. "
                        "Use the same settings, or start again without resuming.")


def _restore_history(session: TrainSession, saved: dict[str, Any]) -> None:
    history = session.history
    for name in ("steps", "epochs", "events", "best_epoch"):
        setattr(history, name, saved[name])
    history.status = "running"
    history.note("resumed")


def _restore_plan(session: TrainSession) -> None:
    """Apply the plan of the epoch that the checkpoint is in, before the optimizer gets its memory back."""
    if session.done:
        return
    plan = session.plans[session.epoch] if session.override is None else session.override
    session._set_plan(plan)
    if session.position:  # in mid-epoch: the same batches again, from where it stopped
        at = session.position
        session._begin_epoch()
        session.position = at
