"""Which column is the input and which the label, and how rows become examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftkit.data.examples import SPLIT_NAMES, Examples, Source, Wanted
from ftkit.data.images import image_from_cell
from ftkit.data.labels import clean_column
from ftkit.data.report import DataReport
from ftkit.data.table import Table
from ftkit.errors import DataError, UnknownName

TEXT_NAMES = ("text", "sentence", "review", "content", "document", "tweet", "comment", "question", "message", "body",
              "utterance", "headline", "title", "description", "abstract")
LABEL_NAMES = ("label", "labels", "sentiment", "class", "category", "target", "topic", "intent", "emotion", "tag",
               "tags", "genre", "rating", "stars", "y")
LONG = 4  # words, on average, from which a column of strings is a text


def from_tables(name: str, tables: dict[str, Table], report: DataReport, wanted: Wanted) -> Source:
    """Examples of tables that share their columns.

    Args:
        name: For the report.
        tables: By split, or one under "all", which a split column may divide.
        report: Dropped rows and notes are added to it.
        wanted: What the caller named; the rest is found by the names of the columns.

    Raises:
        UnknownName: A named column is not there.
        DataError: No column, or more than one, can be the text or the label.
    """
    first = next(iter(tables.values()))
    label = None if wanted.label is None else named(first, wanted.label, "label column")
    text_column = find_input(first, wanted.text, label, wanted.modality)
    label_column = label or _find_label(first, text_column, report)
    if text_column == label_column:
        raise DataError(f"Column '{text_column}' of {first.where} cannot be both the input and the label.")
    report.notes.append(f"input column '{text_column}', label column '{label_column}'")
    if list(tables) == ["all"]:
        tables = divide(first, report)
    parts = {}
    for split, table in tables.items():
        for column, kind in ((text_column, "input column"), (label_column, "label column")):
            named(table, column, kind)
        part = _examples(table, text_column, label_column, report, may_lack_labels=split in ("valid", "test"))
        if part is not None:
            parts[split] = part
    modality = "image" if text_column in first.images else "text"
    return Source(name, modality, parts, first.class_names.get(label_column, []), (text_column, label_column))


def named(table: Table, column: str, kind: str) -> str:
    """The table's own spelling of a column that the caller named."""
    by_lower = {name.lower(): name for name in table.columns}
    if column in table.columns:
        return column
    if column.lower() not in by_lower:
        raise UnknownName(kind, column, list(table.columns), f"These are the columns of {table.where}.")
    return by_lower[column.lower()]


def find_input(table: Table, text: str | None, label: str | None, modality: str | None) -> str:
    """The column of inputs: the one that was named, else by its name, else the only one that holds texts."""
    if text is not None:
        return named(table, text, "text column")
    if table.images and modality != "text":
        if len(table.images) > 1:
            raise DataError(f"{table.where} has several image columns ({', '.join(sorted(table.images))}). "
                            "Name one with text=.")
        return next(iter(table.images))
    free = [name for name in table.columns
            if name != label and name not in table.images and name.lower() != "split"]
    by_lower = {name.lower(): name for name in reversed(free)}
    known = [by_lower[name] for name in TEXT_NAMES if name in by_lower]
    if known:
        return known[0]
    words = {name: _mean_words(table.columns[name]) for name in free if name.lower() not in LABEL_NAMES}
    long = [name for name, count in words.items() if count >= LONG]
    candidates = long or [name for name, count in words.items() if count > 0]
    if len(candidates) == 1:
        return candidates[0]
    several = f"several columns could be ({', '.join(candidates)})" if candidates else "no column holds texts"
    raise DataError(f"Which column of {table.where} is the text? It has {_listed(table)}, and {several}. "
                    "Name it with text=. Is the first line a header?")


def _mean_words(cells: Sequence[Any]) -> float:
    """Mean words of the first 200 cells; 0 if one of them is not a string."""
    sample = [cell for cell in cells[:200] if cell is not None]
    if not sample or not all(isinstance(cell, str) for cell in sample) or all(_is_number(cell) for cell in sample):
        return 0.0
    return sum(len(cell.split()) for cell in sample) / len(sample)


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def _find_label(table: Table, text: str, report: DataReport) -> str:
    free = [name for name in table.columns if name != text and name not in table.images and name.lower() != "split"]
    by_lower = {name.lower(): name for name in reversed(free)}
    known = [by_lower[name] for name in LABEL_NAMES if name in by_lower]
    if known:
        if len(known) > 1:
            report.notes.append(f"also possible: {', '.join(f'label={name!r}' for name in known[1:])}")
        return known[0]
    classes = [name for name in free if name in table.class_names]
    if len(classes) == 1 or len(free) == 1:
        return (classes or free)[0]
    raise DataError(f"Which column of {table.where} is the label? It has {_listed(table)}. Name it with label=. "
                    "Is the first line a header?")


def _listed(table: Table) -> str:
    names = ", ".join(f"'{name}'" for name in table.columns)
    return f"the column {names}" if len(table.columns) == 1 else f"the columns {names}"


def divide(table: Table, report: DataReport) -> dict[str, Table]:
    """The table by its split column, if it has one whose values name splits."""
    column = next((name for name in table.columns if name.lower() == "split"), None)
    if column is None:
        return {"all": table}
    values = ["" if cell is None else str(cell).strip() for cell in table.columns[column]]
    unknown = [i for i, value in enumerate(values) if value.lower() not in SPLIT_NAMES]
    if len(unknown) == len(values):
        return {"all": table}
    if unknown:
        raise DataError(f"{table.place(unknown[0])}: the split column says '{values[unknown[0]]}'; expected train, "
                        f"valid or test ({len(unknown):,} rows like this).")
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        rows.setdefault(SPLIT_NAMES[value.lower()], []).append(i)
    report.notes.append(f"splits as given by the column '{column}'")
    return {split: table.pick(rows[split]) for split in ("train", "valid", "test") if split in rows}


def _examples(
    table: Table, text: str, label: str, report: DataReport, may_lack_labels: bool
) -> Examples | None:
    """Rows to examples; those without an input or a label go to the report. None for a split without any label."""
    labels = clean_column(table.columns[label], table.class_names.get(label, []))
    if may_lack_labels and len(table) and all(name is None for name in labels):
        report.notes.append(f"no row of {table.where} has a label: that split is not used")
        return None
    found = Examples()
    for row, (cell, name) in enumerate(zip(table.columns[text], labels, strict=True)):
        place = table.place(row)
        if name is None:
            report.dropped.append((place, f"no '{label}'"))
        elif cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()):
            report.dropped.append((place, f"no '{text}'"))
        elif text in table.images:
            image, size, reason = image_from_cell(cell)
            if reason:
                report.broken.append((place, reason))
            else:
                found.append(image, name, place, size)
        elif isinstance(cell, (list, dict, bytes)):
            raise DataError(f"{place}: column '{text}' holds a {type(cell).__name__}, not a text.")
        else:
            found.append(str(cell), name, place, len(str(cell).split()))
    return found
