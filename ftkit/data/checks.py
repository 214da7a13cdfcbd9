"""Leaks and duplicates: identical examples, within a split and across splits.

A test example that also stands in train measures memory, not learning. Lesson 02 shows what that does to a score.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from ftkit.data.examples import Examples
from ftkit.data.report import DataReport, plural, some
from ftkit.data.split import input_bytes
from ftkit.errors import DataError

Parts = dict[str, Examples]


def add_keys(parts: Parts) -> None:
    """Fill the keys: equal for texts that differ only in capitals and spaces, and for equal images and sounds."""
    by_size: Counter[int] = Counter(
        item.stat().st_size for part in parts.values() for item in part.inputs if isinstance(item, Path))
    for part in parts.values():
        part.keys = [_key(item, by_size) for item in part.inputs]


def _key(item: object, by_size: Counter[int]) -> str:
    if isinstance(item, str):
        return " ".join(item.casefold().split())
    if isinstance(item, Path):
        size = item.stat().st_size
        if by_size[size] == 1:  # no other file has this size: it need not be read
            return f"{size} {item}"
        return hashlib.sha256(item.read_bytes()).hexdigest()
    return hashlib.sha256(input_bytes(item)).hexdigest()


def check_leaks(parts: Parts, drop: bool, report: DataReport) -> None:
    """Refuse examples that stand in two of the given splits, or remove them from the one that is trained on.

    Args:
        parts: Given splits; changed in place if `drop`. Train gives way to valid and test, valid gives way to test.
        drop: Remove leaks rather than refuse them.
        report: Gets the leaks that were removed.

    Raises:
        DataError: There are leaks and `drop` is False.
    """
    order = [split for split in ("all", "train", "valid", "test") if split in parts]
    for i, split in enumerate(order):
        elsewhere: dict[str, tuple[str, int]] = {}
        for later in order[i + 1:]:
            elsewhere |= {key: (later, row) for row, key in enumerate(parts[later].keys)}
        part = parts[split]
        leaks = [row for row, key in enumerate(part.keys) if key in elsewhere]
        if not leaks:
            continue
        where = {row: elsewhere[part.keys[row]] for row in leaks}
        if not drop:
            others, row = Counter(other for other, _ in where.values()), leaks[0]
            counts = " and ".join(f"{count:,} also in {other}" for other, count in others.items())
            other, twin = where[row]
            raise DataError(
                f"Leak: of {len(part):,} {_called(split)} examples, {counts}, for example {part.show(row)}, the same "
                f"as {parts[other].places[twin]}. A score on them would measure memory. Pass drop_leaks=True "
                f"(command line: --drop-leaks) to remove them from {_called(split)}.")
        report.leaks += [(part.show(row), _called(split), where[row][0]) for row in leaks]
        gone = set(leaks)
        parts[split] = part.pick([row for row in range(len(part)) if row not in gone])
    if report.leaks:
        examples = some([f"{example} in {split} and {other}" for example, split, other in report.leaks], 2)
        report.warnings.append(f"{plural(len(report.leaks), 'leak')} dropped: {examples}")


def check_duplicates(parts: Parts, drop: bool, report: DataReport) -> None:
    """Count examples that repeat an earlier one of their split, drop them if asked, and warn of contradictions."""
    for split, part in parts.items():
        first = list({key: row for row, key in reversed(list(enumerate(part.keys)))}.values())[::-1]
        report.duplicates[split] = len(part) - len(first)
        if drop:
            parts[split] = part.pick(first)
    total = sum(report.duplicates.values())
    if drop and total:
        report.notes.append(f"{plural(total, 'duplicate')} dropped, the first of each kept")
    targets: dict[str, object] = {}
    conflicts = [part.show(row) for part in parts.values() for row, key in enumerate(part.keys)
                 if targets.setdefault(key, part.targets[row]) != part.targets[row]]
    if conflicts:
        report.warnings.append(f"{plural(len(conflicts), 'example')} repeated with another label: {some(conflicts, 2)}")


def _called(split: str) -> str:
    return "train" if split == "all" else split
