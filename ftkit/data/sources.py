"""What `source` may be, and who reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit.data.bundled import NAMES, near_bundled, read_bundled
from ftkit.data.columns import from_tables
from ftkit.data.examples import SPLIT_NAMES, Source, Wanted
from ftkit.data.files import TABLE_SUFFIXES, read_table
from ftkit.data.folders import SUFFIXES, read_folder
from ftkit.data.pairs import from_pairs
from ftkit.data.passages import from_passages, holds_texts, read_texts
from ftkit.data.report import DataReport
from ftkit.data.table import Table, from_frame
from ftkit.data.transcripts import FILE_NAMES, METADATA, metadata_of, read_transcripts
from ftkit.errors import DataError, UnknownName, check_name, nearest

_OTHER_SUFFIXES = (".txt", ".xlsx", ".xls", ".ods", ".zip", ".gz", ".tar", ".tgz", ".xz", ".bz2", ".7z")


def open_source(source: Any, report: DataReport, wanted: Wanted) -> Source:
    """Read `source`, whatever it is; see `load_data` for the kinds and the errors."""
    if source is None or (isinstance(source, str) and not source.strip()):
        raise DataError(f"load_data({source!r}): name a data set, a file or a folder. Bundled: {', '.join(NAMES)}.")
    if isinstance(source, str) and source in NAMES:
        if Path(source).exists():
            report.notes.append(f"'{source}' is the bundled data set; for the file or folder write './{source}'")
        return read_bundled(source, report, wanted)
    if isinstance(source, str) and not Path(source).expanduser().exists() and not looks_like_path(source):
        return _from_hub(source, report, wanted)
    if isinstance(source, (str, Path)):
        return _from_path(Path(source).expanduser(), report, wanted)
    return _from_memory(source, report, wanted)


def looks_like_path(name: str) -> bool:
    """Whether a string means a file or folder, not a name on the hub (one or two words, "owner/name")."""
    known = (*TABLE_SUFFIXES, *SUFFIXES["image"], *SUFFIXES["audio"], *_OTHER_SUFFIXES)
    if name.lower().endswith(known) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", name):
        return True
    return name.startswith(".") or ("/" in name and Path(name).parent.is_dir())


def _from_path(path: Path, report: DataReport, wanted: Wanted) -> Source:
    if not path.exists():
        raise DataError(_missing(path))
    if wanted.passages and holds_texts(path):
        if wanted.text is not None or wanted.label is not None:
            raise DataError(f"{path} has no columns: leave text= and label= out.")
        return read_texts(path, report)
    if path.is_dir() and (tables := metadata_of(path)):
        return read_transcripts(tables, report, wanted)
    if path.name in METADATA:  # the table of a folder of sounds, or a table like any other?
        head = read_table(path, DataReport())
        if any(name.lower() in FILE_NAMES for name in head.columns) and wanted.modality in (None, "audio"):
            return read_transcripts({"all": path}, report, wanted)
    if path.is_dir():
        if wanted.text is not None or wanted.label is not None:
            raise DataError(f"{path} is a folder: its labels are the folders' names, so leave text= and label= out.")
        return read_folder(path, report)
    table = read_table(path, report)
    return _tables(path.stem, {"all": table}, report, wanted)


def _missing(path: Path) -> str:
    """Names the part of the path that is not there, and what is there instead."""
    first = next(part for part in [*reversed(path.parents), path] if not part.exists())
    what = "file or folder" if first == path else f"folder '{first}', so no"
    line = f"There is no {what} '{path}'."
    folder = first.parent
    siblings = [other.name for other in folder.iterdir() if not other.name.startswith(".")] if folder.is_dir() else []
    match = nearest(first.name, siblings)
    return f"{line} Did you mean '{folder / match}'?" if match else line


def _from_hub(name: str, report: DataReport, wanted: Wanted) -> Source:
    if near_bundled(name):
        raise UnknownName("data set", name, NAMES, "These are bundled; a data set on the Hugging Face Hub is written "
                          "owner/name, and a file or folder must exist.")
    from ftkit.data.hub import fetch, tables_of

    return _tables(name, tables_of(fetch(name), name, report), report, wanted)


def _tables(name: str, tables: dict[str, Table], report: DataReport, wanted: Wanted) -> Source:
    read = from_pairs if wanted.pairs else from_passages if wanted.passages else from_tables
    return read(name, tables, report, wanted)


def _from_memory(source: Any, report: DataReport, wanted: Wanted) -> Source:
    """A DataFrame, a Dataset, or several of one kind by split. Neither library is imported to find out."""
    several = list(source.values()) if isinstance(source, Mapping) else [source]
    if several and all(type(part).__module__.partition(".")[0] == "datasets" for part in several):
        from ftkit.data.hub import tables_of

        name, tables = "dataset", tables_of(source, "dataset", report)
    elif several and all(hasattr(part, "iloc") and hasattr(part, "columns") for part in several):
        name, tables = "table", _frames(source)
    else:
        raise DataError(f"load_data reads a name, a path, a pandas DataFrame or a datasets.Dataset, not a "
                        f"{type(source).__name__}. Lists? Put them into pandas.DataFrame({{'text': …, 'label': …}}).")
    if not any(len(table) for table in tables.values()):
        raise DataError(f"The {name} has no rows.")
    return _tables(name, tables, report, wanted)


def _frames(source: Any) -> dict[str, Table]:
    if not isinstance(source, Mapping):
        return {"all": from_frame(source, "table")}
    for name in source:
        check_name("split", str(name).lower(), SPLIT_NAMES)
    return {SPLIT_NAMES[str(name).lower()]: from_frame(part, str(name)) for name, part in source.items()}
