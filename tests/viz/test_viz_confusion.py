"""The confusion matrix counts right, and every class name can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from viz_helpers import LONG, check_layout, make_evaluation, said

from ftkit.errors import UserError
from ftkit.viz import confusion


def cell_words(picture: Any) -> list[str]:
    return [text.get_text() for text in picture.axes[0].texts]


def test_counts_and_row_shares() -> None:
    picture = confusion(make_evaluation([0, 0, 0, 0, 1], [0, 0, 0, 1, 0], ["cat", "dog"]))
    check_layout(picture)
    assert cell_words(picture) == ["3\n75 %", "1\n25 %", "1\n100 %", "0"]
    assert "3 of 5 right (60 %)" in said(picture)
    assert picture.alt == ("Confusion matrix of 2 classes: 3 of 5 right. Most frequent mistakes: "
                           "1 times cat was taken for dog; 1 times dog was taken for cat.")


@pytest.mark.parametrize("names", [
    ["no", "yes"], [LONG, "b", f"{LONG} {LONG}"], [f"class {i}" for i in range(20)],
    [f"{LONG} {i}" if i % 4 == 0 else f"c{i}" for i in range(10)], ["one"], [f"eine Klasse {i}" for i in range(13)]])
def test_class_names_are_whole(names: list[str]) -> None:
    targets = np.random.default_rng(0).integers(0, len(names), 400)
    picture = confusion(make_evaluation(targets, np.roll(targets, 1), names))
    check_layout(picture)
    axes = picture.axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        shown = [text.get_text().replace("-\n", "").replace("\n", "").replace(" ", "") for text in labels]
        assert shown == [name.replace(" ", "") for name in names]


def test_many_classes_are_folded_and_the_mistakes_stay_visible() -> None:
    targets = np.arange(50).repeat(10)
    predicted = targets.copy()
    predicted[70:75] = 30  # class 7 is taken for class 30
    picture = confusion(make_evaluation(targets, predicted, [f"class {i}" for i in range(50)]))
    check_layout(picture)
    names = [text.get_text() for text in picture.axes[0].get_yticklabels()]
    assert len(names) == 20
    assert {"class 7", "class 30"} <= set(names)
    assert names[-1] == "31 other classes"
    assert "495 of 500 right (99 %); shown are the 19 classes with most mistakes" in said(picture)
    assert "5 times class 7 was taken for class 30." in picture.alt


def test_large_counts_fit_their_cells() -> None:
    targets = np.concatenate([np.zeros(12_344, int), np.arange(20)])
    picture = confusion(make_evaluation(targets, targets, [f"c{i}" for i in range(20)]))
    check_layout(picture)
    assert cell_words(picture)[0] == "12k"
    assert "No mistakes." in picture.alt


def test_several_labels_per_example_get_bars() -> None:
    picture = confusion(make_evaluation([[1, 0], [1, 1], [0, 0]], [[1, 0], [0, 1], [1, 0]], ["sport", LONG]))
    check_layout(picture)
    assert cell_words(picture) == ["1 right, 1 missed, 1 wrongly given", "1 right, 0 missed, 0 wrongly given"]
    assert "sport: 1 right, 1 missed, 1 wrongly given" in picture.alt


@pytest.mark.parametrize("wrong", [{"accuracy": 0.9}, None, "test", (1, 2, 3)])
def test_mistakes_are_named(wrong: Any) -> None:
    with pytest.raises(UserError, match="confusion draws what evaluate returns"):
        confusion(wrong)
