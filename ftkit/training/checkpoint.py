"""Checkpoints: everything a run needs to go on as if it had never stopped, written in one step."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from ftkit.disk import atomic_folder, disk_errors
from ftkit.errors import UserError, WeightsError
from ftkit.training.freezing import named_in, optimizer_state, restore_optimizer
from ftkit.training.weights import fill, tensors_of

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession

STATE = "session.json"  # names the other files; until it is replaced, those of the older checkpoint count
_PARTS = {"weights": "safetensors", "optimizer": "pt", "best": "safetensors"}
_MUST_MATCH = ("backbone", "task", "labels", "data", "strategy", "lr", "batch_size", "seed", "accumulate", "optimizer",
               "weight_decay", "clip", "class_weights", "epochs", "augment", "precision", "image_size")


def save_checkpoint(session: TrainSession, folder: Path, *, whole: bool = True) -> Path:
    """Weights, optimizer, history and place in the epoch. Random numbers need none: they follow seed and step.

    Args:
        session: Between two steps.
        folder: Made if need be.
        whole: False leaves out the weights that have never trained. Only this session can go on from that.

    Raises:
        DiskError: The disk is full or the folder cannot be written. The older checkpoint is still whole.
    """
    stamp = uuid.uuid4().hex[:8]
    files = {part: f"{part}-{stamp}.{kind}" for part, kind in _PARTS.items()}
    if not session.best.file.is_file():
        del files["best"]
    pending = session.control.pending
    untouched = set(session.layers.sizes) - set(session.history.start.names if session.step_count else ())
    state = {"whole": whole, "step": session.step_count, "epoch": session.epoch, "position": session.position,
             "files": files, "override": pending[-1] if pending else session.override,
             "trained": sorted(session.history.start.planned),
             "history": _plain_history(session) | {"checkpoint": str(folder)}}
    with atomic_folder(folder, last=STATE) as fresh:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(session.net).items()
                   if whole or name not in untouched}, fresh / files["weights"])
        extra = session.scaler.state_dict() if session.scaler else {}
        torch.save({"optimizer": optimizer_state(session.optimizer, session.net), "scaler": extra},
                   fresh / files["optimizer"])
        if "best" in files:
            shutil.copyfile(session.best.file, fresh / files["best"])
        (fresh / STATE).write_text(json.dumps(state), encoding="utf8")
    for part, kind in _PARTS.items():
        for file in folder.glob(f"{part}-*.{kind}"):
            if file.name != files.get(part):
                file.unlink(missing_ok=True)
    if whole:
        session.history.checkpoint = str(folder)
    return folder


def load_checkpoint(session: TrainSession, folder: Path) -> None:
    """Bring a session to where the checkpoint was: a fresh one, or the same one at another step.

    Raises:
        UserError: There is no checkpoint, or it is of another run: each setting that differs is named.
        WeightsError: A damaged file. Nothing is loaded then.
    """
    if not (folder / STATE).is_file():
        raise UserError(f"There is no checkpoint in {folder} to resume from.")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf8"))
        config, files = state["history"]["config"], state["files"]
        weights = load_file(folder / files["weights"])
        memory = torch.load(folder / files["optimizer"], weights_only=True)
    except Exception as error:
        raise damaged(folder, error) from error
    check_same_run({key: session.history.config[key] for key in _MUST_MATCH}, config, folder)
    tensors = tensors_of(session.net)
    if not state.get("whole", True):
        weights = session.history.start.values(set(session.history.start.names) - set(weights)) | weights
        tensors = {name: tensors[name] for name in weights}
    if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in weights.items()}:
        raise WeightsError(f"The checkpoint in {folder} is of another network.")
    session.control.pending.clear()
    session.optimizer.state.clear()
    session.history.start.planned = set(state["trained"])  # not what a later part of this session trained
    session._will_train(set(state["trained"]))  # before the weights come: the audit compares with those before training
    session.features.drop()
    fill(tensors, weights)
    session.step_count, session.epoch, session.position = state["step"], state["epoch"], state["position"]
    session.override = state["override"]
    session._will_train(named_in(session.override))
    _restore_history(session, state["history"])
    _restore_plan(session)
    restore_optimizer(session.optimizer, session.net, memory["optimizer"])
    if session.scaler and memory["scaler"]:
        session.scaler.load_state_dict(memory["scaler"])
    if "best" in files:
        with disk_errors(session.best.folder):
            shutil.copyfile(folder / files["best"], session.best.file)
    else:
        session.best.file.unlink(missing_ok=True)


def _plain_history(session: TrainSession) -> dict[str, Any]:
    """The history without the first weights, which only this process knows."""
    return asdict(replace(session.history, start=None))


def damaged(folder: Path, error: Exception) -> WeightsError:
    """What is said of a checkpoint that cannot be read."""
    reason = (str(error).splitlines() or ["?"])[0][:200]
    return WeightsError(f"The checkpoint in {folder} is damaged: {type(error).__name__}, {reason}. "
                        "Start again without resuming.")


def check_same_run(now: dict[str, Any], then: dict[str, Any], folder: Path) -> None:
    """Raise UserError, and name what differs, unless a checkpoint's settings `then` are those of `now`."""
    differ = [f"{key} was {then.get(key)!r} and is {value!r}" for key, value in now.items() if then.get(key) != value]
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
    session._set_plan(session.plan_of(session.epoch))
    if session.position:  # in mid-epoch: the same batches again, from where it stopped
        at = session.position
        session._begin_epoch()
        session.position = at
