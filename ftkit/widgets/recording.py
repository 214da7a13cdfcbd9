"""A run that was exported, to look back at: no model, no data, nothing to train."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ftkit.errors import UserError

KIND, VERSION = "ftkit run", 1


class Recording:
    """Answers as an Experiment does, from what one exported.

    Attributes:
        on_change: Called when another step is shown.
    """

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        self.showing: int | None = None
        self.on_change: list[Callable[[], None]] = []

    @classmethod
    def from_export(cls, run: Any) -> Recording:
        """A recording from what `Experiment.export()` gave, also after a journey through JSON.

        Raises:
            UserError: Something else, or of a later version of ftkit.
        """
        if not isinstance(run, dict) or run.get("kind") != KIND:
            raise UserError("This is not an exported run: export() of a playground gives one.")
        if run.get("version") != VERSION:
            raise UserError(f"This run was exported as version {run.get('version')!r}; this ftkit reads {VERSION}.")
        missing = [part for part in ("final", "states", "code") if part not in run]
        if missing:
            raise UserError(f"The exported run is not whole: it has no {', '.join(missing)}.")
        return cls(run)

    def command(self, name: str, /, **arguments: Any) -> None:
        """Only "scrub" does anything here: with `step`, or None for the end of the run."""
        if name != "scrub" or set(arguments) - {"step"}:
            raise UserError(f"This is a recording: scrub(step) looks back at it, and '{name}' would need the model.")
        self.scrub(arguments.get("step"))

    def scrub(self, step: int | None) -> None:
        """Show the recorded state nearest to a step; None shows the end."""
        self.showing = None if step is None else nearest_step([state["step"] for state in self.run["states"]], step)
        for listener in list(self.on_change):
            listener()

    def snapshot(self) -> dict[str, Any]:
        """What the experiment's snapshot was."""
        state = next((state for state in self.run["states"] if state["step"] == self.showing), None)
        copied: dict[str, Any] = json.loads(json.dumps(shown(self.run["final"], state)))
        return copied

    def code(self) -> dict[str, str]:
        """What the experiment's code was."""
        return dict(self.run["code"])

    def export(self) -> dict[str, Any]:
        """What it was made from."""
        copied: dict[str, Any] = json.loads(json.dumps(self.run))
        return copied


def shown(snapshot: dict[str, Any], state: dict[str, Any] | None) -> dict[str, Any]:
    """A snapshot that looks back at a recorded state: `step` stays where the run is, `showing` says what is shown."""
    if state is None:
        return {**snapshot, "showing": None}
    return {**snapshot, **state, "step": snapshot["step"], "showing": state["step"]}


def nearest_step(recorded: Iterable[int], step: Any) -> int:
    """The recorded step nearest to the one wished for: a slider need not know which ones there are.

    Raises:
        UserError: Not a step at all, or nothing is recorded.
    """
    steps = list(recorded)
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise UserError(f"A step is a whole number of at least 0, or None for now, not {step!r}.")
    if not steps:
        raise UserError("Nothing is recorded yet.")
    return min(steps, key=lambda other: (abs(other - step), other))
