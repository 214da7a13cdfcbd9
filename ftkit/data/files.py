"""Tables in files: CSV, TSV, JSON Lines, JSON and Parquet. Every error names the line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ftkit.data.report import DataReport
from ftkit.data.table import Table, declared
from ftkit.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet")
csv.field_size_limit(2**31 - 1)  # Python's own limit, 128 KiB a cell, is shorter than a book chapter


def read_table(path: Path, report: DataReport) -> Table:
    """The table in a file, told by its suffix.

    Raises:
        DataError: Not a known format, empty, not UTF-8, or broken: with the line where it is.
    """
    readers: dict[str, Callable[[Path, DataReport], Table]] = {
        ".csv": _read_csv, ".tsv": _read_tsv, ".tab": _read_tsv, ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines, ".json": _read_json, ".parquet": _read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: ftkit reads tables from {', '.join(TABLE_SUFFIXES)}, and folders of images or "
                        f"sounds, but not '{path.suffix}'.{_advice(path.suffix.lower())}")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty.")
    table = readers[path.suffix.lower()](path, report)
    if not len(table):
        raise DataError(f"{path} has a header but no rows.")
    return table


def decode(path: Path) -> str:
    """The text of a file without a byte-order mark, or an error that says where it stops being UTF-8."""
    raw = path.read_bytes()
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start} (line {line}). "
                        "Save it as UTF-8; in a spreadsheet choose \"CSV UTF-8\".") from None
    content = content.removeprefix("\ufeff")
    if not content.strip():
        raise DataError(f"{path} is empty.")
    return content


def _read_csv(path: Path, report: DataReport) -> Table:
    content = decode(path)
    header = content.splitlines()[0]
    # Spreadsheets set to a language with decimal commas write semicolons, and some exports write tabs.
    delimiter = "," if "," in header else next((mark for mark in ";\t|" if mark in header), ",")
    if delimiter != ",":
        report.notes.append(f"{path.name}: columns separated by {delimiter!r}")
    return _from_records(path, _records(path, content, delimiter, csv.QUOTE_MINIMAL))


def _read_tsv(path: Path, report: DataReport) -> Table:
    content = decode(path)
    try:
        records = _records(path, content, "\t", csv.QUOTE_MINIMAL)
        swallowed = any("\t" in cell and "\n" in cell for _, cells in records for cell in cells)
    except DataError:
        swallowed = True
    if swallowed:  # many TSV files quote nothing, and a text may then begin with a quotation mark
        records = _records(path, content, "\t", csv.QUOTE_NONE)
        report.notes.append(f"{path.name}: quotation marks belong to the text")
    return _from_records(path, records)


def _records(path: Path, content: str, delimiter: str, quoting: Any) -> list[tuple[int, list[str]]]:
    """(line, cells) of every record; all have as many cells as the first."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    records: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path} line {line}: {error}. A cell that contains a quotation mark must stand in "
                            "quotation marks, with the inner ones doubled.") from None
        if cells is None:
            return records
        if not cells:  # a blank line
            continue
        if records and len(cells) != len(records[0][1]):
            raise DataError(f"{path} line {line}: {len(cells)} cells, but the header has {len(records[0][1])}. "
                            "A text that contains the separator must stand in quotation marks.")
        records.append((line, cells))


def _from_records(path: Path, records: list[tuple[int, list[str]]]) -> Table:
    (_, header), rows = records[0], records[1:]
    names = [name.strip() or f"column {i + 1}" for i, name in enumerate(header)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called '{twice}'. Rename one.")
    columns = {name: [cells[i] for _, cells in rows] for i, name in enumerate(names)}
    return Table(path.name, columns, [line for line, _ in rows], "line")


def _read_json_lines(path: Path, report: DataReport) -> Table:
    lines = [(i, line) for i, line in enumerate(decode(path).split("\n"), 1) if line.strip()]
    rows = []
    for number, line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"{path} line {number} is not JSON: {error.msg} at column {error.colno}.") from None
        if not isinstance(rows[-1], dict):
            raise DataError(f"{path} line {number}: each line must be an object such as "
                            '{"text": "…", "label": "…"}.')
    return Table(path.name, _columns(rows), [number for number, _ in lines], "line")


def _read_json(path: Path, report: DataReport) -> Table:
    try:
        content = json.loads(decode(path))
    except json.JSONDecodeError as error:
        hint = " One object per line? Then name it .jsonl." if error.msg == "Extra data" else ""
        raise DataError(f"{path} is not JSON: {error.msg} at line {error.lineno}.{hint}") from None
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, dict) and content and all(isinstance(column, list) for column in content.values()):
        if len({len(column) for column in content.values()}) > 1:
            raise DataError(f"{path}: the columns have different lengths.")
        return Table(path.name, content, range(len(next(iter(content.values())))))
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise DataError(f'{path}: expected a list of objects such as [{{"text": "…", "label": "…"}}].')
    return Table(path.name, _columns(content), range(len(content)))


def _columns(rows: list[dict[str, Any]]) -> dict[str, Sequence[Any]]:
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}


def _read_parquet(path: Path, report: DataReport) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {str(error).splitlines()[0]}") from None
    described = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    names, images = declared(described.get("info", {}).get("features", {}))
    binary = {f.name for f in table.schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)}
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    return Table(path.name, columns, range(table.num_rows), class_names=names, images=images | binary)


def _advice(suffix: str) -> str:
    if suffix in (".xlsx", ".xls", ".ods"):
        return " Save the sheet as CSV UTF-8."
    if suffix == ".txt":
        return " To train a text generator on it, pass task='causal-lm'."
    return " Unpack it first." if suffix in (".zip", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".7z") else ""
