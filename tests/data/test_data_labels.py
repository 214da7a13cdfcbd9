"""Labels of every kind become targets in a natural order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from data_helpers import sentences

from ftkit.data import Data, load_data
from ftkit.data.labels import clean_column, natural_key
from ftkit.errors import DataError


def load(labels: list[Any], **options: Any) -> Data:
    return load_data(pd.DataFrame({"text": [text for text, _ in sentences(len(labels))], "label": labels}), **options)


@pytest.mark.parametrize(("labels", "expected"), [
    ([10, 2, 1] * 10, ("1", "2", "10")),
    (["10", "2", "-1"] * 10, ("-1", "2", "10")),
    ([True, False] * 10, ("False", "True")),
    ([1.0, 2.0, None] * 10, ("1", "2")),  # pandas' integers with gaps
    (["class 10", "class 2", "Alpha"] * 10, ("Alpha", "class 2", "class 10")),
    ([" pos", "pos ", "neg"] * 10, ("neg", "pos")),
])
def test_kinds_and_order(labels: list[Any], expected: tuple[str, ...]) -> None:
    data = load(labels)
    assert data.train.labels == expected
    assert set(data.train.targets) == set(range(len(expected)))


def test_natural_order_is_total() -> None:
    names = ["b2", "B10", "a", "3", "-3", "1a", "10", "a1b2", "A"]
    assert sorted(names, key=natural_key) == ["-3", "3", "10", "1a", "A", "a", "a1b2", "b2", "B10"]


def test_capitals_are_warned_of() -> None:
    warnings = load(["Pos", "pos", "neg"] * 10).report.warnings
    assert any("only in capitals" in warning and "Pos, pos" in warning for warning in warnings)


def test_lists_are_several_labels() -> None:
    data = load([["a", "b"], ["b"], [], ["c", "c"]] * 10)
    assert data.train.labels == ("a", "b", "c")
    assert data.task is not None
    assert data.task.multilabel
    rows = {tuple(target) for _, target in data.train}
    assert rows == {(1, 1, 0), (0, 1, 0), (0, 0, 0), (0, 0, 1)}
    assert sum(data.train.counts().values()) == sum(sum(row) for row in data.train.targets)
    assert "several per example" in repr(data)
    assert "several per example" in str(data.report)
    assert set(data.train.frame()["label"]) == {"a, b", "b", "", "c"}


def test_rows_of_zeros_and_ones() -> None:
    data = load([[0, 1, 1], [1, 0, 0], [0, 0, 0]] * 10)
    assert data.train.labels == ("0", "1", "2")
    assert {tuple(row) for row in data.train.targets} == {(0, 1, 1), (1, 0, 0), (0, 0, 0)}
    assert clean_column([np.array([1, 0, 1]), [0, 0, 0]], ["x", "y", "z"]) == [("x", "z"), ()]
    assert clean_column([[0, 1], [1]], ["x", "y"]) == [("x", "y"), ("y",)]  # indices, not rows


@pytest.mark.parametrize("mark", ["|", ";"])
def test_joined_labels(mark: str) -> None:
    data = load(["a", f"a{mark} b", "b", f"b{mark}c", "c"] * 6)
    assert data.train.labels == ("a", "b", "c")
    assert data.task is not None
    assert data.task.multilabel
    assert any("joined" in note for note in data.report.notes)


def test_a_semicolon_alone_does_not_join() -> None:
    data = load(["R&B; soul", "rock"] * 10)
    assert data.train.labels == ("R&B; soul", "rock")
    assert data.task is not None
    assert not data.task.multilabel


def test_one_class_only() -> None:
    with pytest.raises(DataError, match="one label only, 'x'"):
        load(["x"] * 10)
    with pytest.raises(DataError, match="has no labels"):
        load([[], []] * 5)


def test_lopsided_classes_are_warned_of() -> None:
    assert any("lopsided" in warning for warning in load(["a"] * 95 + ["b"] * 5).report.warnings)
