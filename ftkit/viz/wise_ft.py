"""The curve of WiSE-FT: what is won of the new and lost of the old on the way from one network to another."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from ftkit.errors import UserError
from ftkit.report.wise import WiseFT, falls
from ftkit.viz.style import BLUE, BODY, INK, LINES, SMALL, VERMILLION, Picture, tidy


def wise_ft(found: WiseFT) -> Picture:
    """Draw a curve of mixed weights: new and old domain over the share of the way, and one against the other.

    In the right panel up and right is better, whatever is measured: an axis of a loss runs backwards. A point above the
    dashed line between the two ends is a better bargain than choosing between them.

    Args:
        found: What ft.report.wise_ft returned.

    Raises:
        UserError: Something else, or fewer than two points.

    Source: figure 1 of Wortsman et al. 2022. Lesson 08.
    """
    if not isinstance(found, WiseFT):
        raise UserError(f"viz.wise_ft draws what ft.report.wise_ft returned, not {type(found).__name__}.")
    if len(found.rows) < 2:
        raise UserError("One point is no curve: give ft.report.wise_ft more alphas.")
    alphas, new, old = ([row[key] for row in found.rows] for key in ("alpha", "new", "old"))
    picture = Picture(height=3.9)
    left, right = picture.subplots(1, 2)
    _over_alpha(left, found, alphas, new, old)
    _trade(right, found, alphas, new, old)
    picture.heading("From the weights before fine-tuning to those after it")
    picture.alt = (f"Mixed weights: new domain ({found.new}) and old domain ({found.old}) over alpha, and one against "
                   "the other. " + "; ".join(f"alpha {a:g}: new {n:.3g}, old {o:.3g}" for a, n, o in
                                             zip(alphas, new, old, strict=True)) + ".")
    return picture


def _over_alpha(axes: Axes, found: WiseFT, alphas: list[float], new: list[float], old: list[float]) -> None:
    tidy(axes, x="alpha: 0 is before, 1 is after fine-tuning", y=f"new domain: {found.new}")
    other: Any = axes.twinx()
    tidy(other, y=f"old domain: {found.old}")
    other.spines["right"].set_visible(True)
    other.spines["left"].set_visible(False)
    lines = [axes.plot(alphas, new, color=BLUE, marker="o", linewidth=2, label="new domain, scale on the left")[0],
             other.plot(alphas, old, color=VERMILLION, marker="s", linestyle="--", linewidth=2,
                        label="old domain, scale on the right")[0]]
    axes.yaxis.label.set_color(BLUE)
    other.yaxis.label.set_color(VERMILLION)
    axes.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=SMALL, frameon=False,
                labelcolor=INK)


def _trade(axes: Axes, found: WiseFT, alphas: list[float], new: list[float], old: list[float]) -> None:
    tidy(axes, x=f"old domain: {found.old}{' (smaller is to the right)' if falls(found.old) else ''}",
         y=f"new domain: {found.new}{' (smaller is up)' if falls(found.new) else ''}")
    axes.plot([old[0], old[-1]], [new[0], new[-1]], color=LINES, linestyle="--", linewidth=1.5)
    axes.plot(old, new, color=BLUE, marker="o", linewidth=2)
    shown = {0, len(alphas) - 1, len(alphas) // 2}
    for i in sorted(shown):
        axes.annotate(f"alpha {alphas[i]:g}", (old[i], new[i]), (6, 6), textcoords="offset points", fontsize=SMALL,
                      color=INK)
    axes.margins(0.18)
    if falls(found.old):
        axes.invert_xaxis()
    if falls(found.new):
        axes.invert_yaxis()
    axes.xaxis.label.set_fontsize(BODY)
