"""The reliability diagram: bars, gaps and intervals are those of the numbers, and every word can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from viz_helpers import LONG, check_layout, make_evaluation, said

from ftkit.errors import UserError
from ftkit.report.calibration import Bin
from ftkit.training import Evaluation
from ftkit.viz import reliability
from ftkit.viz.reliability import wilson


def sure(confidences: list[float], right: list[bool]) -> Evaluation:
    """Answers with these confidences for the first of two classes."""
    table = np.array([[c, 1 - c] for c in confidences])
    true = np.where(right, 0, 1)
    return Evaluation({"accuracy": float(np.mean(right)), "loss": 1.0}, table, true, np.ones(len(true)), ("a", "b"),
                      [""] * len(true))


TWO_BINS = sure([0.55] * 4 + [0.95] * 10, [True] * 2 + [False] * 2 + [True] * 7 + [False] * 3)


def test_bars_end_at_the_accuracy_and_gaps_at_the_confidence() -> None:
    picture = reliability(TWO_BINS)
    check_layout(picture)
    above, below = picture.axes
    bars: Any = above.patches
    assert [round(bar.get_height(), 6) for bar in bars] == [0.5, 0.05, 0.7, 0.25]
    assert [round(bar.get_y(), 6) for bar in bars] == [0, 0.5, 0, 0.7]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True] * 2  # the gap is told apart without colour
    assert [text.get_text() for text in below.texts] == ["4", "10"]
    assert [float(x) for x in above.get_xlim()] == [0.5, 1]
    assert "calibration error 19.3 points" in said(picture)
    assert picture.alt.startswith("Reliability diagram: calibration error 0.193 on 14 examples, ")
    assert "55% sure, 50% right (4); 95% sure, 70% right (10)." in picture.alt


def test_an_interval_has_a_width_even_where_all_are_right() -> None:
    """Against the values that Wilson's formula gives for 0 of 10 and 81 of 263 (Newcombe 1998, table I)."""
    assert wilson(Bin(0, 1, 10, 1.0, 1.0)) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(Bin(0, 1, 263, 0.5, 81 / 263)) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize("names", [["before", "after"], [LONG, f"{LONG} {LONG}", "c"], ["one"]])
def test_several_side_by_side(names: list[str]) -> None:
    rng = np.random.default_rng(0)
    many = {name: sure(list(rng.uniform(0.5, 1, 900)), list(rng.random(900) < 0.8)) for name in names}
    picture = reliability(many, bins=10)
    check_layout(picture)
    assert len(picture.axes) == 2 * len(names)
    assert all(name.replace(" ", "") in said(picture).replace(" ", "") for name in names)
    assert picture.alt.count("Reliability diagram of") == len(names)


def test_many_classes_and_bins() -> None:
    rng = np.random.default_rng(1)
    check_layout(reliability(make_evaluation(rng.integers(0, 9, 50), rng.integers(0, 9, 50), list("abcdefghi"))))
    check_layout(reliability(TWO_BINS, bins=15))
    check_layout(reliability(TWO_BINS, bins=1))


@pytest.mark.parametrize(("wrong", "message"), [
    ({}, "1 to 3 evaluations side by side, not 0"), ({str(i): TWO_BINS for i in range(4)}, "not 4"),
    (None, "not NoneType"), ({"a": {"accuracy": 1.0}}, "not dict")])
def test_mistakes_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        reliability(wrong)
