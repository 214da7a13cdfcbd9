"""One line of the doctor."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """One line of the doctor.

    Args:
        status: "ok", "warning" (something is slower or missing) or "problem" (ftkit does not work).
        what: What was looked at.
        found: What is there.
        advice: What to do about it.
    """

    status: str
    what: str
    found: str
    advice: str = ""


def first_line(error: BaseException) -> str:
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
