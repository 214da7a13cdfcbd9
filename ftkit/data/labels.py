"""Labels: from what a cell says to class names, and from names to targets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ftkit.data.examples import Examples, Label, Source
from ftkit.data.report import DataReport, some
from ftkit.errors import DataError


def clean_column(cells: Sequence[Any], names: Sequence[str] = ()) -> list[Label | None]:
    """The class names of each cell: a string, a tuple for a list (multi-label), None if the label is missing.

    Args:
        cells: Strings, integers, booleans, whole floats, or lists of these, or lists of 0/1 with one per class.
        names: What the integers mean, if the source says so.
    """
    cells = list(cells)
    if _are_rows(cells):
        return [None if row is None else tuple(_name(j, names) or "" for j, on in enumerate(row) if on)
                for row in cells]
    return [_clean(cell, names) for cell in cells]


def set_targets(source: Source, report: DataReport) -> tuple[tuple[str, ...], bool]:
    """Fill the targets of every part; returns the labels, sorted naturally, and whether this is multi-label.

    Raises:
        DataError: No examples, one class only, or so many classes that the column is not a label.
    """
    cells = [label for part in source.parts.values() for label in part.labels]
    if not cells:
        gone = [f"{place} ({reason})" for place, reason in report.dropped + report.broken]
        raise DataError(f"{source.name} has no usable examples." + (f" Dropped: {some(gone)}." if gone else ""))
    if _split_joined(source, report) or any(isinstance(label, tuple) for label in cells):
        labels = _in_order({name for label in _labels(source) for name in label}, source.label_order)
        _check_labels(source, labels, len(cells), report)
        for part in source.parts.values():
            part.targets = [[int(name in label) for name in labels] for label in map(_as_tuple, part.labels)]
        return tuple(labels), True
    labels = _in_order({str(label) for label in cells}, source.label_order)
    _check_labels(source, labels, len(cells), report)
    index = {label: i for i, label in enumerate(labels)}
    for part in source.parts.values():
        part.targets = [index[str(label)] for label in part.labels]
    return tuple(labels), False


def check_coverage(parts: dict[str, Examples], labels: Sequence[str], report: DataReport) -> None:
    """Every label of valid and test must be in train: nobody can learn what was never shown.

    Raises:
        DataError: Names the labels; for multi-label a warning does, since the other labels of an example still count.
    """
    train = parts.get("train", parts.get("all", Examples()))
    if not len(train):
        raise DataError("There are no examples to train on.")
    known = _used(train.targets)
    for split in ("valid", "test"):
        part = parts.get(split, Examples())
        for j in sorted(_used(part.targets) - known):
            places = [place for place, target in zip(part.places, part.targets, strict=True) if j in _used([target])]
            line = (f"Label '{labels[j]}' is only in {split}, not in train ({len(places):,} examples: "
                    f"{some(places, 3)}).")
            if not isinstance(part.targets[0], list):
                raise DataError(f"{line} Is it misspelt? Else add such examples to train, or remove these.")
            report.warnings.append(line)


def natural_key(name: str) -> tuple[Any, ...]:
    """Sorts "2" before "10", "class 2" before "class 10", and -1 before 0."""
    if re.fullmatch(r"-?\d+", name):
        return (0, int(name), name)
    pieces = re.split(r"(\d+)", name.casefold())  # text and digits in turn, so that like compares with like
    return (1, tuple(int(piece) if piece.isdecimal() else piece for piece in pieces), name)


def _clean(cell: Any, names: Sequence[str]) -> Label | None:
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple, set, frozenset)):
        found = (_name(item, names) for item in (sorted(cell, key=str) if isinstance(cell, (set, frozenset)) else cell))
        return tuple(dict.fromkeys(name for name in found if name is not None))
    return _name(cell, names)


def _name(cell: Any, names: Sequence[str]) -> str | None:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(cell, float):
        if np.isnan(cell):
            return None
        cell = int(cell) if cell.is_integer() else cell  # pandas turns integers with gaps into floats
    if names and isinstance(cell, int) and not isinstance(cell, bool):
        return names[cell] if 0 <= cell < len(names) else None  # the hub writes -1 for "not given"
    return None if cell is None else str(cell).strip() or None


def _are_rows(cells: Sequence[Any]) -> bool:
    """Whether every cell is a 0/1 row with one entry per class, not a list of class indices.

    Both are lists of small integers; a value that stands twice in one list can only be a row.
    """
    rows = [cell for cell in cells if cell is not None]
    if not rows or not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        return False
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return False
    zeros_and_ones = all(isinstance(v, (int, float, np.generic)) and v in (0, 1) for row in rows for v in row)
    return zeros_and_ones and any(len(set(row)) < len(row) for row in rows)


def _labels(source: Source) -> list[tuple[str, ...]]:
    return [_as_tuple(label) for part in source.parts.values() for label in part.labels]


def _as_tuple(label: Label) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (label,)


def _split_joined(source: Source, report: DataReport) -> bool:
    """Take "comedy|drama" apart if the column reads so: the pieces are no more than the different cells."""
    if source.modality == "audio" or source.columns is None:
        return False
    cells = {label for part in source.parts.values() for label in part.labels}
    if any(isinstance(cell, tuple) for cell in cells):
        return False
    for mark in "|;":
        taken = {cell: _pieces(str(cell), mark) for cell in cells}
        pieces = {piece for row in taken.values() for piece in row}
        if any(mark in str(cell) for cell in cells) and 2 <= len(pieces) <= len(cells):
            for part in source.parts.values():
                part.labels = [taken[label] for label in part.labels]
            report.notes.append(f"labels joined by '{mark}': several labels per example")
            return True
    return False


def _pieces(cell: str, mark: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(piece.strip() for piece in cell.split(mark) if piece.strip()))


def _in_order(labels: set[str], fixed: Sequence[str]) -> list[str]:
    first = [name for name in fixed if name in labels]
    return first + sorted(labels - set(first), key=natural_key)


def _check_labels(source: Source, labels: Sequence[str], n: int, report: DataReport) -> None:
    where = f"Column '{source.columns[1]}' of {source.name}" if source.columns else source.name
    if not labels:
        raise DataError(f"{where} has no labels.")
    if len(labels) < 2:
        advice = "" if source.columns else " Each class needs a folder of its own."
        raise DataError(f"{where} has one label only, '{labels[0]}': there is nothing to tell apart.{advice}")
    if source.columns and n >= 20 and len(labels) > n / 2:
        raise DataError(f"{where} has {len(labels):,} different values in {n:,} rows ({some(labels, 3)}): that is not "
                        "a class. Name the label column with label=. (ftkit classifies; it does not predict numbers.)")
    spellings = Counter(label.casefold() for label in labels)
    twins = [label for label in labels if spellings[label.casefold()] > 1]
    if twins:
        report.warnings.append(f"labels that differ only in capitals count as different: {some(twins)}")


def _used(targets: Sequence[Any]) -> set[int]:
    if targets and isinstance(targets[0], list):
        return {j for row in targets for j, on in enumerate(row) if on}
    return set(targets)
