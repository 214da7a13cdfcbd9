"""Learning curves: the loss while training, the accuracy after each epoch, and where the plan changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz.runs import best_row, history_of, named_runs
from ftkit.viz.style import BLUE, INK, LINES, ORANGE, SKY, SMALL, WIDTH, Picture, RunStyle, run_style, tidy
from ftkit.viz.words import plain, text_width, wrap

_STAR: dict[str, Any] = {"marker": "*", "markersize": 17, "markeredgecolor": INK, "linestyle": "none", "zorder": 5}
_CHANGE: dict[str, Any] = {"color": LINES, "linestyle": (0, (1, 2)), "linewidth": 1.5, "zorder": 0}


def curves(history: Any, styles: Sequence[int] | None = None) -> Picture:
    """Draw the learning curves of one run, or of several on top of each other.

    Left, over optimizer steps: the training loss (smoothed), and the loss on the validation split after each epoch.
    Right, over epochs: the validation accuracy, with a star at the best epoch. Dotted lines show where the plan
    changed: other layers train from there on.

    Args:
        history: What `fit` returned; or a list of those; or a dict of them by name.
        styles: Of several runs, which colour and line each one takes, as a number; None counts them through. So a run
            keeps its colour when others come and go.

    Returns:
        A Picture.

    Raises:
        UserError: Not a run, or one without a single step.

    Lesson 00.
    """
    runs = {name: history_of(run) for name, run in named_runs(history, "curves").items()}
    for name, run in runs.items():
        if not run.steps:
            raise UserError(f"There is nothing to draw{f' for {name}' if name else ''}: this run has not made a step.")
    picture = Picture(height=4.4 if len(runs) == 1 else 4.4 + 0.25 * len(runs))
    left, right = picture.subplots(1, 2)
    if len(runs) == 1:
        name, run = next(iter(runs.items()))
        handles = _one_run(left, right, run)
        if name:
            picture.heading(name)
    else:
        handles = _several_runs(left, right, runs, styles or range(len(runs)))
    _finish(left, right, list(runs.values()))
    _legend(picture, handles)
    picture.alt = " ".join(_in_words(name, run) for name, run in runs.items())
    return picture


def _one_run(left: Axes, right: Axes, run: History) -> list[Line2D]:
    steps, losses = [row["step"] for row in run.steps], [row["loss"] for row in run.steps]
    left.plot(steps, losses, color=SKY, linewidth=0.8, label="training loss, each step")
    if len(steps) >= 20:
        left.plot(steps, smoothed(losses), color=BLUE, linewidth=2.5, label="the same, smoothed")
    ends = epoch_ends(run)
    if ends:
        middles = [(first + last) / 2 for first, last in zip([steps[0] - 1, *ends], ends, strict=False)]
        left.plot(middles, [row["train_loss"] for row in run.epochs], color=BLUE, linestyle="none", marker="o",
                  markersize=8, markeredgecolor="white", label="training loss, mean of the epoch")
    if any("valid_loss" in row for row in run.epochs):
        left.plot(ends, _column(run, "valid_loss"), color=ORANGE, linestyle="--", marker="s", markersize=8,
                  markeredgecolor=INK, linewidth=2.5, label="validation loss, after the epoch")
    _accuracy(right, run, RunStyle(ORANGE, "--", "s", ""))
    changes = plan_changes(run)
    few = len(changes) <= 6
    _mark_changes(left, right, run, LINES, few)
    handles = [line for line in left.get_lines() if not str(line.get_label()).startswith("_")]
    return handles + _signs("line" if few else "foot", changes, best_row(run))


def _several_runs(left: Axes, right: Axes, runs: dict[str, History], styles: Sequence[int]) -> list[Line2D]:
    handles = []
    for i, (name, run) in zip(styles, runs.items(), strict=True):
        style = run_style(i)
        look: dict[str, Any] = {"color": style.color, "linestyle": style.line}
        left.plot([row["step"] for row in run.steps], smoothed([row["loss"] for row in run.steps]), **look,
                  linewidth=1.6)
        if any("valid_loss" in row for row in run.epochs):
            left.plot(epoch_ends(run), _column(run, "valid_loss"), color=style.color, linestyle="none",
                      marker=style.marker, markersize=8, markeredgecolor=INK)
        _accuracy(right, run, style)
        _mark_changes(left, right, run, style.color, full=False, marker=style.marker)
        handles.append(Line2D([], [], **look, marker=style.marker, markersize=8, markeredgecolor=INK, linewidth=2.5,
                              label=wrap(name, WIDTH - 1.5, SMALL)))
    changes = [step for run in runs.values() for step in plan_changes(run)]
    return handles + _signs("foot", changes, any(best_row(run) for run in runs.values()))


def _mark_changes(left: Axes, right: Axes, run: History, color: str, full: bool, marker: str = "") -> None:
    """Dotted lines; or marks at the foot, with the run's marker on top, where many lines would hide the curves."""
    look: dict[str, Any] = _CHANGE if full else {"ymax": 0.06, "linewidth": 2}
    for step in plan_changes(run):
        places = [(left, float(step))]
        if any("accuracy" in row for row in run.epochs):
            places.append((right, _epoch_at(run, step)))
        for axes, x in places:
            axes.axvline(x, **{**look, "color": color})
            if marker:
                axes.plot(x, 0.06, transform=axes.get_xaxis_transform(), color=color, marker=marker, markersize=6,
                          markeredgecolor=INK, linestyle="none")


