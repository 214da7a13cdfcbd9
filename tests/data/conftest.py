"""Real files to load: tables, pictures and sounds, all tiny."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from data_helpers import sentences
from PIL import Image

from ftkit.data.bundled import BUNDLED

Rows = Iterable[tuple[Any, ...]]


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """write_csv("a.csv", rows, header) -> path."""

    def write(name: str, rows: Rows, header: tuple[str, ...] = ("text", "label")) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[..., Path]:
    """write_images("root", {"cat": 5, "dog": 5}) -> path; no two pictures are equal, across calls too."""
    rng = np.random.default_rng(0)

    def write(root: str, classes: dict[str, int], suffix: str = ".png", size: int = 8) -> Path:
        for label, n in classes.items():
            folder = tmp_path / root / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (size, size + 2, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}{suffix}")
        return tmp_path / root

    return write


@pytest.fixture
def write_sounds(tmp_path: Path) -> Callable[..., Path]:
    """write_sounds("root", {"yes": 5}, ".flac") -> path; each sound lasts a tenth of a second."""
    rng = np.random.default_rng(0)

    def write(root: str, classes: dict[str, int], suffix: str = ".wav") -> Path:
        for label, n in classes.items():
            folder = tmp_path / root / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(n):
                soundfile.write(folder / f"{i}{suffix}", rng.normal(0, 0.1, 1600), 16000)
        return tmp_path / root

    return write


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled root with a small "reviews" in it, and nothing else."""
    folder = tmp_path / "bundled" / "reviews"
    folder.mkdir(parents=True)
    with (folder / "reviews.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "sentiment", "topic", "style", "split"))
        for i, (text, _) in enumerate(sentences(60)):
            split = "train" if i < 40 else "valid" if i < 50 else "test"
            writer.writerow((text, ["bad", "good"][i % 2], ["food", "film", "book"][i % 3], "plain", split))
    monkeypatch.setattr("ftkit.data.bundled.bundled_root", lambda: tmp_path / "bundled")
    monkeypatch.setattr("ftkit.data.bundled.BUNDLED", {"reviews": BUNDLED["reviews"]})
    return tmp_path / "bundled"
