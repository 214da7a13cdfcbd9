"""The comparison of runs: in the order given, with the values at the bars."""

from __future__ import annotations

from typing import Any

import pytest
from viz_helpers import LONG, check_layout, make_evaluation, make_run, said

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz import compare

GOOD = make_evaluation([0, 1, 1, 0], [0, 1, 1, 1], ["no", "yes"])


def test_values_stand_at_the_bars_in_the_order_given() -> None:
    runs = {"from scratch": make_run((0.5, 0.55), trainable=(22_700_000,)), "frozen": make_run((0.8, 0.75)),
            "gradual": make_run((0.8, 0.9), trainable=(10, 1_800_000))}
    picture = compare(runs)
    check_layout(picture)
    accuracy, seconds, parameters = picture.axes
    assert [text.get_text() for text in accuracy.get_yticklabels()] == list(runs)
    assert accuracy.get_ylim()[0] > accuracy.get_ylim()[1]  # the first run is on top
    assert [text.get_text() for text in accuracy.texts] == ["0.550", "0.800", "0.900"]
    assert [text.get_text() for text in seconds.texts] == ["4.0 s"] * 3
    assert [text.get_text() for text in parameters.texts] == ["22.7 M", "10", "up to 1.8 M"]
    assert [bar.get_width() for bar in accuracy.patches] == [0.55, 0.8, 0.9]  # type: ignore[attr-defined]
    assert len({bar.get_hatch() for bar in accuracy.patches}) == 3
    assert "validation accuracy" in said(picture)
    assert picture.alt.startswith("Comparison of runs. from scratch: validation accuracy 0.550, 4.0 s of training, ")


def test_with_evaluations_it_is_the_test_accuracy() -> None:
    picture = compare({"frozen": (make_run(), GOOD), LONG: (make_run(trainable=(10**9,)), {"accuracy": 1.0})})
    check_layout(picture)
    assert [text.get_text() for text in picture.axes[0].texts] == ["0.750", "1.000"]
    assert "test accuracy" in said(picture)


def test_times_are_in_one_unit() -> None:
    quick, slow = make_run((0.5,)), make_run((0.5,))
    slow.epochs[0]["seconds"] = 450.0
    shown = [text.get_text() for text in compare({"quick": quick, "slow": slow}).axes[1].texts]
    assert shown == ["2.0 s", "450 s"]
    slow.epochs[0]["seconds"] = 4500.0
    shown = [text.get_text() for text in compare({"quick": quick, "slow": slow}).axes[1].texts]
    assert shown == ["<0.1 min", "75.0 min"]


@pytest.mark.parametrize("count", [1, 8])
def test_one_run_or_many(count: int) -> None:
    check_layout(compare({f"run with a long name {i}": make_run() for i in range(count)}))
    check_layout(compare(make_run()))


@pytest.mark.parametrize(("wrong", "message"), [
    ({}, "no run at all"), (None, "not NoneType"), ({"a": 0.5}, "'a' is not a run"),
    ({"a": make_run(), "b": (make_run(), GOOD)}, "a came without an Evaluation"),
    ({"a": (make_run(), None)}, "'a' must be a History or a pair"), ({"a": (make_run(),)}, "'a' must be"),
    ({"a": History()}, "'a' has not finished an epoch"),
    ({"a": make_run(valid=False)}, "without a validation split")])
def test_mistakes_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(wrong)
