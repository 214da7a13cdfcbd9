"""The end of an epoch: validate, keep the best weights, stop early if there is nothing more to gain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ftkit.machine import peak_memory
from ftkit.training.inference import BATCH_SECONDS, infer, score

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession


def epoch_row(session: TrainSession) -> dict[str, Any]:
    """Mean training loss of the epoch that ends, the scores on the validation split, and what it took."""
    steps = [row for row in session.history.steps if row["epoch"] == session.epoch]
    seen = sum(row["examples"] for row in steps)
    row: dict[str, Any] = {"epoch": session.epoch,
                           "train_loss": sum(step["loss"] * step["examples"] for step in steps) / seen}
    if len(session.valid):
        answers, losses = infer(session.net, session.task, session.valid, session.model.processor,
                                4 * session.batch_size, session.precision, session.features.caches.get("valid"),
                                seconds=BATCH_SECONDS)
        scores = score(session.task, answers, losses, session.valid.said or session.valid.targets)
        row |= {"valid_loss": scores.pop("loss"), **scores}
    return row | {"seconds": time.perf_counter() - session.epoch_started,
                  "trainable": session.trainable_parameters(session.plan), "cached": session.cut,
                  "peak_memory_mb": peak_memory() / 2**20}


def keep_best(session: TrainSession, row: dict[str, Any]) -> None:
    """Set the weights aside if this epoch is the best so far; stop early if there was none for too long."""
    key = session.task.best_by
    if key not in row:
        return
    history, settings = session.history, session.settings
    rows = history.epochs
    sign = 1 if key == "accuracy" else -1  # of losses and distortions, the lowest is the best
    best = max(range(len(rows)), key=lambda i: (sign * rows[i][key], -rows[i]["valid_loss"]))
    if settings.keep_best and best == len(rows) - 1:
        history.best_epoch = best
        session.best.save(session.net, session.best_names)
    if settings.patience and len(rows) - 1 - best >= settings.patience and not session.done:
        history.status = "early stop"


def finish(session: TrainSession) -> None:
    """The end of a run: back to the best weights, and the cache's memory given back."""
    history = session.history
    if history.status == "running":
        history.status = "finished"
    if session.settings.keep_best and history.best_epoch not in (None, len(history.epochs) - 1):
        session.best.restore(session.net)
    session.features.drop()
