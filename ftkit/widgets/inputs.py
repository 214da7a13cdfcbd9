"""What a person gives a panel to look at: a text or an image, checked before a model sees it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from ftkit.backbones import Model
from ftkit.data.folders import SUFFIXES
from ftkit.data.images import image_from_cell
from ftkit.errors import DataError

LONGEST = 100_000  # characters: a text of a book's length takes a tokenizer seconds, and the model reads its beginning
KINDS = {"text": "texts", "image": "images", "audio": "sounds"}


class Given(NamedTuple):
    """A checked input.

    Args:
        item: What `predict` takes.
        shown: It in words.
        notes: What the reader should know about it.
    """

    item: Any
    shown: str
    notes: tuple[str, ...] = ()


def check_text(text: Any, model: Model) -> Given:
    """A text, with a note if the model reads only its beginning.

    Raises:
        DataError: Not a text, an empty one, or one that is longer than 100,000 characters.
    """
    if not isinstance(text, str):
        raise DataError(f"This model reads texts, and this is a {type(text).__name__}.")
    line = " ".join(text.split())
    if not line:
        raise DataError("The text is empty: type a sentence first.")
    if len(text) > LONGEST:
        raise DataError(f"The text has {len(text):,} characters; the panel takes up to {LONGEST:,}. "
                        "Shorten it: the model reads the beginning only.")
    tokens = len(model.processor(text, truncation=False, verbose=False)["input_ids"])
    most = min(getattr(model.task, "max_length", tokens), model.processor.model_max_length)
    notes = (f"The model reads the first {most} of {tokens} tokens.",) if tokens > most else ()
    return Given(text, f"“{line if len(line) <= 200 else line[:199] + '…'}”", notes)


def check_image(item: Any, name: str = "") -> Given:
    """An image: a path, the bytes of a file, a PIL image or an array.

    Raises:
        DataError: It cannot be read; the message names it.
    """
    if isinstance(item, (str, Path)):
        path = Path(item)
        if not path.is_file():
            raise DataError(f"There is no image file {path}.")
        item, name = path.read_bytes(), path.name
    if isinstance(item, bytes):
        name = name or "This file"
        check_suffix(name, "image")
        picture, _, reason = image_from_cell(item)
        if reason:
            raise DataError(f"{name} cannot be used: {reason}.")
        item = ImageOps.exif_transpose(picture)  # photos of phones lie on their side, and say so in a tag
    if isinstance(item, Image.Image):
        return Given(item, f"{name or 'an image'}, {item.width} × {item.height} pixels")
    if not hasattr(item, "shape"):
        raise DataError(f"This model looks at images: a file, a PIL image or an array, not {type(item).__name__}.")
    return Given(item, f"an array of shape {tuple(item.shape)}")


def check_suffix(name: str, kind: str) -> None:
    """Raise DataError if a file's suffix says that it is of another kind; says which kinds are known."""
    if kind == "text":
        raise DataError(f"{name} is a file, and this model reads texts: type one.")
    suffix = Path(name).suffix.lower()
    other = next((other for other, suffixes in SUFFIXES.items() if suffix in suffixes), "")
    if other == kind or not suffix:
        return
    if other:
        what = "an image" if other == "image" else "a sound"
        raise DataError(f"{name} is {what}, and {KINDS[kind]} are wanted here.")
    advice = " Save it as JPEG or PNG." if suffix in (".heic", ".heif", ".avif", ".svg", ".pdf") else ""
    known = ", ".join(SUFFIXES.get(kind, ()))
    raise DataError(f"{name} is of no kind that is known here. Known: {known}.{advice}")


def thumbnail(picture: Image.Image, edge: int = 72) -> bytes:
    """A small JPEG of at most `edge` pixels."""
    small = ImageOps.exif_transpose(picture).convert("RGB")
    small.thumbnail((edge, edge))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()
