"""Is this image whole? Asked once, when the data are read, and not in the middle of an epoch."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

Size = tuple[int, int]


def check_image(path: Path) -> tuple[Size, str]:
    """(width, height) of an image file and "", or why it cannot be used."""
    if not path.stat().st_size:
        return (0, 0), "empty file"
    return _check(path)


def image_from_cell(cell: bytes | Mapping[str, Any] | Image.Image) -> tuple[Any, Size, str]:
    """A table's cell to a PIL image that is decoded when it is used, its size, and "" or why it cannot be used."""
    if isinstance(cell, Image.Image):
        return cell, cell.size, ""
    raw = cell if isinstance(cell, bytes) else cell["bytes"]
    if raw is None and not isinstance(cell, bytes):
        path = Path(str(cell.get("path")))
        return (path, *check_image(path)) if path.is_file() else (path, (0, 0), "neither bytes nor a file")
    if not raw:
        return None, (0, 0), "empty"
    size, reason = _check(io.BytesIO(raw))
    if reason:
        return None, size, reason
    image = Image.open(io.BytesIO(raw))
    image.info["sha256"] = hashlib.sha256(raw).digest()  # to compare images later without decoding them all
    return image, size, ""


def _check(file: Path | io.BytesIO) -> tuple[Size, str]:
    """Open, verify, then decode as cheaply as can be: a JPEG at an eighth of its size shows where it is cut off."""
    try:
        with Image.open(file) as image:
            size = image.size
            image.verify()  # checksums (PNG); the object cannot be used afterwards
        if isinstance(file, io.BytesIO):
            file.seek(0)
        with Image.open(file) as image:
            image.draft("L", (max(1, size[0] // 8), max(1, size[1] // 8)))  # does nothing for other formats
            image.load()
    except UnidentifiedImageError:
        return (0, 0), "not an image"
    except Exception as error:  # decoders of damaged files raise nearly anything, SyntaxError and struct.error included
        return (0, 0), str(error).splitlines()[0] if str(error) else type(error).__name__
    return size, ""
