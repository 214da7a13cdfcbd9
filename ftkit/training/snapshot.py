"""Where a run is now, as plain numbers and words: what a panel shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.machine import peak_memory

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession


def take_snapshot(session: TrainSession) -> dict[str, Any]:
    """The state of a run, JSON-able, in containers of its own: it does not change when the run goes on.

    Returns:
        step, total_steps, epoch, epochs, status, loss, lr, seconds, seconds_left (None before the first step), groups
        (name, parameters, trainable, scale), cached (groups stepped over), memory_mb (the peak), epoch_rows.
    """
    history, layers, plan = session.history, session.layers, session.plan
    last = history.steps[-1] if history.steps else {"loss": None, "lr": None}
    spent = sum(row["seconds"] for row in history.steps)
    left = spent / session.step_count * (session.total_steps - session.step_count) if session.step_count else None
    groups = [{"name": group.name, "parameters": sum(layers.sizes[name] for name in group.parameters),
               "trainable": sum(layers.sizes[name] for name in group.parameters if plan.get(name, 0) > 0),
               "scale": max((plan.get(name, 0.0) for name in group.parameters), default=0.0)} for group in layers]
    return {"step": session.step_count, "total_steps": session.total_steps, "epoch": session.epoch,
            "epochs": session.settings.epochs, "status": history.status, "loss": last["loss"], "lr": last["lr"],
            "seconds": spent, "seconds_left": left, "groups": groups, "cached": session.cut,
            "memory_mb": peak_memory() / 2**20, "epoch_rows": [dict(row) for row in history.epochs]}
