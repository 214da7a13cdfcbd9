"""Folders of images and sounds, whole and broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ftkit.data import load_data
from ftkit.errors import DataError

Write = Callable[..., Path]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".gif"])
def test_classes(write_images: Write, suffix: str) -> None:
    data = load_data(write_images("pets", {"dog": 10, "cat": 10}, suffix))
    assert data.modality == "image"
    assert data.task is not None
    assert data.task.name == "image-classification"
    assert data.train.labels == ("cat", "dog")
    assert all(isinstance(item, Path) for item in data.train.inputs)
    assert all(data.train.labels[target] == item.parent.name for item, target in data.train)
    assert data.report.lengths == {"unit": "pixels", "common": "10x8", "min": "10x8", "max": "10x8"}
    assert (len(data.train), len(data.valid), len(data.test)) == (14, 3, 3)


def test_given_splits(write_images: Write) -> None:
    for split, n in {"train": 8, "Val": 3, "test": 4}.items():
        write_images(f"root/{split}", {"10": n, "9": n})
    data = load_data(write_images("root", {}))
    assert (len(data.train), len(data.valid), len(data.test)) == (16, 6, 8)
    assert data.train.labels == ("9", "10")
    assert {item.parent.parent.name for item in data.valid.inputs} == {"Val"}


def test_train_and_test_only(write_images: Write) -> None:
    write_images("root/train", {"a": 20, "b": 20})
    data = load_data(write_images("root/test", {"a": 4, "b": 4}).parent)
    assert (len(data.train), len(data.valid), len(data.test)) == (34, 6, 8)


def test_a_test_folder_without_classes_is_not_used(write_images: Write) -> None:
    root = write_images("root/train", {"a": 20, "b": 20}).parent
    write_images("root", {"test": 4})
    data = load_data(root)
    assert len(data.test) == 6
    assert any("folders passed over" in note and "test" in note for note in data.report.notes)


def test_train_may_be_a_class_of_vehicles(write_images: Write) -> None:
    assert load_data(write_images("root", {"train": 10, "bus": 10})).train.labels == ("bus", "train")


def test_no_train_folder(write_images: Write) -> None:
    write_images("root/test", {"a": 4, "b": 4})
    with pytest.raises(DataError, match="no 'train' folder"):
        load_data(write_images("root/valid", {"a": 4, "b": 4}).parent)


def test_hidden_and_other_files(write_images: Write) -> None:
    root = write_images("root", {"a": 10, "b": 10, ".ipynb_checkpoints": 2, "a/.ipynb_checkpoints": 2, "__MACOSX": 1})
    (root / "a" / ".DS_Store").write_text("x")
    (root / "a" / "readme.txt").write_text("x")
    (root / "b" / "deeper").mkdir()
    (root / "b" / "0.png").rename(root / "b" / "deeper" / "0.png")
    data = load_data(root)
    assert data.train.labels == ("a", "b")
    assert sum(data.report.examples.values()) == 20
    assert any("1 file passed over, no image: a/readme.txt" in note for note in data.report.notes)


def test_a_folder_in_a_folder(write_images: Write) -> None:
    data = load_data(write_images("flowers/flowers", {"rose": 10, "tulip": 10}).parent)
    assert data.train.labels == ("rose", "tulip")
    assert any("inside" in note for note in data.report.notes)


def test_broken_images_are_skipped_and_named(write_images: Write) -> None:
    root = write_images("root", {"a": 10, "b": 10}, size=64)
    (root / "a" / "0.png").write_bytes(b"")
    (root / "a" / "1.png").write_bytes(b"this is no image")
    whole = (root / "b" / "2.png").read_bytes()
    (root / "b" / "2.png").write_bytes(whole[: len(whole) // 2])
    photo = write_images("jpg", {"b": 1}, ".jpg", size=64) / "b" / "0.jpg"
    (root / "b" / "cut.jpg").write_bytes(photo.read_bytes()[:-900])
    data = load_data(root)
    assert {name for name, _ in data.report.broken} == {"a/0.png", "a/1.png", "b/2.png", "b/cut.jpg"}
    assert dict(data.report.broken)["a/0.png"] == "empty file"
    assert dict(data.report.broken)["a/1.png"] == "not an image"
    assert sum(data.report.examples.values()) == 17
    assert any("4 broken files skipped: a/0.png (empty file)" in warning for warning in data.report.warnings)


def test_all_broken(write_images: Write) -> None:
    root = write_images("root", {"a": 2, "b": 2})
    for file in root.rglob("*.png"):
        file.write_bytes(b"x")
    with pytest.raises(DataError, match=r"None of the 4 files .* a/0\.png \(not an image\)"):
        load_data(root)


def test_empty_class_and_loose_files(write_images: Write) -> None:
    root = write_images("root", {"a": 10, "b": 10, "c": 0})
    shutil.copy(root / "a" / "0.png", root / "loose.png")
    warnings = load_data(root).report.warnings
    assert any("empty class folders in root: c" in warning for warning in warnings)
    assert any("1 file directly in root passed over" in warning for warning in warnings)


def test_one_class_only(write_images: Write) -> None:
    with pytest.raises(DataError, match="root has one label only, 'a'"):
        load_data(write_images("root", {"a": 10}))


@pytest.mark.parametrize(("name", "message"), [
    (None, "is empty"), ("1.png", "no class folders.*cat/1.jpg"), ("train.csv", r"train\.csv: pass the path"),
    ("sub/notes.txt", r"no images or sounds in its folders \(\.jpg"),
])
def test_folders_without_classes(tmp_path: Path, name: str | None, message: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    if name:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    with pytest.raises(DataError, match=message):
        load_data(root)


def test_columns_of_a_folder(write_images: Write) -> None:
    with pytest.raises(DataError, match=r"is a folder.*leave text= and label= out"):
        load_data(write_images("root", {"a": 2, "b": 2}), label="kind")


def test_a_file_that_is_an_image(write_images: Write) -> None:
    with pytest.raises(DataError, match=r"folders of images or sounds, but not '\.png'"):
        load_data(write_images("root", {"a": 1}) / "a" / "0.png")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_sounds(write_sounds: Write, suffix: str) -> None:
    data = load_data(write_sounds("words", {"yes": 10, "no": 10}, suffix))
    assert data.modality == "audio"
    assert data.task.name == "audio-classification"
    assert data.train.labels == ("no", "yes")
    assert data.report.lengths["unit"] == "seconds"
    assert data.report.lengths["median"] == pytest.approx(0.1, abs=0.05)
    assert repr(data).startswith("Data 'words': audio-classification, 2 labels (no, yes)")


def test_broken_sounds(write_sounds: Write) -> None:
    root = write_sounds("words", {"yes": 10, "no": 10}, ".flac")
    (root / "yes" / "0.flac").write_bytes(b"")
    (root / "yes" / "1.flac").write_bytes(b"not a sound at all")
    whole = (root / "no" / "2.flac").read_bytes()
    (root / "no" / "2.flac").write_bytes(whole[: len(whole) // 2])
    report = load_data(root).report
    assert dict(report.broken) == {
        "yes/0.flac": "empty file", "yes/1.flac": "not a sound file", "no/2.flac": "cut off or damaged"}


def test_tasks_must_fit(write_sounds: Write, write_images: Write) -> None:
    with pytest.raises(DataError, match=r"needs text, but pets holds image. Use image-classification"):
        load_data(write_images("pets", {"a": 5, "b": 5}), task="text-classification")
    with pytest.raises(DataError, match=r"holds audio. Use audio-classification"):
        load_data(write_sounds("words", {"a": 5, "b": 5}), task="text-classification")
    with pytest.raises(DataError, match=r"task='ctc' needs a text for each sound, and words has classes"):
        load_data(write_sounds("words", {"a": 5, "b": 5}), task="ctc")
