"""The reliability diagram: how sure a model is, against how often it is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import binomtest

from ftkit.errors import UserError
from ftkit.report.calibration import Bin, Calibration, calibration
from ftkit.training import Evaluation
from ftkit.viz.style import BLUE, BODY, INK, LINES, ORANGE, SMALL, WIDTH, Picture, mix, tidy
from ftkit.viz.words import wrap

MOST = 3  # side by side
_BAR = mix(BLUE, 0.5)  # light enough for the intervals to be seen
_GAP: dict[str, Any] = {"facecolor": mix(ORANGE, 0.45), "hatch": "////", "edgecolor": LINES, "linewidth": 0.8}


def reliability(evaluations: Any, bins: int = 10) -> Picture:
    """Draw accuracy over confidence, bin by bin; a calibrated model's bars end on the diagonal.

    A bar ends at the thick line. Hatched is the gap between accuracy and confidence. The thin lines are 95 % intervals
    (Wilson 1927): a gap within them may be chance. Below, how many answers each bin holds.

    Args:
        evaluations: What `evaluate` returned; or up to three of them by name, side by side.
        bins: Equal intervals of confidence between 0 and 1.

    Returns:
        A Picture.

    Raises:
        UserError: Not evaluations, too many of them, several labels per example, or a number of bins below 1.

    Source: Niculescu-Mizil & Caruana 2005; Guo et al. 2017. Lesson 02.
    """
    named = evaluations if isinstance(evaluations, Mapping) and not isinstance(evaluations, Evaluation) else {
        "": evaluations}
    if not 1 <= len(named) <= MOST:
        raise UserError(f"reliability draws 1 to {MOST} evaluations side by side, not {len(named)}.")
    found = {str(name): calibration(one, bins) for name, one in named.items()}
    picture = Picture(height=5.4)
    grid = picture.subplots(2, len(found), squeeze=False, height_ratios=(4, 1), sharex=True)
    first = min(one.bins[0].low for one in found.values())
    for (above, below), (name, one) in zip(grid.T, found.items(), strict=True):
        _draw(above, one, name, WIDTH / len(found) - 0.8)
        _draw_counts(below, one)
        below.set_xlim(first, 1)
    grid[0, 0].set_ylabel("right", fontsize=BODY, color=INK)
    grid[1, 0].set_ylabel("answers", fontsize=BODY, color=INK)
    picture.legend(handles=_key(), loc="outside lower left", ncols=4, fontsize=SMALL, frameon=False, labelcolor=INK)
    picture.alt = " ".join(_in_words(name, one) for name, one in found.items())
    return picture


def _draw(axes: Axes, found: Calibration, name: str, wide: float) -> None:
    told = f"calibration error {100 * found.error:.1f} points (chance alone: {100 * found.by_chance:.1f})"
    tidy(axes, "\n".join(wrap(line, wide, BODY) for line in (name, told) if line))
    for one in found.bins:
        middle, width = (one.low + one.high) / 2, one.high - one.low
        axes.bar(middle, one.accuracy, width, color=_BAR, edgecolor="white", linewidth=1)
        axes.bar(middle, one.confidence - one.accuracy, width, bottom=one.accuracy, **_GAP)
        axes.plot([one.low, one.high], [one.accuracy] * 2, color=BLUE, linewidth=3, solid_capstyle="butt")
        axes.plot([middle, middle], wilson(one), color=INK, linewidth=1.5, marker="_", markersize=8)
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.5)
    axes.set(ylim=(0, 1.02), yticks=np.linspace(0, 1, 6))


def _draw_counts(axes: Axes, found: Calibration) -> None:
    tidy(axes, x="how sure the model is")
    most = max(one.examples for one in found.bins)
    for one in found.bins:
        middle = (one.low + one.high) / 2
        axes.bar(middle, one.examples, one.high - one.low, color=LINES, edgecolor="white", linewidth=1)
        axes.annotate(str(one.examples), (middle, one.examples), (0, 2), textcoords="offset points", ha="center",
                      fontsize=SMALL, color=INK, in_layout=False)
    axes.set(ylim=(0, 1.6 * most), yticks=[])


def wilson(one: Bin) -> tuple[float, float]:
    """The 95 % interval of a bin's accuracy (Wilson 1927): it has a width even where all answers are right."""
    interval = binomtest(round(one.accuracy * one.examples), one.examples).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def _key() -> list[Any]:
    return [Patch(facecolor=_BAR, label="how often it is right"), Patch(label="the gap to how sure it is", **_GAP),
            Line2D([], [], color=INK, linestyle="--", label="calibrated"),
            Line2D([], [], color=INK, marker="|", markersize=14, linestyle="none", label="95 % interval")]


def _in_words(name: str, found: Calibration) -> str:
    bins = "; ".join(f"{one.confidence:.0%} sure, {one.accuracy:.0%} right ({one.examples})" for one in found.bins)
    of = f" of {name}" if name else ""
    return (f"Reliability diagram{of}: calibration error {found.error:.3f} on {found.examples} examples, where a "
            f"calibrated model would show about {found.by_chance:.3f}. Bins: {bins}.")
