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
    if history.status in ("stopped", "interrupted"):
        if processes.is_main():
            print(f"{history.status.capitalize()} after step {session.step_count} of {session.total_steps}. "
                  "The model is usable as it is. Go on with the same call and resume=True (command line: --resume; "
                  f"checkpoint: {history.checkpoint}).", file=sys.stderr)
    elif processes.is_main():
        own = out is not None or resume or history.checkpoint is not None
        history.checkpoint = None
        if out is not None:
            model.save(out, merge)
            with atomic_folder(out) as fresh:
                history.to_json(fresh / "history.json")
        if own:  # saved: only now is there nothing to go on from; what another, interrupted run left is kept
            shutil.rmtree(session.checkpoint_folder, ignore_errors=True)
    return history
