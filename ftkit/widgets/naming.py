"""Names that every system can keep, for classes and files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Any

from ftkit.errors import DataError

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}  # Windows


def digest(content: bytes) -> str:
    """Eight hexadecimal digits that tell contents apart."""
    return hashlib.sha256(content).hexdigest()[:8]


def check_label(label: Any) -> str:
    """A class name that can be a folder's name on every system, or a DataError that says why not."""
    name = unicodedata.normalize("NFC", " ".join(str(label).split()))
    if not name:
        raise DataError("A class needs a name.")
    wrong = " ".join(sorted({c for c in name if c in '/\\:*?"<>|' or not c.isprintable()}))
    if name.startswith((".", "__")) or name.endswith("."):
        wrong = "dots at its ends, and __"
    elif name.casefold().split(".")[0] in _RESERVED:
        wrong = "names that Windows keeps for itself"
    if wrong:
        raise DataError(f"'{name}' cannot be the name of a folder, which each class has. Leave out: {wrong}")
    if len(name) > 60:
        raise DataError(f"A class's name has at most 60 characters, not {len(name)}.")
    return name


def safe_stem(name: str) -> str:
    """A file's name without folders, suffix and letters that some system refuses; at most 40 characters."""
    stem = Path(name.replace("\\", "/")).stem
    return re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", stem)).strip("-_")[:40] or "file"
