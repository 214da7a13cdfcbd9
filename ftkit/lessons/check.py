"""Exercise checks: at once, on this machine, and a wrong answer gets a hint that names the misconception."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ftkit.errors import check_name

Judge = Callable[[Any], str]
"""Takes an answer, returns "" if it is right and a hint if it is not."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson.

    Args:
        question: In a line.
        judge: Returns "" for a right answer, else a hint.
        praise: What a right answer shows.
    """

    question: str
    judge: Judge
    praise: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check; prints as one line. True if the answer was right."""

    number: str
    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'} ({self.number}): {self.text}"


EXERCISES: dict[str, Exercise] = {}


def exercises(lesson: str = "") -> list[str]:
    """The numbers of all exercises, or those of one lesson: exercises("01")."""
    _load()
    return [number for number in EXERCISES if number.startswith(lesson)]


def check(number: str, answer: Any) -> Verdict:
    """Is this answer right? Says so at once, with a hint if it is not.

    Args:
        number: Such as "01.2".
        answer: Whatever the exercise asks for: a number, a letter, a function, a strategy, an optimizer.

    Raises:
        UnknownName: No such exercise.
    """
    _load()
    exercise = EXERCISES[check_name("exercise", number, EXERCISES)]
    if answer is None or answer is Ellipsis:
        return Verdict(number, False, f"No answer yet. {exercise.question}")
    try:
        hint = exercise.judge(answer)
    except Exception as error:  # a student's function may fail in any way: that is an answer too
        hint = f"Your answer raised {type(error).__name__}: {error}"
    return Verdict(number, not hint, hint or exercise.praise)


def number(low: float, high: float, hints: Mapping[float, str], otherwise: str) -> Judge:
    """A judge for a number between two bounds; `hints` are for values that stand for a known mistake (within 1 %)."""

    def judge(answer: Any) -> str:
        if isinstance(answer, bool) or not isinstance(answer, (int, float)):
            return f"The answer is a number, not {type(answer).__name__}."
        if low <= answer <= high:
            return ""
        return next((hint for wrong, hint in hints.items() if math.isclose(answer, wrong, rel_tol=0.01)), otherwise)

    return judge


def choice(right: str, hints: Mapping[str, str]) -> Judge:
    """A judge for a letter: `hints` says of each wrong letter what is wrong with it."""

    def judge(answer: Any) -> str:
        letter = str(answer).strip().lower()
        if letter == right:
            return ""
        return hints.get(letter, f"Answer with one letter: {', '.join(sorted({right, *hints}))}.")

    return judge


def _load() -> None:
    """The exercises of every lesson, on first use."""
    from ftkit.lessons import lesson_00, lesson_01

    for module in (lesson_00, lesson_01):
        EXERCISES.update(module.EXERCISES)
