"""Which kind of examples a folder holds, and who looks after them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ftkit.data.folders import SUFFIXES
from ftkit.errors import DataError, check_name
from ftkit.widgets.file_collection import FileCollection
from ftkit.widgets.text_collection import TEXTS, TextCollection


def open_collection(folder: str | Path, kind: str | None = None) -> FileCollection | TextCollection:
    """The examples in a folder, which need not be there yet.

    Args:
        folder: Where they are kept.
        kind: "image", "text" or "audio"; None takes what the folder holds, else images.

    Raises:
        DataError: A file, or a folder that holds another kind.
    """
    place = Path(folder).expanduser()
    if place.exists() and not place.is_dir():
        raise DataError(f"{folder} is a file; name a folder for your examples.")
    held = _held(place)
    wanted = check_name("kind of examples", kind or held or "image", ("image", "text", "audio"))
    if held and held != wanted:
        raise DataError(f"{folder} already holds examples of the kind '{held}'; use another folder for '{wanted}'.")
    return TextCollection(place) if wanted == "text" else FileCollection(place, wanted)


def _held(folder: Path) -> str:
    """The kind that a folder holds; "" if it holds none."""
    if (folder / TEXTS).is_file():
        return "text"
    kinds = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
    files = folder.glob("*/*") if folder.is_dir() else []
    found = Counter(kinds[file.suffix.lower()] for file in files if file.suffix.lower() in kinds)
    return found.most_common(1)[0][0] if found else ""
