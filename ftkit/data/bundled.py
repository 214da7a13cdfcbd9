"""The data sets that come with ftkit and need no network."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import Any

from ftkit.bundle import bundled_root
from ftkit.data.columns import from_tables
from ftkit.data.examples import Examples, Label, Source, Wanted
from ftkit.data.files import read_table
from ftkit.data.labels import clean_column, natural_key
from ftkit.data.passages import from_passages
from ftkit.data.report import DataReport
from ftkit.data.sounds import read_sounds, sound_labels
from ftkit.data.table import Table
from ftkit.data.unlabelled import UNLABELLED, list_unlabelled
from ftkit.errors import DataError


@dataclass(frozen=True)
class Bundled:
    """One bundled data set: name, file (for sounds: folder) below `bundled_root()`, default label, description.

    `options` are the task's: a road sign in a mirror is another sign, or none.
    """

    name: str
    file: str
    label: str
    description: str
    modality: str = "text"
    options: dict[str, Any] = field(default_factory=dict, hash=False)


BUNDLED = {spec.name: spec for spec in (
    Bundled("reviews", "reviews/reviews.csv", "sentiment",
            "Short English reviews; label=\"topic\" sorts them by what they are about"),
    Bundled("signs", "signs/signs.parquet", "label",
            "Drawn road signs, 64x64 pixels, in every weather; label=\"condition\" names the weather",
            "image", {"mirror": False}),
    Bundled("commands", "commands", "label", "16 words spoken by 48 synthetic voices, one second each", "audio"),
    Bundled("readings", "readings", "text", "Sentences of the logbook, read by one synthetic voice, and their texts",
            "audio"),
)}
DIGITS = "digits"
NAMES = (*BUNDLED, DIGITS, *UNLABELLED)


def list_data() -> list[dict[str, Any]]:
    """One row per data set that needs no network: name, modality, examples, labels, description. Lesson 01."""
    rows: list[dict[str, Any]] = []
    for spec in BUNDLED.values():
        labels = _labels(spec)
        names = {str(name) for name in labels if name is not None and spec.label != "text"}
        rows.append({"name": spec.name, "modality": spec.modality, "examples": len(labels),
                     "labels": sorted(names, key=natural_key), "description": spec.description})
    rows.append({"name": DIGITS, "modality": "image", "examples": 1797, "labels": [str(i) for i in range(10)],
                 "description": "Handwritten digits, 8x8 pixels, from scikit-learn"})
    return rows + list_unlabelled()


def read_bundled(name: str, report: DataReport, wanted: Wanted) -> Source:
    """The bundled data set called `name`, by its default label column unless the caller names another."""
    if name == DIGITS:
        if wanted.text is not None or wanted.label is not None:
            raise DataError("'digits' has no columns: leave text= and label= out.")
        return _read_digits()
    if name in UNLABELLED:
        raise DataError(f"'{name}' has no classes: it cannot be a test split of something that has.")
    spec = BUNDLED[name]
    if spec.modality == "audio":
        if wanted.text is not None or wanted.label is not None:
            raise DataError(f"'{name}' has no columns: leave text= and label= out.")
        return read_sounds(bundled_root() / spec.file, name, spec.label)
    if wanted.passages and spec.modality == "text":
        return from_passages(name, {"all": _table(spec, report)}, report, wanted)
    wanted = replace(wanted, label=wanted.label or spec.label, modality=spec.modality)
    source = from_tables(name, {"all": _table(spec, report)}, report, wanted)
    source.options |= spec.options
    return source


def near_bundled(name: str) -> bool:
    """Whether `name` is probably a slip of the pen for a bundled name, and not a data set on the hub."""
    return bool(difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.75))


def _labels(spec: Bundled) -> list[Label | None]:
    """The label of every example."""
    if spec.modality == "audio":
        return [*sound_labels(bundled_root() / spec.file, spec.label)]
    return clean_column(_table(spec, DataReport()).columns[spec.label])


def _table(spec: Bundled, report: DataReport) -> Table:
    path = bundled_root() / spec.file
    if not path.is_file():
        raise DataError(f"The bundled data set '{spec.name}' is not there ({spec.file}). Install ftkit again.")
    return read_table(path, report)


def _read_digits() -> Source:
    """Scikit-learn's copy of the UCI digits (Alpaydin & Kaynak 1998) as grey uint8 pictures (8, 8, 3)."""
    import numpy as np
    from sklearn.datasets import load_digits

    raw = load_digits()
    pictures = np.round(raw.images * (255 / 16)).astype(np.uint8)  # 17 grey levels
    found = Examples()
    for i, (picture, digit) in enumerate(zip(pictures, raw.target, strict=True)):
        found.append(np.repeat(picture[:, :, None], 3, axis=2), str(digit), f"digits {i}", (8, 8))
    return Source(DIGITS, "image", {"all": found}, options={"mirror": False})
