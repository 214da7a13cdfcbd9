"""Preference tuning in pictures: PPO's steps, and how far apart a model sees two replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz.style import BODY, INK, LINES, SMALL, WIDTH, Picture, run_style, tidy
from ftkit.viz.words import wrap

MOST = 4
_PANELS = (("reward", "reward", "mean of a step's replies"), ("kl", "KL from the reference", "nats per reply"),
           ("length", "length", "tokens per reply"))


def ppo_curves(runs: Any, rule: Mapping[str, Sequence[float]] | None = None) -> Picture:
    """Draw reward, KL and length over the steps of PPO; thin lines are the steps, thick ones the mean of five.

    Reward alone tells half the story: KL is what it was bought with, and a length that runs away is the commonest sign
    of a reward that is being tricked.

    Args:
        runs: What `ppo` returned, or up to four of them by name.
        rule: By the same names, a second judge's score at each step, drawn in a panel of its own.

    Returns:
        A Picture.

    Raises:
        UserError: No steps, or too many runs.

    Lesson 09.
    """
    named: dict[str, History] = {str(k): v for k, v in runs.items()} if isinstance(runs, Mapping) else {"": runs}
    if not 1 <= len(named) <= MOST:
        raise UserError(f"ppo_curves draws 1 to {MOST} runs, not {len(named)}.")
    for name, run in named.items():
        if not run.steps or "kl" not in run.steps[0]:
            raise UserError(f"{name or 'This run'} has no steps of PPO to draw.")
    panels = [*_PANELS, *([("rule", "a judge it never met", "mean of a step's replies")] if rule else [])]
    picture = Picture(height=3.6 + 0.3 * (len(named) > 1))
    grid = picture.subplots(1, len(panels), squeeze=False)[0]
    for axes, (key, title, unit) in zip(grid, panels, strict=True):
        tidy(axes, wrap(title, WIDTH / len(panels) - 0.9, BODY), "step", unit)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        for i, (name, run) in enumerate(named.items()):
            values = (rule or {}).get(name, []) if key == "rule" else [row[key] for row in run.steps]
            _line(axes, np.asarray(values, dtype=float), i, name)
    if len(named) > 1:
        picture.legend(*grid[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(named), fontsize=SMALL,
                       frameon=False, labelcolor=INK)
    picture.alt = " ".join(_in_words(name, run) for name, run in named.items())
    return picture


def margins(found: Any) -> Picture:
    """Draw how the margins of pairs are spread: right of zero the model prefers what people preferred.

    Args:
        found: What `ftkit.preference.margins` returned, or up to four of them by name, such as by beta.

    Returns:
        A Picture.

    Raises:
        UserError: Too many, or no pairs.

    Lesson 09.
    """
    named: dict[str, Any] = {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {"": found}
    values = {name: np.asarray(one.values, dtype=float) for name, one in named.items()}
    if not 1 <= len(named) <= MOST or not all(map(len, values.values())):
        raise UserError(f"margins draws the pairs of 1 to {MOST} models, not of {len(named)}, and at least one each.")
    low, high = (float(edge) for edge in np.quantile(np.concatenate([*values.values(), [0.0]]), (0, 1)))
    bins = np.linspace(low, high if high > low else low + 1, 25)
    picture = Picture(height=1.2 + 1.5 * len(named))
    for axes, (name, own), i in zip(picture.subplots(len(named), 1, squeeze=False, sharex=True)[:, 0], values.items(),
                                    range(MOST), strict=False):
        right = float((own > 0).mean())
        told = f"{name}: " * bool(name) + f"{right:.0%} of {len(own)} pairs right, mean margin {own.mean():.2f}"
        tidy(axes, wrap(told, WIDTH - 1, BODY), y="pairs")
        style = run_style(i)
        axes.hist(own, bins=bins, color=style.color, hatch=style.hatch, edgecolor="white")
        axes.axvline(0, color=INK, linestyle="--", linewidth=1.5)
        axes.axvline(float(own.mean()), color=LINES, linewidth=2)
    picture.axes[-1].set_xlabel("margin: reward of the chosen reply less that of the rejected one (grey: the mean)",
                                fontsize=BODY, color=INK)
    picture.alt = "Margins of pairs. " + " ".join(
        f"{name or 'The model'}: {(own > 0).mean():.0%} of {len(own)} pairs right, mean margin {own.mean():.2f}, from "
        f"{own.min():.2f} to {own.max():.2f}." for name, own in values.items())
    return picture


def _line(axes: Axes, values: np.ndarray, i: int, name: str) -> None:
    style, steps = run_style(i), np.arange(1, len(values) + 1)
    axes.plot(steps, values, color=style.color, linewidth=0.8, alpha=0.4)
    width = min(5, len(values))
    if width:
        smooth = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], smooth, color=style.color, linestyle=style.line, linewidth=2.5, label=name,
                  marker=style.marker if len(smooth) == 1 else None)


def _in_words(name: str, run: History) -> str:
    first, last = run.steps[: max(1, len(run.steps) // 5)], run.steps[-max(1, len(run.steps) // 5):]
    parts = [f"{word} from {np.mean([row[key] for row in first]):.2f} to {np.mean([row[key] for row in last]):.2f}"
             for key, word in (("reward", "reward"), ("kl", "KL"), ("length", "tokens"))]
    return f"PPO{' ' + name if name else ''} over {len(run.steps)} steps: {', '.join(parts)}."
