"""Folders of sounds with a table beside them: a text for each sound, or a class."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ftkit.data.examples import SPLIT_NAMES, Examples, Source, Wanted
from ftkit.data.files import read_table
from ftkit.data.folders import SUFFIXES, check_sound
from ftkit.data.labels import clean_column
from ftkit.data.report import DataReport, plural, some
from ftkit.data.split import Split
from ftkit.data.table import Table
from ftkit.errors import DataError, UnknownName

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.tsv")
FILE_NAMES = ("file_name", "file", "filename", "path", "audio")
TEXT_NAMES = ("text", "transcription", "transcript", "sentence")
LABEL_NAMES = ("label", "labels", "class", "category")


def metadata_of(folder: Path) -> dict[str, Path]:
    """The tables of a folder of sounds: {"all": metadata.csv}, or one for each split; empty if there is none."""
    own = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if own:
        return {"all": own}
    below = {SPLIT_NAMES[part.name.lower()]: part for part in sorted(folder.iterdir())
             if part.is_dir() and part.name.lower() in SPLIT_NAMES}
    found = {split: next((part / name for name in METADATA if (part / name).is_file()), None)
             for split, part in below.items()}
    return {split: file for split, file in found.items() if file is not None}


def read_transcripts(files: dict[str, Path], report: DataReport, wanted: Wanted) -> Source:
    """The sounds that tables name, with their texts (or classes, if there is no column of texts).

    Args:
        files: From `metadata_of`; or one table under "all", whose folder the names of sounds start from.
        report: Broken and missing files, and rows without a text, are added to it.
        wanted: Columns that the caller named.

    Raises:
        DataError: No column names the sounds, or none holds texts or classes; not one sound can be read.

    Lesson 05.
    """
    parts: dict[str, Examples] = {}
    columns = ("", "")
    for split, file in files.items():
        table = read_table(file, report)
        columns = _columns(table, wanted)
        for name, rows in _by_split(table, split).items():
            parts.setdefault(name, Examples()).extend(_examples(rows, file.parent, columns, report))
    root = next(iter(files.values())).parent
    if not any(len(part) for part in parts.values()):
        place, reason = (report.broken + report.dropped)[0]
        raise DataError(f"None of the sounds that {root.name} names can be used: {place} ({reason}), …")
    if list(parts) not in (["all"], ["train"]) and "train" not in parts:
        raise DataError(f"{root} has sounds for {', '.join(parts)} but none for train.")
    report.notes.append(f"sounds from column '{columns[0]}', " + (
        f"texts from column '{columns[1]}'" if _texts(columns[1], wanted) else f"classes from column '{columns[1]}'"))
    return Source(root.name, "audio", parts, columns=columns, transcripts=_texts(columns[1], wanted))


def _texts(column: str, wanted: Wanted) -> bool:
    """Whether the column that was chosen holds texts, not classes."""
    return wanted.label is None or column.lower() != wanted.label.lower()


def _columns(table: Table, wanted: Wanted) -> tuple[str, str]:
    by_lower = {name.lower(): name for name in table.columns}

    def find(kind: str, named: str | None, known: tuple[str, ...]) -> str | None:
        if named is not None:
            if named.lower() not in by_lower:
                raise UnknownName(f"{kind} column", named, list(table.columns), f"These are in {table.where}.")
            return by_lower[named.lower()]
        return next((by_lower[name] for name in known if name in by_lower), None)

    listed = ", ".join(f"'{name}'" for name in table.columns)
    sounds = find("file", None, FILE_NAMES)
    if sounds is None:
        raise DataError(f"{table.where} does not say which sound a row is about: it has the columns {listed}. Call the "
                        "column with the files' names 'file_name'.")
    if wanted.label is not None:
        return sounds, find("label", wanted.label, ()) or ""
    texts = find("text", wanted.text, TEXT_NAMES)
    if texts is None:
        raise DataError(f"{table.where} has no column of texts: it has {listed}. Call it 'text', or name it with "
                        "text=. For classes in place of texts name their column with label=.")
    return sounds, texts


def _by_split(table: Table, split: str) -> dict[str, Table]:
    """The rows by their split column, if the table is for all of them and has one."""
    column = next((name for name in table.columns if name.lower() == "split"), None)
    if split != "all" or column is None:
        return {split: table}
    rows: dict[str, list[int]] = {}
    for i, cell in enumerate(table.columns[column]):
        name = str(cell or "").strip().lower()
        if name not in SPLIT_NAMES:
            raise DataError(f"{table.place(i)}: the split column says '{cell}'; expected train, valid or test.")
        rows.setdefault(SPLIT_NAMES[name], []).append(i)
    return {name: table.pick(rows[name]) for name in ("train", "valid", "test") if name in rows}


def _examples(table: Table, folder: Path, columns: tuple[str, str], report: DataReport) -> Examples:
    """Rows to examples; a sound that is missing or broken, and a row without a text, goes to the report."""
    names, texts = table.columns[columns[0]], clean_column(table.columns[columns[1]])
    paths = [folder / str(name or "") for name in names]
    with ThreadPoolExecutor(4) as pool:
        checked = list(pool.map(_check, paths))
    found = Examples()
    for row, (path, text, (seconds, reason)) in enumerate(zip(paths, texts, checked, strict=True)):
        place = table.place(row)
        if reason:
            report.broken.append((f"{place}: {names[row]}", reason))
        elif text is None:
            report.dropped.append((place, f"no '{columns[1]}'"))
        else:
            found.append(path, text, f"{place} ({names[row]})", seconds)
    if not len(found) and not report.broken:
        report.dropped.append((table.where, "no rows"))
    return found


def _check(path: Path) -> tuple[float, str]:
    if not path.is_file():
        return 0.0, "no such file"
    if path.suffix.lower() not in SUFFIXES["audio"]:
        return 0.0, f"ftkit reads {some(SUFFIXES['audio'])}"
    return check_sound(path)


def drop_unreadable(parts: dict[str, Examples], report: DataReport) -> None:
    """Drop, and report, the rows whose texts a synthesiser cannot read aloud.

    Raises:
        DataError: None can be read.
    """
    from ftkit.tasks.text_to_speech import unreadable

    reasons: list[str] = []
    for split, part in parts.items():
        found = [unreadable(str(text)) for text in part.labels]
        report.dropped += [(place, reason) for place, reason in zip(part.places, found, strict=True) if reason]
        reasons += filter(None, found)
        parts[split] = part.pick([i for i, reason in enumerate(found) if not reason])
    if reasons and not any(map(len, parts.values())):
        raise DataError(f"No text can be read aloud: {reasons[0]}")
    if reasons:
        report.warnings.append(f"{plural(len(reasons), 'text')} dropped that cannot be read aloud: {reasons[0]}")


def swapped(splits: Sequence[Split], report: DataReport) -> list[Split]:
    """The same with the texts as inputs and the sounds as targets: what a synthesiser learns from."""
    turned = [Split(split.name, split.targets, split.inputs, split.labels) for split in splits]
    seen = set(turned[0].inputs)
    for split in turned[1:]:
        known = sum(text in seen for text in split.inputs)
        if known:
            report.warnings.append(f"{plural(known, f'{split.name} text')} also in train: a score on what was read "
                                   "there measures memory")
    return turned


def check_transcripts(parts: dict[str, Examples], report: DataReport) -> str:
    """Set the texts as targets and drop those without a letter; returns the letters that occur.

    Raises:
        DataError: No text has a letter.
    """
    from ftkit.tasks.spelling import NORMALISATION, spell  # imports torch, through ftkit.tasks

    letters: set[str] = set()
    figures = 0
    for split, part in parts.items():
        spelt = [spell(str(text)) for text in part.labels]
        for place, text in zip(part.places, spelt, strict=True):
            if not text:
                report.dropped.append((place, "no letters in its text"))
        part.targets = [str(text) for text in part.labels]
        parts[split] = part.pick([i for i, text in enumerate(spelt) if text])
        letters |= set("".join(spelt)) - {" "}
        figures += sum(any(c.isdigit() for c in str(text)) for text in part.labels)
    if not letters:
        raise DataError("No text has a letter: there is nothing to recognise.")
    report.notes.append(f"texts are compared in {NORMALISATION}")
    if figures:
        report.warnings.append(f"{plural(figures, 'text')} with figures, which nobody can spell by ear: write numbers "
                               "out as they are spoken")
    return "".join(sorted(letters))

