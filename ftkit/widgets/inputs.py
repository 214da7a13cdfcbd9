"""What a person gives a panel: a text, an image or a sound, checked before a model gets it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ftkit.backbones import Model
from ftkit.backbones.sound import read_sound
from ftkit.data.folders import SUFFIXES, check_sound
from ftkit.data.images import image_from_cell
from ftkit.errors import DataError, UserError
from ftkit.viz.audio import Sound, read

LONGEST = 100_000  # characters: a text of a book's length takes a tokenizer seconds, and the model reads its beginning
LEAST_SOUND, LONGEST_SOUND = 0.1, 60.0  # seconds: a panel answers while one waits
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


def check_audio(item: Any, rate: int, name: str = "") -> Given:
    """A sound at this rate, as a Sound: a path, the bytes of a file, or samples (T,) that have the rate already.

    Raises:
        DataError: It cannot be read, or lasts less than a tenth of a second or more than a minute.
        UserError: Something else than a sound.
    """
    notes: tuple[str, ...] = ()
    if isinstance(item, (str, Path)):
        path = Path(item)
        if not path.is_file():
            raise DataError(f"There is no sound file {path}.")
        item, name = path.read_bytes(), path.name
    if isinstance(item, bytes):
        name = name or "This file"
        check_suffix(name, "audio")
        sound, notes = _sound_of_file(item, rate, name)
    else:
        sound = read(item, rate)
    if not LEAST_SOUND <= sound.seconds <= LONGEST_SOUND:
        raise DataError(f"{name or 'The sound'} lasts {sound.seconds:,.2f} seconds; the panel takes from {LEAST_SOUND} "
                        f"to {LONGEST_SOUND:.0f}.")
    if not np.abs(sound.samples).max() > 1e-4:
        notes = (*notes, "It is silent, or nearly: is the microphone switched on?")
    return Given(sound, f"{name or 'a sound'}, {sound.seconds:.1f} s", notes)


def _sound_of_file(content: bytes, rate: int, name: str) -> tuple[Sound, tuple[str, ...]]:
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"sound{Path(name).suffix.lower() or '.wav'}")
        file.write_bytes(content)
        reason = check_sound(file)[1]
        if reason:
            raise DataError(f"{name} cannot be used: {reason}.")
        info = soundfile.info(str(file))
        samples = read_sound(file, rate)
    notes = []
    if info.channels > 1:
        notes.append(f"Its {info.channels} channels were averaged.")
    if info.samplerate != rate:
        notes.append(f"It was brought from {info.samplerate:,} to {rate:,} samples a second.")
    return Sound(samples, rate), tuple(notes)


def check_idle(models: Mapping[str, Any]) -> None:
    """Raise UserError if one of them is in the middle of its training; what is no Model is passed over."""
    for name, model in models.items():
        if isinstance(model, Model) and any(module.training for module in model.net.modules()):
            which = "" if len(models) == 1 else f" “{name}”"
            raise UserError(f"The model{which} is being trained. Ask again when its run has ended.")


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
    advice = " Save it as JPEG or PNG." if suffix in (".heic", ".heif", ".avif", ".svg", ".pdf") else (
        " Save it as WAV." if suffix in (".m4a", ".aac", ".wma", ".webm", ".opus", ".mp4", ".amr") else "")
    known = ", ".join(SUFFIXES.get(kind, ()))
    raise DataError(f"{name} is of no kind that is known here. Known: {known}.{advice}")


def thumbnail(picture: Image.Image, edge: int = 72) -> bytes:
    """A small JPEG of at most `edge` pixels."""
    small = ImageOps.exif_transpose(picture).convert("RGB")
    small.thumbnail((edge, edge))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()
