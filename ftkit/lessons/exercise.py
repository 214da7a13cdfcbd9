"""What an exercise is, and judges for the common kinds of answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


def number(low: float, high: float, hints: Mapping[float | tuple[float, float], str], otherwise: str) -> Judge:
    """A judge for a number between two bounds; `hints` are for values, or ranges of them, that stand for a mistake."""

    def judge(answer: Any) -> str:
        try:
            value = math.nan if isinstance(answer, bool) else float(answer)  # NumPy's numbers and "38" are numbers too
        except (TypeError, ValueError):
            value = math.nan
        if math.isnan(value):
            return f"The answer is a number, not {type(answer).__name__}."
        if low <= value <= high:
            return ""
        for wrong, hint in hints.items():
            least, most = wrong if isinstance(wrong, tuple) else (wrong, wrong)
            if least <= value <= most or math.isclose(value, least, rel_tol=1e-4):
                return hint
        return otherwise

    return judge


def choice(right: str, hints: Mapping[str, str]) -> Judge:
    """A judge for a letter: `hints` says of each wrong letter what is wrong with it."""

    def judge(answer: Any) -> str:
        letter = str(answer).strip(" ().\t").lower()
        if letter == right:
            return ""
        return hints.get(letter, f"Answer with one letter: {', '.join(sorted({right, *hints}))}.")

    return judge
