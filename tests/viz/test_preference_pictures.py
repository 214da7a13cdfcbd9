"""PPO's curves and the margins of pairs: the lines are the numbers, and every word can be read."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from viz_helpers import LONG, check_layout, make_run, said

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz import margins, ppo_curves


def run(steps: int = 12, rise: float = 0.1) -> History:
    return History(steps=[{"step": i + 1, "reward": rise * i, "kl": 0.5 * i, "length": 20.0 + i} for i in range(steps)])


def test_lines_are_the_steps_and_their_means() -> None:
    picture = ppo_curves(run())
    check_layout(picture)
    assert len(picture.axes) == 3
    ours = run()
    ours.config["task"] = "ppo"
    assert ours.plot().alt == picture.alt
    thin, thick = picture.axes[0].lines
    assert np.asarray(thin.get_ydata()) == pytest.approx([0.1 * i for i in range(12)])
    assert np.asarray(thick.get_ydata()) == pytest.approx([0.1 * i for i in range(2, 10)])
    assert np.asarray(thick.get_xdata()).tolist() == list(range(5, 13))
    assert picture.alt == ("PPO over 12 steps: reward from 0.05 to 1.05, KL from 0.25 to 5.25, tokens from 20.50 to "
                           "30.50.")


def test_several_runs_and_a_judge_that_none_of_them_met() -> None:
    names = ["beta 0.1", LONG[:40], "c"]
    runs = {name: run(rise=0.1 * (i + 1)) for i, name in enumerate(names)}
    picture = ppo_curves(runs, rule={name: [0.5] * 12 for name in names})
    check_layout(picture)
    assert len(picture.axes) == 4
    assert all(name.replace(" ", "") in said(picture).replace(" ", "") for name in names)
    styles = {(line.get_color(), line.get_linestyle()) for line in picture.axes[0].lines if line.get_linewidth() > 2}
    assert len(styles) == 3
    check_layout(ppo_curves(run(steps=1)))


def test_margins_are_counted_on_both_sides_of_zero() -> None:
    picture = margins({"beta 0.1": SimpleNamespace(values=np.array([-1.0, 0.5, 2.0, 3.0])),
                       "beta 1": SimpleNamespace(values=np.array([-2.0, 1.0]))})
    check_layout(picture)
    counts = [sum(patch.get_height() for patch in axes.patches) for axes in picture.axes]
    assert counts == [4, 2]
    assert "75% of 4 pairs right, mean margin 1.12" in said(picture)
    assert picture.alt.startswith("Margins of pairs. beta 0.1: 75% of 4 pairs right, mean margin 1.12, from -1.00 to")
    check_layout(margins(SimpleNamespace(values=np.zeros(3))))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(UserError, match="no steps of PPO"):
        ppo_curves(make_run())
    with pytest.raises(UserError, match="1 to 4 runs"):
        ppo_curves({})
    with pytest.raises(UserError, match="1 to 4 models"):
        margins({"a": SimpleNamespace(values=np.zeros(0))})