def _accuracy(axes: Axes, run: History, style: RunStyle) -> None:
    epochs = [row["epoch"] + 1 for row in run.epochs]
    axes.plot(epochs, _column(run, "accuracy"), color=style.color, linestyle=style.line, marker=style.marker,
              markersize=8, markeredgecolor=INK, linewidth=2.5)
    best = best_row(run)
    if best:
        axes.plot(best["epoch"] + 1, best["accuracy"], markerfacecolor=style.color, **_STAR)


def _signs(kind: str, changes: list[int], best: Any) -> list[Line2D]:
    """The part of the key that all runs share."""
    signs = [Line2D([], [], markerfacecolor="white", label="best epoch", **_STAR)] if best else []
    look: dict[str, Any] = _CHANGE if kind == "line" else {"marker": "|", "markersize": 12, "markeredgewidth": 2,
                                                           "linestyle": "none", "color": LINES}
    return signs + ([Line2D([], [], label="the plan changes", **look)] if changes else [])


def _finish(left: Axes, right: Axes, runs: list[History]) -> None:
    several = len(runs) > 1
    tidy(left, "Loss: training (line), validation (marks)" if several else "Loss", "optimizer step")
    left.set_ylim(bottom=0)
    left.margins(x=0.03)
    left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    exact = any("f1_micro" in row for run in runs for row in run.epochs)
    tidy(right, f"Validation accuracy{' (every label right)' * exact}", "epoch")
    scores = [row["accuracy"] for run in runs for row in run.epochs if "accuracy" in row]
    longest = max(1, *(len(run.epochs) for run in runs))
    every = -(-longest // 10)
    right.set(xlim=(0.7, longest + 0.3), xticks=[1, *range(every, longest + 1, every)][every == 1 :])
    if scores:
        middle, half = (min(scores) + max(scores)) / 2, max(0.1, 0.65 * (max(scores) - min(scores)))
        low = min(max(0.0, middle - half), 0.8)  # at least 0.2 high: a wobble of a point must not look like a leap
        right.set_ylim(low - 0.01 * (low == 0), min(1.02, max(middle + half, low + 0.2)))
        right.yaxis.set_major_locator(MaxNLocator(6))
        right.yaxis.grid(True, color="#EEEEEE", zorder=0)
    else:
        note = "no validation split" if any(run.epochs for run in runs) else "no epoch is finished yet"
        right.text(0.5, 0.5, note, transform=right.transAxes, ha="center", fontsize=SMALL, color=INK)
        right.set_yticks([])


def _legend(picture: Picture, handles: list[Line2D]) -> None:
    names = [str(handle.get_label()) for handle in handles]
    widest = max(text_width(line, SMALL) for name in names for line in name.split("\n")) + 0.6
    rows = -(-len(names) // max(1, int((WIDTH - 0.4) / widest)))
    legend = picture.legend(handles, names, loc="outside lower left", fontsize=SMALL, frameon=False, labelcolor=INK,
                            ncols=-(-len(names) // rows), handlelength=3)
    for text in legend.get_texts():
        text.set(**plain())


def smoothed(values: list[float]) -> np.ndarray:
    """A moving average (N,): each value with its neighbours on both sides, over about a tenth of the run."""
    window = np.hanning(2 * (len(values) // 20) + 3)[1:-1]  # without the zeros at its ends
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def epoch_ends(run: History) -> list[int]:
    """The last step of each finished epoch."""
    last: dict[int, int] = {row["epoch"]: row["step"] for row in run.steps}
    return [last[row["epoch"]] for row in run.epochs]


def plan_changes(run: History) -> list[int]:
    """The steps after which another set of parameters trains: by the strategy's plan, or by hand."""
    ends = epoch_ends(run)
    planned = [end for end, row, then in zip(ends, run.epochs, run.epochs[1:], strict=False)
               if row["trainable"] != then["trainable"]]
    return sorted({*planned, *(event["step"] for event in run.events if "groups" in event)})


def _epoch_at(run: History, step: int) -> float:
    """A step on the axis of epochs: the end of epoch 1 is at 1."""
    return float(np.interp(step, [0, *epoch_ends(run)], range(len(run.epochs) + 1)))


def _column(run: History, key: str) -> list[float]:
    return [row.get(key, float("nan")) for row in run.epochs]


def _in_words(name: str, run: History) -> str:
    losses, best = [row["train_loss"] for row in run.epochs], best_row(run)
    means = ", ".join(f"{value:.2f}" for value in losses) or "not known yet"
    text = f"Learning curves{f' of {name}' if name else ''}: {len(run.steps)} steps; training loss by epoch {means}"
    if best:
        scores = ", ".join(f"{value:.3f}" for value in _column(run, "accuracy"))
        text += f"; validation accuracy by epoch {scores}; best in epoch {best['epoch'] + 1}"
    changes = plan_changes(run)
    return text + (f"; the plan changes after step {', '.join(map(str, changes))}." if changes else ".")
