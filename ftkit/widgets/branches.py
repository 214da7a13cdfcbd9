"""What a run leaves behind to be looked at: its curves, its events, and frames to scrub through; one branch each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ftkit.widgets.plans import Plans

POINTS = 400  # of a training curve: more than a screen has columns for
FRAMES = 150  # of a branch: half a minute at five a second, then every second one goes

Frame = dict[str, Any]
"""What a snapshot shows of one step: step, epoch, lr, loss, seconds, seconds_left, header, groups."""


@dataclass
class Branch:
    """One line of a run, from the step where it parts from another.

    Args:
        id: "a", "b", …
        name: What it trains, in words.
        from_step: Where it begins.
        parent: The branch that it goes on from; None for the first.
        train: (step, loss).
        valid: (step, loss, accuracy or None).
        events: (step, what was frozen or thawed).
        applied: (step, plans): what `TrainSession.apply` was given, and when it took effect; None is the strategy.
        frames: Recorded states by step.
    """

    id: str
    name: str
    from_step: int = 0
    parent: Branch | None = None
    train: list[tuple[int, float]] = field(default_factory=list)
    valid: list[tuple[int, float, float | None]] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    applied: list[tuple[int, Plans | None]] = field(default_factory=list)
    frames: dict[int, Frame] = field(default_factory=dict)

    def keep(self, frame: Frame) -> None:
        """Record a state; in a long run, older ones are thinned out."""
        if len(self.frames) >= FRAMES:
            steps = sorted(self.frames)
            for step in steps[1:-1:2]:
                del self.frames[step]
        self.frames[frame["step"]] = frame

    def line(self) -> dict[int, Frame]:
        """The recorded states of this branch, and of those that it goes on from up to there, by step in order."""
        before = self.parent.line() if self.parent else {}
        whole = {step: frame for step, frame in before.items() if step <= self.from_step} | dict(self.frames)
        return dict(sorted(whole.items()))

    def plans(self) -> list[tuple[int, Plans | None]]:
        """What was applied along the same way."""
        before = self.parent.plans() if self.parent else []
        return [(step, plans) for step, plans in before if step < self.from_step] + list(self.applied)

    def curve(self) -> dict[str, Any]:
        """The branch as a snapshot shows it."""
        return {"id": self.id, "name": self.name, "from_step": self.from_step,
                "train": [list(point) for point in thin(self.train)], "valid": [list(point) for point in self.valid],
                "events": [{"step": step, "text": text} for step, text in list(self.events)]}


def thin(points: Sequence[Any], most: int = POINTS) -> list[Any]:
    """At most so many of the points, evenly, the last one always."""
    points = list(points)
    every = -(-len(points) // most)
    return points if every < 2 else points[len(points) - 1 :: -every][::-1]


def letters(number: int) -> str:
    """0 as "a", 25 as "z", 26 as "aa": a branch's id."""
    return (letters(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)
