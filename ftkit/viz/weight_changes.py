"""In how many directions fine-tuning has changed the weight matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from ftkit.errors import UserError
from ftkit.report.weight_change import WeightChange
from ftkit.viz.style import BODY, INK, SMALL, Picture, run_style, tidy
from ftkit.viz.words import plain


def weight_changes(runs: Mapping[str, Sequence[WeightChange]]) -> Picture:
    """Draw what share of the squared change the first k directions hold, the mean over all matrices of a run.

    The dashed line is noise: a random matrix of the same shape. A change of rank r reaches 100 % at k = r.

    Args:
        runs: By name, what ft.report.weight_changes returned.

    Raises:
        UserError: No run, or something else.

    Lesson 08.
    """
    if not isinstance(runs, Mapping) or not runs or not all(
            len(run) and all(isinstance(one, WeightChange) for one in run) for run in runs.values()):
        raise UserError("viz.weight_changes draws runs by name: {'full': ft.report.weight_changes(history, model), …}.")
    picture = Picture(height=4.2)
    axes = tidy(picture.subplots(), x="directions of each matrix, the strongest first",
                y="share of the squared change")
    words = []
    for i, (name, run) in enumerate(runs.items()):
        shares, style = _mean([one.shares for one in run]), run_style(i)
        ranks = float(np.median([one.rank() for one in run]))
        axes.plot(range(1, len(shares) + 1), shares, color=style.color, linestyle="-", linewidth=2,
                  marker=style.marker, markevery=_marks(len(shares)), label=f"{name}: 90 % in {ranks:g} directions")
        words.append(f"{name}: half of the matrices have 90 % of their change in {ranks:g} directions or fewer")
    widest = max((run for run in runs.values()), key=lambda run: max(len(one.values) for one in run))
    noise = _mean([_noise(one.shape) for one in widest])
    axes.plot(range(1, len(noise) + 1), noise, color=INK, linestyle="--", linewidth=1.5,
              label="noise of the same shape")
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=SMALL, frameon=False, labelcolor=INK,
                prop={"size": SMALL, "family": plain()["fontfamily"]})
    axes.xaxis.label.set_fontsize(BODY)
    picture.heading("In how many directions did the matrices change?")
    picture.alt = f"The share of the change that the first directions hold. {'; '.join(words)}."
    return picture


def _mean(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Of curves that end at 1, the shorter ones go on at 1."""
    longest = max(map(len, curves))
    whole: np.ndarray = np.mean([np.pad(curve, (0, longest - len(curve)), constant_values=1.0) for curve in curves], 0)
    return whole


@lru_cache(maxsize=64)
def _noise(shape: tuple[int, int]) -> np.ndarray:
    """The same of a random matrix."""
    drawn = np.random.default_rng(0).standard_normal(shape)
    return WeightChange("", "", 0.0, shape, np.linalg.svd(drawn, compute_uv=False)).shares


def _marks(count: int) -> list[int]:
    return sorted({min(count, 2**k) - 1 for k in range(count.bit_length() + 1)})
