"""The playground as text: what a terminal, a screen reader or a test reads."""

from __future__ import annotations

from ftkit.viz.words import count
from ftkit.widgets.words import (
    BACKWARD,
    MEASURES,
    Snapshot,
    curve_words,
    event_words,
    facts,
    measure,
    question_words,
    state_words,
    title,
    warnings,
)


def as_text(snapshot: Snapshot, times: bool = True) -> str:
    """The whole state in lines of text.

    Args:
        snapshot: See `render`.
        times: Whether measured times and memory are said, which differ each time a run is repeated.
    """
    lines = [title(snapshot), *(f"{name}: {value}." for name, value in facts(snapshot, times))]
    lines += [snapshot["message"]] if snapshot["message"] else []
    lines += ["", *_table(snapshot), ""]
    lines += [f"Warning! {text}" for text in warnings(snapshot)]
    lines += [curve_words(curve) for curve in snapshot["curves"]]
    lines += event_words(snapshot)
    question = question_words(snapshot)
    return "\n".join([*lines, question] if question and (times or snapshot["question"]["kind"] != "cost") else lines)


def _table(snapshot: Snapshot) -> list[str]:
    """Aligned columns, input at the top: words to the left, numbers to the right."""
    heads = ["group", "state", "parameters", *(name for _, name, _ in MEASURES), BACKWARD]
    rows = [[group["name"], state_words(group), count(group["parameters"]),
             *(measure(group, key) for key, _, _ in MEASURES), group["gradient"]] for group in snapshot["groups"]]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    left = {0, 1, len(heads) - 1}
    return ["  ".join(cell.ljust(width) if i in left else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
            for row in [heads, *rows]]
