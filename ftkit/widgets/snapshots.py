"""What an experiment shows, as plain numbers and words: a snapshot of now, or of a recorded step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.widgets.presets import presets_for
from ftkit.widgets.recording import KIND, VERSION, shown
from ftkit.widgets.timeline import copied

if TYPE_CHECKING:
    from ftkit.widgets.experiment import Experiment


def snapshot_of(experiment: Experiment) -> dict[str, Any]:
    """Everything that a view shows.

    Returns:
        status, message, model, data; step, total_steps, epoch, epochs, steps_per_epoch, lr, loss, seconds,
        seconds_left; header (trainable, share, step_ms, full_step_ms, cost, memory_mb, memory_limit_mb, cached_groups);
        groups (one row each: name, parameters, state, pending, scale, grad_norm, drift, optimizer_bytes,
        activation_bytes, gradient, warnings); curves (the branch of now first: id, name, from_step, train, valid,
        events); presets, question, checkpoints, recorded (steps to scrub to), showing. What is not known is None. While
        a question waits for a guess, the numbers that answer it are None too.
    """
    timeline, question = experiment.timeline, experiment.question
    snapshot = shown(_live(experiment), timeline.shown())
    if question is not None:
        snapshot["header"] = {**snapshot["header"], **dict.fromkeys(question.hidden)}
    return snapshot


def export_of(experiment: Experiment) -> dict[str, Any]:
    """The whole run: the last snapshot, every recorded state of its branch, and the code.

    Returns:
        version, kind, final, states (in order of steps), code. See `Recording`.
    """
    final = _live(experiment)
    if final["status"] in ("running", "stopping"):
        final["status"] = "stopped"  # in a recording nothing runs
    states = [copied(frame) for frame in experiment.timeline.current.line().values()]
    return {"version": VERSION, "kind": KIND, "final": {**final, "recorded": [state["step"] for state in states]},
            "states": states, "code": experiment.code()}


def _live(experiment: Experiment) -> dict[str, Any]:
    session, timeline, worker = experiment.session, experiment.timeline, experiment.worker
    model, task = session.model, session.model.task
    frame = experiment.watcher.live()
    return {
        "version": 1, "status": worker.status, "message": worker.message,
        "model": {"name": model.spec.name, "origin": model.origin, "parameters": sum(session.layers.sizes.values())},
        "data": {"train": len(session.train), "valid": len(session.valid), "labels": list(task.labels)},
        **frame, "total_steps": session.total_steps, "epochs": session.settings.epochs,
        "steps_per_epoch": session.total_steps // session.settings.epochs, "curves": timeline.curves(),
        "presets": presets_for(session), "question": experiment.question.row() if experiment.question else None,
        "checkpoints": [{"id": c.id, "step": c.moment.step, "label": c.label} for c in list(timeline.checkpoints)],
        "recorded": list(timeline.current.line()), "showing": None}
