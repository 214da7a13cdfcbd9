"""Bundled names, paths that are not there, Hugging Face objects, the hub, and the report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from data_helpers import sentences
from PIL import Image

import ftkit.data.hub as hub
from ftkit.data import bundled_root, list_data, load_data
from ftkit.errors import DataError, UnknownName


@pytest.mark.usefixtures("bundled")
def test_bundled_reviews() -> None:
    data = load_data("reviews")
    assert repr(data) == ("Data 'reviews': text-classification, 2 labels (bad, good)\n"
                          "  train 40 · valid 10 · test 10")
    assert load_data("reviews", label="topic").train.labels == ("book", "film", "food")
    with pytest.raises(UnknownName, match=r"label column 'topics'.*Did you mean 'topic'"):
        load_data("reviews", label="topics")


@pytest.mark.usefixtures("bundled")
def test_list_data() -> None:
    rows = list_data()
    assert [row["name"] for row in rows] == ["reviews", "digits", "logbook", "stories", "replies"]
    assert set(rows[0]) == {"name", "modality", "examples", "labels", "description"}
    assert rows[0]["examples"] == 60
    assert rows[0]["labels"] == ["bad", "good"]


def test_the_real_reviews() -> None:
    assert (bundled_root() / "reviews" / "reviews.csv").is_file()
    for label in ("sentiment", "topic"):
        data = load_data("reviews", label=label)
        assert not data.report.leaks
        assert not data.report.dropped
        assert min(len(data.train), len(data.valid), len(data.test)) >= 100


def test_digits() -> None:
    data = load_data("digits")
    assert data.train.labels == tuple("0123456789")
    picture, target = data.train[0]
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.uint8
    assert max(item.max() for item in data.train.inputs) == 255
    assert data.report.lengths["common"] == "8x8"
    assert data.task is not None
    assert data.task.name == "image-classification"
    assert len(data.train.fingerprint()) == 16
    assert 0 <= target < 10
    with pytest.raises(DataError, match="'digits' has no columns"):
        load_data("digits", label="x")


@pytest.mark.parametrize("name", ["reviws", "Reviews", "review", "digit"])
def test_a_misspelt_name(name: str) -> None:
    match = "digits" if "digit" in name else "reviews"
    with pytest.raises(UnknownName, match=f"data set '{name}'. Did you mean '{match}'"):
        load_data(name)


def test_a_folder_with_a_bundled_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert any("write './digits'" in note for note in load_data("digits").report.notes)


def test_a_path_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.csv").write_text("text,label\n")
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, match in {
        "note.csv": "no file or folder 'note.csv'. Did you mean 'notes.csv'",
        "./photo": "Did you mean 'photos'",
        "photos/cat": "no file or folder 'photos/cat'",
        "phots/cat/1.jpg": "no folder 'phots', so no 'phots/cat/1.jpg'. Did you mean 'photos'",
        "of quite another kind.csv": "no file or folder 'of quite another kind.csv'.$",
        str(tmp_path / "notes.tsv"): "Did you mean .*notes.csv",
    }.items():
        with pytest.raises(DataError, match=match):
            load_data(name)
    with pytest.raises(DataError, match=r"Did you mean 'notes.csv'"):
        load_data(Path("note.csv"))


@pytest.mark.parametrize("name", ["imdb", "owner/name", "glue:sst2"])
def test_the_hub_out_of_reach(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"Cannot reach the Hugging Face Hub to load '{name}'.*reviews, .*digits"):
        load_data(name)


def test_the_hub_names_the_nearest_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="Did you mean 'reviews'"):
        load_data("film_reviews")


@pytest.mark.parametrize(("error", "message"), [
    (datasets.exceptions.DatasetNotFoundError("no"), "has no data set 'owner/name', or it is private"),
    (ValueError("Config name is missing: a, b"), "could not be loaded: Config name is missing.*after a colon"),
])
def test_errors_of_the_hub(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(hub, "_reachable", lambda name: True)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=message):
        load_data("owner/name")


def test_a_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def answer(*names: object) -> datasets.DatasetDict:
        asked.extend(names)
        return datasets.DatasetDict(train=dataset(20), test=dataset(6, 50), unsupervised=dataset(4, 90))

    monkeypatch.setattr(hub, "_reachable", lambda name: True)
    monkeypatch.setattr(datasets, "load_dataset", answer)
    data = load_data("owner/name:small")
    assert asked == ["owner/name", "small"]
    assert len(data.test) == 6
    assert any("not used: unsupervised" in note for note in data.report.notes)


def dataset(n: int, start: int = 0, names: tuple[str, ...] = ("worse", "better")) -> datasets.Dataset:
    features = datasets.Features(sentence=datasets.Value("string"), kind=datasets.ClassLabel(names=list(names)))
    rows = {"sentence": [text for text, _ in sentences(n, start)], "kind": [i % 2 for i in range(n)]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_class_labels_keep_their_order() -> None:
    data = load_data(dataset(20))
    assert data.train.labels == ("worse", "better")
    assert data.name == "dataset"
    assert load_data({"train": dataset(20), "test": dataset(6, 50)}).report.examples["test"] == 6
    assert load_data(dataset(20), test=dataset(6, 50)).report.examples["test"] == 6


def test_an_unlabelled_test_split_of_the_hub() -> None:
    hidden = dataset(6, 50).map(lambda row: {"kind": -1})
    data = load_data(datasets.DatasetDict(train=dataset(40), test=hidden))
    assert len(data.test) == 6
    assert set(data.test.inputs) <= set(dataset(40)["sentence"])


def test_dataset_dicts() -> None:
    assert len(load_data(datasets.DatasetDict(train=dataset(40))).test) == 6
    with pytest.raises(DataError, match=r"splits a, b, but no 'train'"):
        load_data(datasets.DatasetDict(a=dataset(4), b=dataset(4)))
    with pytest.raises(DataError, match="streamed"):
        load_data(dataset(4).to_iterable_dataset())
    with pytest.raises(DataError, match="no rows"):
        load_data(dataset(0))


def test_lists_of_class_labels() -> None:
    kinds = datasets.List(datasets.ClassLabel(names=["y", "x"]))
    features = datasets.Features(text=datasets.Value("string"), labels=kinds)
    rows = {"text": [text for text, _ in sentences(20)], "labels": [[0], [0, 1]] * 10}
    data = load_data(datasets.Dataset.from_dict(rows, features=features))
    assert data.train.labels == ("y", "x")
    assert data.task is not None
    assert data.task.multilabel


def test_images_in_a_dataset_and_in_parquet(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    files = sorted(write_images("root", {"a": 20}).rglob("*.png"))
    features = datasets.Features(picture=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"]))
    rows = {"picture": [{"bytes": file.read_bytes(), "path": None} for file in files], "label": [0, 1] * 10}
    rows["picture"][3] = {"bytes": b"broken", "path": None}
    held = datasets.Dataset.from_dict(rows, features=features)
    held.to_parquet(tmp_path / "a.parquet")
    data, again = load_data(held), load_data(tmp_path / "a.parquet")
    assert data.modality == again.modality == "image"
    assert data.train.labels == again.train.labels == ("cat", "dog")
    assert isinstance(data.train.inputs[0], Image.Image)
    assert data.train.inputs[0].convert("RGB").size == (10, 8)
    assert [name for name, _ in data.report.broken] == ["dataset row 3"]
    assert data.train.fingerprint() == again.train.fingerprint()
    with pytest.raises(DataError, match="1 also in test"):
        load_data(held, test=held.select([0, 0, 1]).select([0]))


def test_task_must_fit_and_exist() -> None:
    assert load_data(dataset(20), task="text-classification").modality == "text"
    with pytest.raises(UnknownName, match="Did you mean 'text-classification'"):
        load_data(dataset(20), task="text-clasification")
    with pytest.raises(DataError, match=r"needs image, but dataset holds text. Use text-classification"):
        load_data(dataset(20), task="image-classification")


def test_report(capsys: pytest.CaptureFixture[str]) -> None:
    data = load_data(dataset(40))
    assert data.report.rows() == [
        {"label": "worse", "train": 14, "valid": 3, "test": 3}, {"label": "better", "train": 14, "valid": 3, "test": 3},
        {"label": "all", "train": 28, "valid": 6, "test": 6}]
    assert data.report.lengths == {"unit": "words", "min": 7, "median": 7, "p95": 7, "max": 7}
    data.describe()
    printed = capsys.readouterr().out
    assert printed.strip() == str(data.report)
    assert "train      28   worse 50.0 %, better 50.0 %" in printed
    assert 6 <= len(printed.strip().splitlines()) <= 12


def test_many_labels_are_summed_up() -> None:
    report = str(load_data("digits").report)
    assert "10 labels, from 122 (8) to 128 (1)" in report
    assert repr(load_data("digits")) == repr(load_data("digits"))


def test_importing_is_cheap() -> None:
    heavy = "import sys, ftkit.data; print([m for m in ('torch', 'datasets', 'pandas', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
