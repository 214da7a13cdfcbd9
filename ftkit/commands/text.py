"""Rows as a table for a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as aligned columns below a header; numbers to the right, texts to the left.

    Args:
        rows: The columns by name.
        columns: Which, in this order; None takes those of the first row.
    """
    names = list(columns or (rows[0] if rows else ()))
    cells = [names, *([show(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    right = [bool(rows) and all(isinstance(row.get(name), (int, float)) and not isinstance(row.get(name), bool)
                                for row in rows) for name in names]
    lines = ["  ".join(cell.rjust(width) if to_right else cell.ljust(width)
                       for cell, width, to_right in zip(line, widths, right, strict=True)).rstrip() for line in cells]
    return "\n".join(lines)


def show(value: Any) -> str:
    """A cell: yes and no for booleans, thousands separated, at most four decimals."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)


def width() -> int:
    """Characters per line of this terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def shorten(text: str, most: int) -> str:
    """The text on one line, cut to `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: max(1, most - 1)] + "…"


def shorten_path(path: str, most: int) -> str:
    """A path cut to `most` characters at its beginning: the name of the file is at its end."""
    return path if len(path) <= most else "…" + path[-max(1, most - 1) :]
