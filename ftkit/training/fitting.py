"""fit: train a model on data by a strategy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from ftkit.backbones import Model
from ftkit.disk import atomic_folder
from ftkit.errors import UserError
from ftkit.strategies import Strategy
from ftkit.training import processes
from ftkit.training.history import History
from ftkit.training.progress import showing
from ftkit.training.session import Observer, TrainSession


def fit(model: Model, data: Any, strategy: str | Strategy | None = None, *, progress: bool | str | None = None,
        out: str | Path | None = None, merge: bool | None = None, resume: bool = False, on_step: Observer | None = None,
        on_epoch: Observer | None = None, **settings: Any) -> History:
    """Fine-tune `model` in place, and return what happened.

    Args:
        model: From `load_backbone(name, data.task)`.
        data: From `load_data`.
        strategy: What trains when: "probe", "last_k:k=2", GradualUnfreeze(every=1), a grid of ftkit.widgets.freeze_map.
            None is the task's own: everything; for sounds everything but the stem.
        progress: Show how far it is: a panel with curves and a Stop button in a notebook, a bar on a terminal. None
            shows it there only, True and False always and never; "bar" shows the bar in a notebook too.
        out: A folder: a checkpoint after every epoch, and the model at the end.
        merge: How a model with adapters is saved there: see `Model.save`.
        resume: Go on from the checkpoint that an interrupted run left (in `out`, if given).
        on_step: Called with each step's row.
        on_epoch: Called with each epoch's row.
        settings: epochs, lr, batch_size, seed, precision, cache, …: see `ftkit.training.Settings`.

    Raises:
        UserError: A setting that makes no sense; data that are not the model's; nothing to resume from.
        TrainingDiverged: The loss became NaN.

    Lesson 00.
    """
    session = TrainSession(model, data, strategy, on_step=on_step, on_epoch=on_epoch, **settings)
    if merge and model.prompt_length:  # said now, not after an hour
        raise UserError("A prompt is no change of weights: it cannot be merged.")
    session.control.out = None if out is None else Path(out)
    if resume:
        session.resume(session.checkpoint_folder)
    with showing(session, progress):
        history = session.run()
    if processes.is_main():
        own = out is not None or resume or history.checkpoint is not None
        if say_if_stopped(history, session.total_steps, " (command line: --resume)"):
            return history
        if out is not None:
            save_with_history(model, history, out, merge)
        if own:  # saved: only now is there nothing to go on from; what another, interrupted run left is kept
            forget_checkpoint(history, session.checkpoint_folder)
    return history


def say_if_stopped(history: History, total: int, beside: str = "") -> bool:
    """Whether a run ended before its time; then it is said how to go on.

    Args:
        history: Of the run.
        total: The steps that it was to take.
        beside: Another way to say resume=True.
    """
    if history.status not in ("stopped", "interrupted"):
        return False
    print(f"{history.status.capitalize()} after step {len(history.steps)} of {total}. The model is usable as it is. "
          f"Go on with the same call and resume=True{beside}. Checkpoint: {history.checkpoint}", file=sys.stderr)
    return True


def save_with_history(model: Model, history: History, out: str | Path, merge: bool | None = None) -> None:
    """The trained model, and beside it how it was trained."""
    history.checkpoint = None
    model.save(out, merge)
    with atomic_folder(out) as fresh:
        history.to_json(fresh / "history.json")


def forget_checkpoint(history: History, folder: Path) -> None:
    """Remove the checkpoint of a run that is complete."""
    history.checkpoint = None
    shutil.rmtree(folder, ignore_errors=True)
