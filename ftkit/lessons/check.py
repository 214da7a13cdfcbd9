"""Exercise checks: at once, on this machine, and a wrong answer gets a hint that names the misconception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftkit.errors import check_name
from ftkit.lessons import (
    lesson_00,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
)
from ftkit.lessons.exercise import Exercise
from ftkit.lessons.progress import record


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


EXERCISES: dict[str, Exercise] = {**lesson_00.EXERCISES, **lesson_01.EXERCISES, **lesson_02.EXERCISES,
                                  **lesson_03.EXERCISES, **lesson_04.EXERCISES, **lesson_05.EXERCISES,
                                  **lesson_06.EXERCISES,
                                  **lesson_07.EXERCISES, **lesson_08.EXERCISES, **lesson_09.EXERCISES}


def exercises(lesson: str = "") -> list[str]:
    """The numbers of all exercises, or those of one lesson: exercises("01")."""
    return [number for number in EXERCISES if number.startswith(lesson)]


def check(number: str, answer: Any) -> Verdict:
    """Is this answer right? Says so at once, with a hint if it is not, and notes it in your progress file.

    Args:
        number: Such as "01.2".
        answer: Whatever the exercise asks for: a number, a letter, a function, a strategy, an optimizer.

    Raises:
        UnknownName: No such exercise.
    """
    exercise = EXERCISES[check_name("exercise", number, EXERCISES)]
    if answer is None or answer is Ellipsis:
        return Verdict(number, False, f"No answer yet. {exercise.question}")
    try:
        hint = exercise.judge(answer)
    except Exception as error:  # a student's function may fail in any way: that is an answer too
        hint = f"Your answer raised {type(error).__name__}: {error}"
    record(number, right=not hint)
    return Verdict(number, not hint, hint or exercise.praise)
