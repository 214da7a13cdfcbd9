"""fit: train a model on data by a strategy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from ftkit.backbones import Model
from ftkit.backbones.saving import atomic_folder
from ftkit.strategies import Strategy
from ftkit.training import processes
from ftkit.training.history import History
from ftkit.training.session import Observer, TrainSession


def fit(model: Model, data: Any, strategy: str | Strategy = "full", *, progress: bool | None = None,
        out: str | Path | None = None, resume: bool = False, on_step: Observer | None = None,
        on_epoch: Observer | None = None, **settings: Any) -> History:
    """Fine-tune `model` in place, and return what happened.

    Args:
        model: From `load_backbone(name, data.task)`.
        data: From `load_data`.
        strategy: What trains when: "probe", "last_k:k=2", GradualUnfreeze(every=1), …
        progress: Show a bar; None shows it on a terminal and in a notebook.
        out: A folder: a checkpoint after every epoch, and the model at the end.
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
    session.control.out = None if out is None else Path(out)
    if resume:
        session.resume(session.checkpoint_folder)
    bar = _Bar(session) if _wanted(progress) else None
    try:
        history = session.run()
    finally:
        if bar:
            bar.close()
    if history.status in ("stopped", "interrupted"):
        if processes.is_main():
            print(f"{history.status.capitalize()} after step {session.step_count} of {session.total_steps}. "
                  "The model is usable as it is. Go on with the same call and resume=True (command line: --resume; "
                  f"checkpoint: {history.checkpoint}).", file=sys.stderr)
    elif processes.is_main():
        own = out is not None or resume or history.checkpoint is not None
        history.checkpoint = None
        if out is not None:
            model.save(out)
            with atomic_folder(out) as fresh:
                history.to_json(fresh / "history.json")
        if own:  # saved: only now is there nothing to go on from; what another, interrupted run left is kept
            shutil.rmtree(session.checkpoint_folder, ignore_errors=True)
    return history


def _wanted(progress: bool | None) -> bool:
    if not processes.is_main():
        return False
    return progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules


class _Bar:
    """A tqdm bar over all steps, with the loss and the last validation accuracy."""

    def __init__(self, session: TrainSession) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(total=session.total_steps, initial=session.step_count, unit="step", leave=False,
                        desc="training", dynamic_ncols=True)
        self.then_step, self.then_epoch = session.on_step, session.on_epoch
        session.on_step, session.on_epoch = self.step, self.epoch
        self.shown: dict[str, str] = {}

    def step(self, row: dict[str, Any]) -> None:
        self.shown["loss"] = f"{row['loss']:.3f}"
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update()
        if self.then_step:
            self.then_step(row)

    def epoch(self, row: dict[str, Any]) -> None:
        if "accuracy" in row:
            self.shown["valid acc"] = f"{row['accuracy']:.3f}"
        if self.then_epoch:
            self.then_epoch(row)

    def close(self) -> None:
        self.bar.close()
