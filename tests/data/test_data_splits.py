"""Splits, subsets, leaks and duplicates."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from data_helpers import sentences

from ftkit.data import Data, Split, load_data
from ftkit.errors import DataError, UnknownName

Write = Callable[..., Path]


def frame(rows: list[tuple[Any, ...]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns or ("text", "label")))


def texts(data: Data) -> list[set[str]]:
    return [set(split.inputs) for split in (data.train, data.valid, data.test)]


def test_made_splits_are_stratified_seeded_and_disjoint() -> None:
    rows = [(f"text number {i}", "rare" if i % 10 == 0 else "common") for i in range(200)]
    data, again, other = (load_data(frame(rows), seed=seed) for seed in (0, 0, 1))
    assert [len(split) for split in (data.train, data.valid, data.test)] == [140, 30, 30]
    assert [split.counts()["rare"] for split in (data.train, data.valid, data.test)] == [14, 3, 3]
    assert data.test.inputs == again.test.inputs
    assert data.test.inputs != other.test.inputs
    train, valid, test = texts(data)
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert any("no test split given: made one of 15 %, stratified, seed 0" in note for note in data.report.notes)


def test_test_split_depends_on_neither_valid_fraction_nor_limit() -> None:
    rows = sentences(200)
    tests = [load_data(frame(rows), **options).test.inputs for options in ({}, {"valid_fraction": 0.3}, {"limit": 20})]
    assert tests[0] == tests[1] == tests[2]


def test_split_column_is_honoured() -> None:
    rows = [(*row, ["train", "dev", "Test", "training"][i % 4]) for i, row in enumerate(sentences(41))]
    data = load_data(frame(rows, "text", "label", "Split"))
    assert [len(split) for split in (data.train, data.valid, data.test)] == [21, 10, 10]


def test_split_column_without_a_test() -> None:
    rows = [(*row, "train" if i < 30 else "valid") for i, row in enumerate(sentences(40))]
    data = load_data(frame(rows, "text", "label", "split"))
    assert len(data.valid) == 10
    assert len(data.test) == 4


def test_split_column_with_another_value() -> None:
    rows = [(*row, "train" if i else "tset") for i, row in enumerate(sentences(20))]
    with pytest.raises(DataError, match="table row 0: the split column says 'tset'"):
        load_data(frame(rows, "text", "label", "split"))


def test_a_column_called_split_about_something_else() -> None:
    rows = [(*row, "vertical") for row in sentences(20)]
    assert sum(load_data(frame(rows, "text", "label", "split")).report.examples.values()) == 20


def test_no_train() -> None:
    rows = [(*row, "test") for row in sentences(20)]
    with pytest.raises(DataError, match="no examples to train on"):
        load_data(frame(rows, "text", "label", "split"))


def test_a_test_split_without_labels_is_not_used() -> None:
    rows = [(*row, "train") for row in sentences(40)] + [("who knows what this is", None, "test")]
    data = load_data(frame(rows, "text", "label", "split"))
    assert len(data.test) == 6
    assert not data.report.dropped
    assert any("has a label: that split is not used" in note for note in data.report.notes)


def test_small_classes_stay_in_train() -> None:
    rows = [*sentences(40), ("a single one", "lonely")]
    data = load_data(frame(rows))
    assert data.train.counts()["lonely"] == 1
    assert data.test.counts() == {"lonely": 0, "neg": 3, "pos": 3}
    assert any("not fully stratified" in note for note in data.report.notes)
    assert any("fewer than 3 examples in train: lonely" in warning for warning in data.report.warnings)


def test_more_classes_than_held_out_examples() -> None:
    rows = [(f"text number {i}", f"c{i % 10}") for i in range(20)]
    data = load_data(frame(rows))
    assert set(data.train.targets) == set(range(10))
    assert len(data.test) == 3


def test_too_few_examples() -> None:
    with pytest.raises(DataError, match="split has 1 example; each split needs at least 2"):
        load_data(frame(sentences(5)))
    with pytest.raises(DataError, match="split has 0 examples"):
        load_data(frame(sentences(2)))


def test_a_second_file_as_test(write_csv: Write) -> None:
    path = write_csv("train.csv", sentences(40), ("words", "mood"))
    other = write_csv("held.csv", sentences(10, start=100), ("words", "mood"))
    data = load_data(path, text="words", label="mood", test=other)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [34, 6, 10]
    assert any("test split: held" in note for note in data.report.notes)
    wrong = write_csv("wrong.csv", sentences(10, start=100), ("words", "feeling"))
    with pytest.raises(UnknownName, match=r"label column 'mood'.*wrong\.csv"):
        load_data(path, text="words", label="mood", test=wrong)


def test_a_second_folder_as_test(write_images: Write, write_csv: Write) -> None:
    root, other = write_images("train", {"a": 20, "b": 20}), write_images("held", {"a": 3, "b": 3})
    assert len(load_data(root, test=other).test) == 6
    with pytest.raises(DataError, match="test= holds text, but train holds image"):
        load_data(root, test=write_csv("a.csv", sentences(10)))
    with pytest.raises(DataError, match=r"There is no file or folder .*hold'. Did you mean .*held'"):
        load_data(root, test=root.parent / "hold")


def test_test_replaces_a_given_test_split() -> None:
    rows = [(*row, "test" if i < 10 else "train") for i, row in enumerate(sentences(40))]
    data = load_data(frame(rows, "text", "label", "split"), test=frame(sentences(8, start=100)))
    assert len(data.test) == 8
    assert any("is not used" in note for note in data.report.notes)


def test_a_label_only_in_test() -> None:
    held = frame([*sentences(10, start=100), ("odd one out", "mixed")])
    with pytest.raises(DataError, match=r"Label 'mixed' is only in test.*1 examples: table row 10"):
        load_data(frame(sentences(40)), test=held)


def test_a_label_only_in_test_with_several_labels_is_a_warning() -> None:
    rows = [(text, [label]) for text, label in sentences(40)]
    held = frame([(f"held out {i}", ["pos", "mixed"]) for i in range(4)])
    warnings = load_data(frame(rows), test=held).report.warnings
    assert any("Label 'mixed' is only in test" in warning for warning in warnings)


def test_leaks_are_refused_then_dropped() -> None:
    train = frame(sentences(40))
    held = frame([*sentences(10, start=100), ("This is  SENTENCE number 3 of many ", "neg")])
    with pytest.raises(DataError, match=r"of 40 train examples, 1 also in test, for example 'this is sentence number 3 "
                                        r"of many' \(table row 3\).*drop_leaks=True.*--drop-leaks"):
        load_data(train, test=held)
    data = load_data(train, test=held, drop_leaks=True)
    assert len(data.test) == 11
    assert len(data.train) + len(data.valid) == 39
    assert data.report.leaks == [("'this is sentence number 3 of many' (table row 3)", "train", "test")]
    assert any("1 leak dropped" in warning for warning in data.report.warnings)


def test_leaks_between_valid_and_test() -> None:
    rows = [(*row, "train") for row in sentences(20)] + [(*row, "valid") for row in sentences(10, start=50)]
    rows += [(*row, "test") for row in sentences(10, start=55)]
    table = frame(rows, "text", "label", "split")
    with pytest.raises(DataError, match="of 10 valid examples, 5 also in test"):
        load_data(table)
    assert len(load_data(table, drop_leaks=True).valid) == 5


def test_dropping_every_leak_can_leave_nothing() -> None:
    table = frame(sentences(10))
    with pytest.raises(DataError, match="no examples to train on"):
        load_data(table, test=table, drop_leaks=True)


@pytest.mark.parametrize("kind", ["images", "sounds"])
def test_leaks_of_files(kind: str, write_images: Write, write_sounds: Write) -> None:
    write = write_images if kind == "images" else write_sounds
    root = write("root/train", {"a": 10, "b": 10}).parent
    write("root/test", {"a": 3, "b": 3})
    file = next((root / "train" / "a").iterdir())
    shutil.copy(file, root / "test" / "a" / f"renamed{file.suffix}")
    with pytest.raises(DataError, match=rf"1 also in test, .* train/a/{file.name}, the same as test/a/renamed"):
        load_data(root)
    data = load_data(root, drop_leaks=True)
    assert len(data.test) == 7
    assert file not in data.train.inputs + data.valid.inputs


def test_made_splits_never_leak() -> None:
    rows = [(("TEXT number" if i % 2 else "text  number") + f" {i // 4}", "ab"[i // 4 % 2]) for i in range(400)]
    data = load_data(frame(rows))
    train, valid, test = ({" ".join(text.lower().split()) for text in split} for split in texts(data))
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert sum(data.report.duplicates.values()) == 300
    assert [len(split) for split in (data.train, data.valid, data.test)] == [280, 60, 60]


def test_duplicates_are_counted_and_dropped_on_request() -> None:
    rows = [*sentences(40), *sentences(5)]
    data = load_data(frame(rows))
    assert data.report.duplicates == {"all": 5}
    assert sum(data.report.examples.values()) == 45
    dropped = load_data(frame(rows), drop_duplicates=True)
    assert sum(dropped.report.examples.values()) == 40
    assert any("5 duplicates dropped" in note for note in dropped.report.notes)


def test_contradictions_are_warned_of() -> None:
    warnings = load_data(frame([*sentences(40), ("this is sentence number 0 of many", "neg")])).report.warnings
    assert any("1 example repeated with another label" in warning for warning in warnings)


def test_limit() -> None:
    rows = [(f"text number {i}", "rare" if i % 10 == 0 else "common") for i in range(2000)]
    whole, some, fewer = (load_data(frame(rows), limit=limit) for limit in (None, 100, 50))
    assert [len(split) for split in (some.train, some.valid, some.test)] == [100, 200, 300]
    assert some.test.fingerprint() == whole.test.fingerprint()
    assert some.train.counts() == {"common": 90, "rare": 10}
    assert set(fewer.train.inputs) < set(some.train.inputs) < set(whole.train.inputs)
    assert len(load_data(frame(rows), limit=1200).valid) == 300
    assert load_data(frame(rows), limit=10**6).train.inputs == whole.train.inputs
    assert any("train limited to 100 of 1,400" in note for note in some.report.notes)


@pytest.mark.parametrize(("options", "message"), [
    ({"limit": 1}, "limit=1"), ({"limit": 2.5}, "limit=2.5"), ({"valid_fraction": 0.0}, "valid_fraction=0.0"),
    ({"test_fraction": 1.5}, "test_fraction=1.5"), ({"seed": -1}, "seed=-1"),
    ({"valid_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
])
def test_wrong_numbers(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(frame(sentences(40)), **options)


def test_limit_below_the_number_of_classes() -> None:
    rows = [(f"text number {i}", f"c{i % 4}") for i in range(100)]
    with pytest.raises(DataError, match="limit=3 is fewer than the 4 labels"):
        load_data(frame(rows), limit=3)


def test_split_is_a_sequence() -> None:
    split = load_data(frame(sentences(40))).train
    text, target = split[0]
    assert text == split.inputs[0]
    assert split.labels[target] in ("neg", "pos")
    assert isinstance(split[2:5], Split)
    assert split[2:5].inputs == split.inputs[2:5]
    assert [item for item, _ in split] == split.inputs
    assert list(split.frame().columns) == ["input", "label"]
    assert list(split.frame()["label"]) == [split.labels[t] for t in split.targets]
    assert sum(split.counts().values()) == len(split)
    assert repr(split) == "Split(train: 28 examples, 2 labels)"
    with pytest.raises(IndexError):
        split[1000]


def test_take_is_stratified_nested_and_seeded() -> None:
    split = Split("train", [f"t{i}" for i in range(100)], [int(i % 5 == 0) for i in range(100)], ("a", "b"))
    assert split.take(20).counts() == {"a": 16, "b": 4}
    assert set(split.take(20).inputs) < set(split.take(50).inputs)
    assert split.take(20, seed=1).inputs != split.take(20).inputs
    assert split.take(2).counts() == {"a": 1, "b": 1}
    assert split.take(1000).inputs == split.inputs
    with pytest.raises(DataError, match="at least 1"):
        split.take(0)


def test_fingerprints(write_images: Write) -> None:
    split = Split("train", ["ab", "c"], [0, 1], ("x", "y"))
    assert split.fingerprint() == Split("other", ["ab", "c"], [0, 1], ("x", "y")).fingerprint()
    for inputs, targets in ((["a", "bc"], [0, 1]), (["ab", "c"], [1, 0]), (["c", "ab"], [0, 1])):
        assert split.fingerprint() != Split("train", inputs, targets, ("x", "y")).fingerprint()
    assert len(split.fingerprint()) == 16
    root = write_images("root", {"a": 10, "b": 10})
    before = load_data(root).train.fingerprint()
    moved = root.rename(root.parent / "moved")
    assert load_data(moved).train.fingerprint() == before
