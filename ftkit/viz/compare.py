"""Runs side by side: from scratch, frozen, fine-tuned. How good, how long, how many parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from ftkit.errors import UserError
from ftkit.training import History
from ftkit.viz.runs import best_row, history_of, named_runs
from ftkit.viz.style import BODY, INK, SMALL, Picture, run_style, tidy
from ftkit.viz.words import count, plain, text_width, wrap


def compare(runs: Any) -> Picture:
    """Draw runs as bars, in the order given: accuracy, seconds of training, parameters that train.

    Args:
        runs: By name, the History that `fit` returned, or a pair (history, evaluate(model, data.test)). With the
            pair the accuracy is that on the test split, else that of the best epoch on the validation split.

    Returns:
        A Picture. Parameters are the most that train at one time: gradual unfreezing begins with fewer.

    Raises:
        UserError: No run, something that is not a run, a run without accuracy, or an Evaluation for some runs only.

    Lesson 00.
    """
    named = named_runs(runs, "compare")
    tested = [_has_evaluation(name, run) for name, run in named.items()]
    if any(tested) and not all(tested):
        missing = [name for name, has in zip(named, tested, strict=True) if not has]
        raise UserError(f"Test and validation accuracy cannot be compared: {', '.join(missing)} came without an "
                        "Evaluation. Pass (history, evaluate(model, data.test)) for every run, or for none.")
    split = "test" if tested[0] else "validation"
    rows = [_row(name, run) for name, run in named.items()]
    longest = max(row["seconds"] for row in rows)
    times = [_time(row["seconds"], longest) for row in rows]
    names = [wrap(name or "this run", 2.6, BODY) for name in named]
    lines = [name.count("\n") + 1 for name in names]
    picture = Picture(height=1.0 + sum(max(0.55, 0.22 * n + 0.15) for n in lines))
    panels = picture.subplots(1, 3, sharey=True)
    _bars(panels[0], f"{split} accuracy", [row["accuracy"] for row in rows], [f"{r['accuracy']:.3f}" for r in rows],
          most=1.0)
    _bars(panels[1], "training time", [row["seconds"] for row in rows], times)
    _bars(panels[2], "parameters that train", [row["trainable"] for row in rows], [row["told"] for row in rows])
    panels[0].set_yticks(range(len(names)), names, **plain(), fontsize=BODY)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    picture.alt = "Comparison of runs. " + " ".join(
        f"{name or 'this run'}: {split} accuracy {row['accuracy']:.3f}, {time} of training, "
        f"{row['told']} parameters train." for name, row, time in zip(named, rows, times, strict=True))
    return picture


def _has_evaluation(name: str, run: Any) -> bool:
    if isinstance(run, History):
        return False
    if len(run) != 2 or not isinstance(run[1], Mapping) or "accuracy" not in run[1]:
        raise UserError(f"compare: '{name}' must be a History or a pair (history, evaluate(model, data.test)).")
    return True


def _row(name: str, run: Any) -> dict[str, Any]:
    history: History = history_of(run)
    if not history.epochs:
        raise UserError(f"compare: '{name}' has not finished an epoch.")
    best = run[1] if isinstance(run, tuple) else best_row(history)
    if best is None:
        raise UserError(f"compare: '{name}' was trained without a validation split. "
                        "Pass (history, evaluate(model, data.test)).")
    numbers = [row["trainable"] for row in history.epochs]
    told = "up to " * (min(numbers) < max(numbers)) + count(max(numbers))
    return {"accuracy": best["accuracy"], "seconds": history.train_seconds, "trainable": max(numbers), "told": told}


def _bars(axes: Axes, title: str, values: list[float], texts: list[str], most: float | None = None) -> None:
    tidy(axes, title)
    top = most or max([*values, 1e-9])
    for y, (value, text) in enumerate(zip(values, texts, strict=True)):
        style = run_style(y)
        axes.barh(y, value, height=0.62, color=style.color, hatch=style.hatch, edgecolor="white", linewidth=0)
        axes.annotate(text, (value, y), (5, 0), textcoords="offset points", va="center", fontsize=BODY, color=INK)
    room = max(text_width(text, BODY) for text in texts) + 0.15
    axes.set_xlim(0, top * 2.4 / max(0.6, 2.4 - room))  # a panel is about 2.4 inches wide: the number fits behind
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(labelsize=SMALL)


def _time(seconds: float, longest: float) -> str:
    """In one unit for all runs, that of the longest one."""
    if longest >= 600:
        size, unit = (60, "min") if longest < 36_000 else (3600, "h")
        return f"{seconds / size:.1f} {unit}" if seconds >= 0.1 * size else f"<0.1 {unit}"
    return f"{seconds:.0f} s" if seconds >= 100 else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2g} s"
