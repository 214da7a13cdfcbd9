"""Texts of one's own: one table with the columns text and label."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ftkit.data.labels import natural_key
from ftkit.disk import write_whole
from ftkit.errors import DataError
from ftkit.widgets.collection import Collection, Item
from ftkit.widgets.inputs import LONGEST
from ftkit.widgets.naming import digest

TEXTS = "texts.csv"


class TextCollection(Collection):
    """Texts: one table, folder/texts.csv. It is read anew each time, as an editor may have changed it meanwhile."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "text")
        self._named: set[str] = set()  # classes that have no text yet

    @property
    def source(self) -> Path:
        """The table."""
        return self.folder / TEXTS

    @property
    def labels(self) -> list[str]:
        """Those of the table, and those that were named."""
        return sorted({label for _, label in self._rows()} | self._named, key=natural_key)

    def items(self, label: str) -> list[Item]:
        """The texts."""
        return [Item(digest(text.encode()), text) for text, own in reversed(self._rows()) if own == label]

    def _make_label(self, label: str) -> None:
        self._named.add(label)

    def _drop_label(self, label: str) -> None:
        self._named.discard(label)

    def _delete(self, label: str, name: str) -> None:
        self._named.add(label)
        self._write([row for row in self._rows() if digest(row[0].encode()) != name or row[1] != label])

    def add_text(self, label: str, text: str) -> None:
        """Store a text; raises DataError if it is empty, too long, or there already."""
        self.check(label)
        line = " ".join(str(text).split())
        if not line or len(line) > LONGEST:
            raise DataError("The text is empty." if not line else f"A text has at most {LONGEST:,} characters.")
        rows = self._rows()
        twin = next((own for other, own in rows if other.casefold() == line.casefold()), None)
        if twin is not None:
            raise DataError(f"“{line[:60]}” is there already, in the class '{twin}'.")
        self._write([*rows, (line, label)])

    def _rows(self) -> list[tuple[str, str]]:
        file = self.source
        if not file.is_file():
            return []
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if not {"text", "label"} <= {*(reader.fieldnames or ())}:
                raise DataError(f"{file} needs the columns text and label.")
            return [(row["text"], row["label"]) for row in reader if row["text"] and row["label"]]

    def _write(self, rows: list[tuple[str, str]]) -> None:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([("text", "label"), *rows])
        write_whole(self.source, lines.getvalue().encode())
