"""Bundled sounds: one Parquet file per split, with the columns audio (bytes of a file), label or text, and speaker."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ftkit.data.examples import Examples, Source
from ftkit.errors import DataError

RATE = 16000  # samples a second, of every bundled sound
_SPLITS = ("train", "valid", "test")


def read_sounds(folder: Path, name: str, column: str = "label") -> Source:
    """The sounds of a folder with train.parquet, valid.parquet and test.parquet, decoded: float32 (samples,).

    Args:
        folder: Where the files are.
        name: Of the data set.
        column: "label" for classes, "text" for what is said.

    Raises:
        DataError: A file is missing or damaged.
    """
    import soundfile

    parts = {}
    for split in _SPLITS:
        found = parts[split] = Examples()
        columns = _columns(folder, split, ["audio", column, "speaker"])
        for row, (raw, label, speaker) in enumerate(zip(*columns, strict=True)):
            try:
                samples, rate = soundfile.read(io.BytesIO(raw), dtype="float32")
            except soundfile.SoundFileError:
                raise DataError(f"{name}: {split}.parquet row {row} is damaged. Install ftkit again.") from None
            if rate != RATE:
                raise DataError(f"{name}: {split}.parquet row {row} has {rate:,} samples a second, not {RATE:,}.")
            found.append(samples, label, f"{name} {split} row {row} ({speaker} says '{label}')", len(samples) / rate)
    return Source(name, "audio", parts, transcripts=column == "text")


def sound_labels(folder: Path, column: str = "label") -> list[str]:
    """The label (or text) of every sound, without decoding any."""
    return [label for split in _SPLITS for label in _columns(folder, split, [column])[0]]


def _columns(folder: Path, split: str, names: list[str]) -> list[list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DataError(f"{path.name} of the bundled data set '{folder.name}' is not there. Install ftkit again.")
    try:
        table = pq.read_table(path, columns=names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} of the bundled data set '{folder.name}' is damaged ({error}). "
                        "Install ftkit again.") from None
    return [table.column(name).to_pylist() for name in names]
