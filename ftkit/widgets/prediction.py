"""Predict, then reveal: a question about the run, a guess, and how close it was."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from ftkit.errors import UserError, check_name
from ftkit.widgets.watcher import SETTLED, Watcher

QUESTIONS = {"accuracy": "How accurate will the model be on the validation split when training ends?",
             "cost": "How long does a training step take, in per cent of a step of full fine-tuning?",
             "trainable": "What share of all parameters trains?"}
HIDDEN = {"cost": ("step_ms", "full_step_ms", "cost"), "trainable": ("trainable", "share"), "accuracy": ()}
"""What the header must not give away before the guess."""


@dataclass(frozen=True)
class Question:
    """A question that was asked; its numbers are in per cent.

    Args:
        kind: A key of QUESTIONS.
        asked_at: The step at which it was asked.
        guess: What the student says; None before that.
        answer: What was measured; None until both are known.
    """

    kind: str
    asked_at: int
    guess: float | None = None
    answer: float | None = None

    def guessed(self, value: Any) -> Question:
        """With a guess; raises UserError for something else than a number from 0 up, or a second answer."""
        if self.answer is not None:
            raise UserError("This question is answered. Ask another one.")
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < math.inf:
            raise UserError(f"A guess is a number of per cent, such as 80, not {value!r}.")
        if self.kind != "cost" and float(value) > 100:
            raise UserError(f"A guess is at most 100 per cent, not {value!r}.")
        return replace(self, guess=float(value))

    def revealed(self, answer: float | None) -> Question:
        """With the answer, once it is known and a guess was made."""
        return self if answer is None or self.guess is None or self.answer is not None else replace(self, answer=answer)

    @property
    def hidden(self) -> tuple[str, ...]:
        """Which of the header's numbers to hold back."""
        return HIDDEN[self.kind] if self.guess is None else ()

    @property
    def score(self) -> int | None:
        """0 to 100; None until the answer is known."""
        return None if self.guess is None or self.answer is None else points(self.kind, self.guess, self.answer)

    def row(self) -> dict[str, Any]:
        """As a snapshot shows it."""
        return {"kind": self.kind, "text": QUESTIONS[self.kind], "unit": "%", "guess": self.guess,
                "answer": self.answer, "score": self.score}


def truth(question: Question, watcher: Watcher, over: bool) -> float | None:
    """What was measured, in per cent; None while it is not known.

    Args:
        question: What was asked.
        watcher: Knows what was measured.
        over: Whether the run has ended: only then is an accuracy final.
    """
    if question.kind == "accuracy":
        known = [row[2] for row in list(watcher.branch.valid) if row[0] > question.asked_at and row[2] is not None]
        return 100 * known[-1] if known and over else None
    header = watcher.live()["header"]
    if question.kind == "trainable":
        return 100 * float(header["share"])
    settled = len(watcher.times) >= SETTLED and not watcher.session.control.pending
    return 100 * float(header["cost"]) if settled and header["cost"] is not None else None


def ask(kind: Any, step: int) -> Question:
    """A new question; raises UnknownName for a kind that there is not."""
    return Question(check_name("question", kind, QUESTIONS), step)


def points(kind: str, guess: float, answer: float) -> int:
    """How close a guess was, from 0 to 100.

    An accuracy loses 5 points for each per cent that it is off. Costs and shares are judged by their ratio, for they
    range from a thousandth to all: half or double what was measured is worth 50, a quarter or four times nothing.
    """
    if kind == "accuracy":
        return round(max(0.0, 100 - 5 * abs(guess - answer)))
    if min(guess, answer) <= 0:
        return 100 if guess == answer else 0
    return round(max(0.0, 100 * (1 - abs(math.log(guess / answer)) / math.log(4))))
