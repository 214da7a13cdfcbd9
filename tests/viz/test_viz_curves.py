"""Learning curves show the run's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from viz_helpers import LONG, check_layout, make_run, said

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz import Picture, curves
from ftkit.viz.curves import smoothed


def lines(picture: Picture, panel: int) -> dict[str, list[float]]:
    return {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in picture.axes[panel].get_lines()}


def test_one_run() -> None:
    run = make_run((0.6, 0.8, 0.7), trainable=(10, 10, 50))
    picture = curves(run)
    check_layout(picture)
    left = lines(picture, 0)
    assert left["training loss, each step"] == [row["loss"] for row in run.steps]
    assert left["training loss, mean of the epoch"] == [row["train_loss"] for row in run.epochs]
    assert left["validation loss, after the epoch"] == [0.5] * 3
    accuracy, star, change = picture.axes[1].get_lines()
    assert accuracy.get_ydata().tolist() == [0.6, 0.8, 0.7]  # type: ignore[union-attr]
    assert (star.get_xdata().tolist(), star.get_marker()) == ([2], "*")  # type: ignore[union-attr]
    assert change.get_xdata() == [2, 2], "the plan changes after epoch 2"
    assert "the plan changes" in said(picture)
    assert picture.alt == ("Learning curves: 30 steps; training loss by epoch 0.29, 0.07, 0.04; validation accuracy by "
                           "epoch 0.600, 0.800, 0.700; best in epoch 2; the plan changes after step 20.")
    assert run.plot().alt == picture.alt
    assert curves((run, {"accuracy": 0.9})).alt == picture.alt, "the pair that compare takes will do"


def test_a_plan_that_was_applied_by_hand_is_marked_at_its_step() -> None:
    run = make_run()
    run.events.append({"step": 15, "note": "another plan", "groups": ["head"]})
    run.events.append({"step": 3, "note": "feature cache: 2 frozen groups are computed once per example", "cut": 2})
    picture = curves(run)
    assert picture.axes[0].get_lines()[-1].get_xdata() == [15, 15]
    assert picture.axes[1].get_lines()[-1].get_xdata() == [1.5, 1.5]
    assert "the plan changes after step 15." in picture.alt


def test_several_runs_have_a_colour_a_line_and_a_marker_each() -> None:
    runs = {name: make_run((0.5, 0.5 + i / 10)) for i, name in enumerate(("scratch", "frozen", "tuned", LONG))}
    picture = curves(runs)
    check_layout(picture)
    shown = [line for line in picture.axes[1].get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() == 2.5]
    for sign in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(line, sign)() for line in shown}) == 4
    assert all(name in said(picture) for name in runs)
    assert picture.alt.count("Learning curves of") == 4
    assert "run 1" in said(curves([make_run(), make_run()]))


@pytest.mark.parametrize("run", [
    make_run((0.9,)), make_run((0.5,) * 25, trainable=range(1, 30)), make_run((1.0, 1.0)), make_run((0.0, 0.0)),
    make_run((0.5, 0.6), valid=False), make_run((0.5,), steps=1), make_run((0.5,) * 3, steps=2000)])
def test_any_run_can_be_drawn(run: History) -> None:
    check_layout(curves(run))
    assert curves({"one": run, "the same": run}).png()


def test_a_run_that_was_stopped_early_says_so() -> None:
    run = make_run((0.5,))
    run.epochs.clear()
    run.best_epoch = None
    assert "no epoch is finished yet" in said(curves(run))
    assert "no validation split" in said(curves(make_run(valid=False)))


def test_smoothing_follows_without_lag() -> None:
    flat = smoothed([2.0] * 50)
    assert np.allclose(flat, 2.0)
    slope = smoothed(np.arange(100.0).tolist())
    assert np.allclose(slope[20:80], np.arange(20, 80))
    assert smoothed([1.0]).tolist() == [1.0]


@pytest.mark.parametrize(("wrong", "message"), [
    (History(), "has not made a step"), ({}, "no run at all"), ([], "no run at all"), ("history", "not str"),
    (3, "not int"), ({"frozen": 0.9}, "'frozen' is not a run but float"),
    ([make_run(), make_run(), None], "'run 3' is not a run"), ({"new": History()}, "for new")])
def test_mistakes_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        curves(wrong)
