"""DataReport: everything that was found, made, dropped or passed over, so that nothing happens silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class DataReport:
    """Facts about a data set, gathered while it is read.

    Args:
        name: Name of the source.
        modality: "text", "image" or "audio".
        multilabel: Whether an example may have several labels; the balance then counts it under each.
        examples: Examples per split.
        balance: Examples per label, for each split.
        lengths: Over all usable examples. Text: words (min, median, p95, max). Images: pixels as "64x48" (common, min,
            max). Audio: seconds (min, median, p95, max).
        broken: (file, reason) of files that could not be read.
        dropped: (place, reason) of rows without a text or a label.
        duplicates: Per split as given ("all" if none was), how many examples repeat an earlier one of the same split.
        leaks: (example, split, other split) of examples that stood in two given splits and were removed from the first.
        notes: What was decided and why.
        warnings: What deserves a second look.

    Lesson 01 reads one.
    """

    name: str = ""
    modality: str = ""
    multilabel: bool = False
    examples: dict[str, int] = field(default_factory=dict)
    balance: dict[str, dict[str, int]] = field(default_factory=dict)
    lengths: dict[str, Any] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    duplicates: dict[str, int] = field(default_factory=dict)
    leaks: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """One row per label with its examples in each split, and a last row of totals: ready for a table."""
        labels = next(iter(self.balance.values()), {})
        rows: list[dict[str, Any]] = [
            {"label": label, **{split: counts[label] for split, counts in self.balance.items()}} for label in labels]
        return [*rows, {"label": "all", **self.examples}]

    def __str__(self) -> str:
        total, labels = sum(self.examples.values()), len(next(iter(self.balance.values()), {}))
        lines = [f"{self.name}: {total:,} examples ({self.modality}), {f'{labels} labels' if labels else 'no classes'}"
                 + (", several per example" if self.multilabel else "")]
        lines += [f"  {split:<5} {n:>7,}   {_balance(self.balance[split], n)}" for split, n in self.examples.items()]
        if self.lengths:
            facts = ", ".join(f"{key} {value}" for key, value in self.lengths.items() if key != "unit")
            lines.append(f"  {self.lengths['unit']}: {facts}")
        lines.append(f"  dropped rows {len(self.dropped)}, broken files {len(self.broken)}, "
                     f"duplicates {sum(self.duplicates.values())}, leaks dropped {len(self.leaks)}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def some(items: Sequence[str], most: int = 5) -> str:
    """The first few of many, for a message."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more:,} more" if more > 0 else "")


def plural(n: int, noun: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def measure(modality: str, sizes: Sequence[Any]) -> dict[str, Any]:
    """The `lengths` of a report from the sizes of all examples; see DataReport."""
    if modality == "image":
        by_area = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))
        (common, _), = Counter(sizes).most_common(1)
        named = {"common": common, "min": by_area[0], "max": by_area[-1]}
        return {"unit": "pixels"} | {key: f"{width}x{height}" for key, (width, height) in named.items()}
    values = np.asarray(sizes, dtype=float)
    numbers = {"min": values.min(), "median": np.median(values), "p95": np.percentile(values, 95), "max": values.max()}
    if modality == "audio":
        return {"unit": "seconds"} | {key: round(float(value), 2) for key, value in numbers.items()}
    return {"unit": "words"} | {key: round(float(value)) for key, value in numbers.items()}


def add_summaries(report: DataReport) -> None:
    """Turn lists of dropped rows and broken files into one warning each, and warn of a lopsided train split."""
    report.notes = list(dict.fromkeys(report.notes))  # test= repeats what the source said
    for reason in dict.fromkeys(reason for _, reason in report.dropped):
        places = [place for place, why in report.dropped if why == reason]
        report.warnings.append(f"{plural(len(places), 'row')} dropped ({reason}): {some(places)}")
    if report.broken:
        named = [f"{name} ({reason})" for name, reason in report.broken]
        report.warnings.append(f"{plural(len(named), 'broken file')} skipped: {some(named)}")
    counts = report.balance.get("train", {})
    if counts and max(counts.values()) > 10 * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        report.warnings.append(
            f"lopsided: {counts[most]:,} examples of '{most}' but {counts[least]:,} of '{least}' in train; "
            "accuracy alone will mislead")


def _balance(counts: dict[str, int], n: int) -> str:
    if not n:
        return ""
    if len(counts) <= 6:
        return ", ".join(f"{label} {100 * count / n:.1f} %" for label, count in counts.items())
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] == counts[least]:
        return f"{len(counts)} labels, {counts[most]:,} each"
    return f"{len(counts)} labels, from {counts[least]:,} ({least}) to {counts[most]:,} ({most})"
