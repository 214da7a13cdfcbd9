"""Texts without classes, for a language model: text files, tables of texts, prompts with completions, and chats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftkit.data.columns import divide, find_input, named
from ftkit.data.examples import SPLIT_NAMES, Examples, Source, Wanted
from ftkit.data.files import decode
from ftkit.data.labels import natural_key
from ftkit.data.pairs import before
from ftkit.data.report import DataReport, plural, some
from ftkit.data.table import Table
from ftkit.errors import DataError

CHOSEN = "chosen"  # of a pair of replies, the one to learn from
PROMPT_NAMES = ("prompt", "instruction", "question")
COMPLETION_NAMES = ("completion", "response", "output", "answer", CHOSEN)
CHAT_NAMES = ("messages", "conversations", "conversation", "chat")
_OTHER_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant"}  # what ShareGPT's files call them


def holds_texts(path: Path) -> bool:
    """Whether this is a text file, or a folder with text files in it or in its train, valid and test folders."""
    if path.is_dir():
        return any(_files(folder) for folder in [path, *(child for child in path.iterdir() if child.is_dir())])
    return path.suffix.lower() == ".txt"


def read_texts(path: Path, report: DataReport) -> Source:
    """Documents of text files.

    Args:
        path: A file, whose paragraphs (what stands between blank lines) are the documents; or a folder, whose files
            are. Folders in it called train, valid and test are honoured.
        report: Empty files are added to it.

    Raises:
        DataError: Not UTF-8, or nothing in it.

    Lesson 07.
    """
    if path.is_file():
        found = Examples()
        for number, paragraph in enumerate(re.split(r"\n\s*\n", decode(path)), 1):
            if paragraph.strip():
                _add(found, " ".join(paragraph.split()), None, f"{path.name} paragraph {number}")
        report.notes.append(f"{path.name}: one document for each of {plural(len(found), 'paragraph')}")
        return Source(path.stem, "text", {"all": found}, passages=True)
    below = {SPLIT_NAMES[child.name.lower()]: child for child in sorted(path.iterdir())
             if child.is_dir() and child.name.lower() in SPLIT_NAMES and _files(child)}
    if below and "train" not in below:
        raise DataError(f"{path} has texts for {', '.join(below)} but none for train.")
    parts = {split: _documents(folder, report) for split, folder in (below or {"all": path}).items()}
    report.notes.append("one document for each text file" + ("; splits as given by the folders" if below else ""))
    return Source(path.name or path.resolve().name, "text", parts, passages=True)


def from_passages(name: str, tables: dict[str, Table], report: DataReport, wanted: Wanted) -> Source:
    """Documents of tables: a column of chats, columns of prompts and completions, or a column of texts, in this order.

    Args:
        name: For the report.
        tables: By split, or one under "all", which a split column may divide.
        report: Rows without a text are added to it.
        wanted: `text` names the texts, or with `label` the prompts; `label` names the completions.

    Raises:
        UnknownName: A named column is not there.
        DataError: No column holds texts; a chat is not one.

    Lesson 07.
    """
    first = next(iter(tables.values()))
    text, completion, is_chat = _columns(first, wanted)
    if list(tables) == ["all"]:
        tables = divide(first, report)
    parts = {split: _rows(table, text, completion, is_chat, report) for split, table in tables.items()}
    kind = "chats" if is_chat else "prompts" if completion else "texts"
    report.notes.append(f"{kind} from column '{text}'" + (f", completions from column '{completion}'" if completion
                                                          else "") + "; there are no classes")
    return Source(name, "text", parts, columns=(text, completion or ""), passages=True)


def _columns(table: Table, wanted: Wanted) -> tuple[str, str | None, bool]:
    """The column of texts, prompts or chats; that of completions; and whether they are chats."""
    if wanted.label is not None and wanted.text is None:
        raise DataError(f"label='{wanted.label}' names the completions: name the prompts too, with text=.")
    if wanted.text is not None:
        text = named(table, wanted.text, "text column")
        first = next((cell for cell in table.columns[text] if cell is not None), "")
        completion = named(table, wanted.label, "completion column") if wanted.label else None
        return text, completion, isinstance(first, (list, tuple))
    by_lower = {name.lower(): name for name in reversed(list(table.columns))}
    chats, prompts, completions = ([by_lower[name] for name in names if name in by_lower]
                                   for names in (CHAT_NAMES, PROMPT_NAMES, COMPLETION_NAMES))
    if chats:
        return chats[0], None, True
    if prompts and completions:
        return prompts[0], completions[0], False
    return find_input(table, None, None, "text"), None, False


def _rows(table: Table, text: str, completion: str | None, is_chat: bool, report: DataReport) -> Examples:
    found = Examples()
    answers: Sequence[Any] = table.columns[completion] if completion else [None] * len(table)
    for row, (cell, answer) in enumerate(zip(table.columns[text], answers, strict=True)):
        place = table.place(row)
        missing = next((column for column, value in ((text, cell), (completion, answer))
                        if column and (value is None or not str(value).strip())), None)
        if missing:
            report.dropped.append((place, f"no '{missing}'"))
        elif is_chat:
            _add(found, _chat(cell, place), None, place)
        elif isinstance(cell, (list, dict, bytes)):
            raise DataError(f"{place}: column '{text}' holds a {type(cell).__name__}, not a text.")
        else:
            prompt = before(str(cell)) if str(completion).lower() == CHOSEN else str(cell)  # as for pairs
            _add(found, prompt, None if answer is None else str(answer), place)
    return found


def _chat(cell: Any, place: str) -> list[dict[str, str]]:
    """The messages of a cell; in a CSV file they are JSON."""
    from ftkit.tasks.passages import check_chat  # imports torch, through ftkit.tasks

    try:
        messages = json.loads(cell) if isinstance(cell, str) else list(cell)
    except (ValueError, TypeError):
        raise DataError(f"{place}: not a chat, which is a list of messages in JSON: {cell!r:.60}.") from None
    named_alike = [{"role": _OTHER_ROLES.get(message["from"], message["from"]), "content": message["value"]}
                   if isinstance(message, Mapping) and {"from", "value"} <= set(message) else message
                   for message in messages]
    try:
        check_chat(named_alike)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    if not any(message["role"] == "assistant" for message in named_alike):
        raise DataError(f"{place}: the assistant says nothing in this chat, so there is nothing to learn.")
    return [{"role": message["role"], "content": message["content"]} for message in named_alike]


def _files(folder: Path) -> list[Path]:
    return sorted((file for file in folder.iterdir() if file.is_file() and file.suffix.lower() == ".txt"
                   and not file.name.startswith(".")), key=lambda file: natural_key(file.name))


def _documents(folder: Path, report: DataReport) -> Examples:
    found = Examples()
    for file in _files(folder):
        if not file.read_bytes().strip():
            report.dropped.append((file.name, "empty"))
        else:
            _add(found, decode(file).strip(), None, file.name)
    others = [file.name for file in sorted(folder.iterdir()) if file.is_file() and file.suffix.lower() != ".txt"]
    if others:
        report.notes.append(f"{plural(len(others), 'file')} passed over, no .txt: {some(others, 3)}")
    return found


def _add(found: Examples, item: Any, completion: str | None, place: str) -> None:
    """Add a document; texts that differ only in capitals and spaces count as the same."""
    whole = " ".join(message["content"] for message in item) if isinstance(item, list) else item
    whole += f" {completion}" if completion else ""
    found.append(item, "", place, len(whole.split()))
    found.targets.append(completion)
    found.keys.append(" ".join(whole.casefold().split()))
