"""Preferences from tables: a prompt, a reply that was chosen and one that was rejected."""

from __future__ import annotations

from typing import Any

from ftkit.data.columns import divide, named
from ftkit.data.examples import Examples, Source, Wanted
from ftkit.data.report import DataReport
from ftkit.data.table import Table
from ftkit.errors import DataError, UnknownName

COLUMNS = ("prompt", "chosen", "rejected")


def from_pairs(name: str, tables: dict[str, Table], report: DataReport, wanted: Wanted) -> Source:
    """Pairs of replies, from tables with the columns prompt, chosen and rejected.

    Args:
        name: For the report.
        tables: By split, or one under "all", which a split column may divide.
        report: Rows that are no pair are added to it.
        wanted: `text` names the column of prompts, if it is called otherwise.

    Returns:
        A Source whose targets are dicts with "chosen" and "rejected".

    Raises:
        UnknownName: A column is not there.
        DataError: label= was given, which says nothing about pairs.

    Lesson 09.
    """
    if wanted.label is not None:
        raise DataError(f"label='{wanted.label}' means nothing for pairs of replies: call their columns chosen and "
                        "rejected.")
    first = next(iter(tables.values()))
    try:
        columns = [named(first, wanted.text or "prompt", "column"), *(named(first, kind, "column")
                                                                       for kind in COLUMNS[1:])]
    except UnknownName as error:
        raise UnknownName("column", error.name, error.options,
                          f"Preferences need the columns {', '.join(COLUMNS)}.") from None
    if list(tables) == ["all"]:
        tables = divide(first, report)
    parts = {split: _rows(table, columns, report) for split, table in tables.items()}
    report.notes.append(f"prompts from column '{columns[0]}', pairs of replies from '{columns[1]}' and '{columns[2]}'")
    return Source(name, "text", parts, columns=(columns[0], ""), passages=True, pairs=True)


def _rows(table: Table, columns: list[str], report: DataReport) -> Examples:
    found = Examples()
    for row, cells in enumerate(zip(*(table.columns[column] for column in columns), strict=True)):
        place = table.place(row)
        missing = next((column for column, cell in zip(columns, cells, strict=True)
                        if not isinstance(cell, str) or not cell.strip()), None)
        if missing:
            report.dropped.append((place, f"no text in '{missing}'"))
        elif cells[1].strip() == cells[2].strip():
            report.dropped.append((place, "both replies are the same"))
        else:
            prompt, chosen, rejected = cells
            found.append(before(prompt), "", place, len(f"{prompt} {chosen}".split()))
            found.targets.append({"chosen": chosen, "rejected": rejected})
            found.keys.append(" ".join(" ".join(cells).casefold().split()))
            found.groups.append(" ".join(prompt.casefold().split()))
    return found


def before(prompt: Any) -> Any:
    """A prompt as it stands before its reply: a line break comes between, unless it ends with a space of its own."""
    return prompt if not isinstance(prompt, str) or prompt != prompt.rstrip() else f"{prompt}\n"
