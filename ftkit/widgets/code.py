"""Show code: the run of an experiment as a program, once with ftkit and once in plain PyTorch. Tests execute both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.strategies import Custom, Plan, Strategy
from ftkit.training import TrainSession
from ftkit.widgets.plain_loop import plain_loop
from ftkit.widgets.plans import Plans, compact

if TYPE_CHECKING:
    from ftkit.widgets.experiment import Experiment


@dataclass(frozen=True)
class Program:
    """What a run did.

    Args:
        session: Its model and settings.
        steps: How many it made; all of them if it has not begun.
        applied: (step, plans): what took effect when; None stands for the strategy.
    """

    session: TrainSession
    steps: int
    applied: list[tuple[int, Plans | None]]

    def stages(self) -> dict[int, Plan]:
        """From which step on which plan holds, by group names; a strategy's plans by epoch are written out."""
        session = self.session
        per_epoch = session.total_steps // session.settings.epochs
        starts = {0, *(step for step, _ in self.applied), *range(0, self.steps, per_epoch)}
        found: dict[int, Plan] = {}
        for start in sorted(step for step in starts if step < self.steps):
            given = [plans for step, plans in self.applied if step <= start]
            plans = given[-1] if given and given[-1] is not None else session.plans
            epoch = start // per_epoch
            plan = plans if isinstance(plans, dict) else plans[min(epoch, len(plans) - 1)]
            short = compact(session.layers, plan)
            if not found or list(found.values())[-1] != short:
                found[start] = short
        return found


def write_code(experiment: Experiment) -> dict[str, str]:
    """The run so far, or the run to come if it has not begun, as two programs that give the same losses.

    Returns:
        "torch" and "ftkit": Python source that needs `model` and `data`, freshly loaded.
    """
    session, applied = experiment.session, experiment.timeline.current.plans()
    steps = session.step_count or session.total_steps
    if session.step_count == 0 and session.control.pending:
        applied = [(0, session.control.pending[-1])]
    program = Program(session, steps, applied)
    return {"torch": plain_loop(session, program.stages(), steps),
            "ftkit": _ftkit_lines(program, experiment.strategy, experiment.settings)}


def _ftkit_lines(program: Program, strategy: Strategy, settings: dict[str, Any]) -> str:
    session = program.session
    options = {**settings, "lr": session.settings.lr, "batch_size": session.batch_size}
    lines = ["import ftkit as ft", "", f"strategy = {_written(strategy, session)}",
             "session = ft.TrainSession(model, data, strategy, "
             f"{', '.join(f'{name}={value!r}' for name, value in options.items())})"]
    done = 0
    for step, plans in program.applied:
        if done < step < program.steps:
            lines.append(f"session.run({step - done})")
            done = step
        if step < program.steps:
            lines.append(f"session.apply({_short(session, plans)})")
    rest = program.steps - done
    lines += ["session.run()" if program.steps == session.total_steps else f"session.run({rest})",
              "losses = [row[\"loss\"] for row in session.history.steps]", "print(losses[-1])"]
    return "\n".join(lines) + "\n"


def _written(strategy: Strategy, session: TrainSession) -> str:
    """A strategy as source; one that is a function of the student's own is written out, epoch by epoch."""
    if isinstance(strategy, Custom):
        plans = [compact(session.layers, plan) for plan in session.plans]
        scales = plans[0] if all(plan == plans[0] for plan in plans) else plans
        return f"ft.strategies.Custom({scales!r}, warmup={strategy.warmup!r}, decay={strategy.decay!r})"
    return re.sub(r"(?<![\w.'\"])([A-Z]\w*\()", r"ft.strategies.\1", repr(strategy))  # an inner strategy's class too


def _short(session: TrainSession, plans: Plans | None) -> str:
    if plans is None or isinstance(plans, dict):
        return repr(None if plans is None else compact(session.layers, plans))
    return repr([compact(session.layers, plan) for plan in plans])
