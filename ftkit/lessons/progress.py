"""A student's progress: which exercises are solved, after how many tries, in one small file to hand in.

The file stays on the student's machine until the student passes it on. It holds no answers. Its digest shows damage and
careless edits; it is no signature, since whoever reads this code can work it out.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftkit.disk import write_whole
from ftkit.errors import DataError, DiskError

FILE = "ftkit-progress.json"
_FORMAT = "ftkit progress 1"


@dataclass(frozen=True)
class Solved:
    """How far one exercise is.

    Args:
        tries: Answers that were checked, the right one included; none is counted after it.
        right: When the first right answer came, such as "2026-11-24T10:15:00+00:00"; "" if none has.
    """

    tries: int = 0
    right: str = ""


@dataclass(frozen=True)
class Progress:
    """What a progress file holds; prints as a table, lesson by lesson.

    Args:
        student: As the student wrote it; "" if nobody has.
        exercises: By number.
        whole: Whether the digest fits the content.
        file: Where it is.
    """

    student: str = ""
    exercises: dict[str, Solved] = field(default_factory=dict)
    whole: bool = True
    file: Path | None = None

    def solved(self, numbers: Sequence[str]) -> int:
        """How many of these exercises are solved."""
        return sum(bool(self.exercises.get(number, Solved()).right) for number in numbers)

    @property
    def tries(self) -> int:
        """Answers that were checked, over all exercises."""
        return sum(one.tries for one in self.exercises.values())

    @property
    def last(self) -> str:
        """When the last exercise was solved; "" if none is."""
        return max((one.right for one in self.exercises.values()), default="")

    def __repr__(self) -> str:
        lines = [f"Progress of {self.student or 'nobody yet (ft.lessons.progress(student=…) names you)'}"]
        for lesson, numbers in by_lesson().items():
            signs = " ".join(f"{number}{'✓' if self.solved([number]) else '·'}" for number in numbers)
            lines.append(f"  lesson {lesson}: {self.solved(numbers)} of {len(numbers)}   {signs}")
        return "\n".join([*lines, f"  {self.tries} answers checked; the file to hand in is {self.file}"])


def by_lesson() -> dict[str, list[str]]:
    """The numbers of all exercises, by lesson."""
    from ftkit.lessons.check import EXERCISES

    lessons: dict[str, list[str]] = {}
    for number in EXERCISES:
        lessons.setdefault(number.partition(".")[0], []).append(number)
    return lessons


def progress(student: str | None = None) -> Progress:
    """Which exercises are solved so far.

    Args:
        student: Your name, to be written into the file that you hand in.

    Raises:
        DataError: The file is damaged.
        DiskError: It cannot be written.

    Lesson 00.
    """
    known = read_progress(progress_file())
    if student is not None:
        known = Progress(str(student).strip(), known.exercises, known.whole, known.file)
        write_progress(known, progress_file())
    return known


def progress_file() -> Path:
    """`ftkit-progress.json` beside the notebook, or what FTKIT_PROGRESS says."""
    return Path(os.environ.get("FTKIT_PROGRESS") or FILE).absolute()


def record(number: str, right: bool) -> None:
    """Note that an answer was checked. Warns, and never raises: a full disk must not keep anybody from learning."""
    try:
        file = progress_file()
        known = read_progress(file)
        before = known.exercises.get(number, Solved())
        if before.right:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds") if right else ""
        write_progress(Progress(known.student, {**known.exercises, number: Solved(before.tries + 1, now)}), file)
    except (DataError, DiskError) as error:
        warnings.warn(f"Your progress was not kept: {error}", stacklevel=3)


def read_progress(file: Path) -> Progress:
    """What a file holds; an empty Progress if there is none.

    Raises:
        DataError: It is no progress file.
    """
    if not file.is_file():
        return Progress(file=file)
    try:
        content = json.loads(file.read_text(encoding="utf8"))
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        exercises = {number: Solved(int(one["tries"]), str(one["right"]))
                     for number, one in content["exercises"].items()}
        return Progress(str(content["student"]), exercises, content.pop("digest", "") == _digest(content), file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not a progress file of ftkit ({type(error).__name__}: {error}). Move it away to "
                        "start anew.") from error


def write_progress(known: Progress, file: Path) -> None:
    """Write a file with its digest; the older one stays until the new one is whole. Raises DiskError."""
    content: dict[str, Any] = {"format": _FORMAT, "student": known.student, "exercises": {
        number: {"tries": one.tries, "right": one.right} for number, one in sorted(known.exercises.items())}}
    # A file that was changed by hand stays marked as such: it gets no fresh digest.
    content["digest"] = _digest(content) if known.whole else "does not fit"
    write_whole(file, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _digest(content: dict[str, Any]) -> str:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()
