"""Table: columns from a file, from pandas or from Hugging Face, with the number of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftkit.errors import DataError


@dataclass
class Table:
    """Columns of equal length.

    Args:
        where: File name or the like, for messages.
        columns: Cells by column name; None is a missing cell.
        lines: The number of each row: lines of a text file (from 1), else rows (from 0).
        counted: What is counted, "line" or "row".
        class_names: Names behind the integers of a column, where the source declares them (Hugging Face's ClassLabel).
        images: Columns that hold images as bytes, as {"bytes", "path"} or as PIL images.
    """

    where: str
    columns: Mapping[str, Sequence[Any]]
    lines: Sequence[int]
    counted: str = "row"
    class_names: dict[str, list[str]] = field(default_factory=dict)
    images: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.where} {self.counted} {self.lines[row]}"

    def pick(self, rows: Sequence[int]) -> Table:
        """The table of these rows."""
        columns: Mapping[str, Sequence[Any]] = {name: [cells[i] for i in rows] for name, cells in self.columns.items()}
        lines = [self.lines[i] for i in rows]
        return Table(self.where, columns, lines, self.counted, self.class_names, self.images)


def from_frame(frame: Any, where: str) -> Table:
    """The table of a pandas DataFrame."""
    if not frame.columns.is_unique:
        raise DataError(f"Two columns are called '{frame.columns[frame.columns.duplicated()][0]}'. Rename one.")
    cells = frame.astype(object).where(frame.notna(), None)
    columns = {str(name): cells.iloc[:, i].tolist() for i, name in enumerate(frame.columns)}
    first = {name: next((cell for cell in column if cell is not None), None) for name, column in columns.items()}
    images = frozenset(name for name, cell in first.items() if is_image(cell))
    return Table(where, columns, range(len(frame)), images=images)


def is_image(cell: Any) -> bool:
    """Whether a cell holds an image: bytes, {"bytes", "path"}, or a PIL image."""
    return (isinstance(cell, bytes) or (isinstance(cell, Mapping) and "bytes" in cell)
            or type(cell).__module__.startswith("PIL."))


def declared(features: Mapping[str, Any]) -> tuple[dict[str, list[str]], frozenset[str]]:
    """Class names and image columns from Hugging Face's description of a table's features."""
    names, images = {}, set()
    for column, feature in features.items():
        feature = feature if isinstance(feature, Mapping) else {}
        inner = feature.get("feature") if isinstance(feature.get("feature"), Mapping) else feature
        if inner and inner.get("_type") == "ClassLabel" and inner.get("names"):
            names[column] = [str(name) for name in inner["names"]]
        if feature.get("_type") == "Image":
            images.add(column)
    return names, frozenset(images)
