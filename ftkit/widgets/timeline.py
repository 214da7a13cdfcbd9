"""Back to a checkpoint and on by another way: the branches of a run, and the moments that they part from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ftkit.errors import FtkitError, UnknownName, UserError
from ftkit.training import TrainSession
from ftkit.training.moments import Moment
from ftkit.widgets.branches import Branch, Frame, letters
from ftkit.widgets.presets import read_plan
from ftkit.widgets.recording import nearest_step
from ftkit.widgets.switches import Switches
from ftkit.widgets.watcher import Watcher
from ftkit.widgets.worker import Worker


@dataclass(frozen=True)
class Checkpoint:
    """A moment that a branch may go on from.

    Args:
        id: "start", "1", "2", …
        label: In the student's words.
        moment: The session's state.
        branch: On which it was taken.
    """

    id: str
    label: str
    moment: Moment
    branch: Branch


class Timeline:
    """All that happened in an experiment, and what of it is shown.

    Args:
        session: Before its first step.
        switches: Read the plan of a branch.
        worker: Does the work between two steps.
        watcher: Writes the branch of now.

    Attributes:
        showing: The recorded step that is looked at; None: now.
    """

    def __init__(self, session: TrainSession, switches: Switches, worker: Worker, watcher: Watcher) -> None:
        self.session, self.switches, self.worker, self.watcher = session, switches, worker, watcher
        self.branches = [watcher.branch]
        self.checkpoints = [Checkpoint("start", "start", Moment(session), watcher.branch)]
        self.promised = ["start"]  # ids, also of checkpoints that wait for the next step boundary
        self.showing: int | None = None
        self.returning = 0  # branches that wait for the next step boundary

    @property
    def current(self) -> Branch:
        """The branch of now."""
        return self.watcher.branch

    def checkpoint(self, label: str | None) -> str:
        """Remember the moment at the next step boundary; returns its id."""
        name = str(len(self.promised))
        self.promised.append(name)
        self.worker.do(lambda: self._remember(name, label))
        return name

    def after_return(self, change: Callable[[], Any]) -> None:
        """Do this at once; but if a branch waits for the next step boundary, after it."""
        if self.returning:
            self.worker.do(lambda: self._try(change))
        else:
            change()

    def branch(self, checkpoint_id: Any, plan: Any) -> None:
        """At the next step boundary go back to a checkpoint, and on by a plan; None keeps the checkpoint's."""
        name = str(checkpoint_id)
        if name not in self.promised:
            raise UnknownName("checkpoint", name, self.promised)
        if plan is not None:
            read_plan(self.session, plan, self.switches.body)  # a mistake is to be said now
        self.returning += 1
        self.worker.do(lambda: self._return(name, plan))

    def scrub(self, step: Any) -> None:
        """Look at the recorded state nearest to a step; None: at now."""
        self.showing = None if step is None else nearest_step(self.current.line(), step)

    def shown(self) -> Frame | None:
        """The recorded state that is looked at, for the caller alone."""
        frame = None if self.showing is None else self.current.line().get(self.showing)
        return None if frame is None else copied(frame)

    def curves(self) -> list[dict[str, Any]]:
        """Of all branches, that of now first."""
        return [branch.curve() for branch in [self.current, *(b for b in self.branches if b is not self.current)]]

    def _remember(self, name: str, label: str | None) -> None:
        try:
            moment = Moment(self.session)
        except FtkitError as error:  # a full disk: the run itself goes on
            self.worker.message = f"No checkpoint: {error}"
            return
        self.checkpoints.append(Checkpoint(name, label or f"step {moment.step}", moment, self.current))

    def _try(self, change: Callable[[], Any]) -> None:
        try:
            change()
        except UserError as error:  # nobody is there any more to raise it to
            self.worker.message = str(error)

    def _return(self, name: str, plan: Any) -> None:
        self.returning -= 1
        source = next((checkpoint for checkpoint in self.checkpoints if checkpoint.id == name), None)
        if source is None:
            raise UserError(f"Checkpoint {name} could not be written, so there is nothing to go back to.")
        source.moment.restore(self.session)
        label = f"{source.branch.name}, again" if plan is None else self.switches.set_plan(plan)
        branch = Branch(letters(len(self.branches)), label, source.moment.step, source.branch)
        self.showing = None
        self.branches.append(branch)
        self.watcher.begin(branch)
        self.worker.rewound()


def copied(frame: Frame) -> Frame:
    """A frame that may be changed without changing the recorded one."""
    rows = [{**row, "warnings": list(row["warnings"])} for row in frame["groups"]]
    return {**frame, "header": dict(frame["header"]), "groups": rows}
