"""The curves of the playground in its picture: branches over each other, with marks where a plan changed."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ftkit.viz.style import INK, LINES, SMALL, WIDTH, Picture, RunStyle, mix, run_style, tidy
from ftkit.viz.words import plain, wrap
from ftkit.widgets.words import Snapshot, event_words, numbered_events

_HEIGHT, _KEY_LINE, _ACROSS = 3.25, 0.25, 3  # inches without the key; of a line of the key; names in such a line
_MOST_EVENTS = 8  # written out


def curves_height(snapshot: Snapshot) -> float:
    """Inches that the curves take; 0 before the first step."""
    if not any(curve["train"] for curve in snapshot["curves"]):
        return 0.0
    return _HEIGHT + _KEY_LINE * -(-len(snapshot["curves"]) // _ACROSS)


def draw_curves(picture: Picture, snapshot: Snapshot, top: float) -> None:
    """Loss to the left, validation accuracy to the right, `top` inches below the upper edge; the key above both."""
    height = picture.get_figheight()
    bottom, tall = 1 - (top + curves_height(snapshot) - 0.6) / height, (_HEIGHT - 1.0) / height
    loss = picture.add_axes((0.075, bottom, 0.40, tall))
    accuracy = picture.add_axes((0.575, bottom, 0.40, tall))
    for i, curve in reversed(list(enumerate(snapshot["curves"]))):  # the current one last, on top
        _one(loss, accuracy, curve, run_style(i), current=i == 0)
    tidy(loss, "Loss: training (pale line), validation (marks)", "step").set_ylim(bottom=0)
    tidy(accuracy, "Validation accuracy", "step")
    _scale(accuracy, [row[2] for curve in snapshot["curves"] for row in curve["valid"] if row[2] is not None])
    last = max([row[0] for curve in snapshot["curves"] for row in curve["train"]], default=1)
    for axes in (loss, accuracy):
        axes.set_xlim(-0.01 * last, 1.02 * last)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _mark(axes, snapshot, last)
    handles = [Line2D([], [], label=wrap(curve["name"], 2.3, SMALL, lines=1), **_look(run_style(i), i == 0))
               for i, curve in enumerate(snapshot["curves"])]
    legend = picture.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.005, 1 - top / height), ncols=_ACROSS,
                            fontsize=SMALL, frameon=False, labelcolor=INK, handlelength=3)
    for text in legend.get_texts():
        text.set(**plain())


def _one(loss: Axes, accuracy: Axes, curve: dict[str, Any], style: RunStyle, current: bool) -> None:
    look = _look(style, current)
    if curve["train"]:
        pale = mix(style.color, 0.55)
        loss.plot(*zip(*curve["train"], strict=True), color=pale, linestyle=style.line,
                  linewidth=1.3 if current else 0.9)
    if curve["valid"]:
        steps, losses, scores = zip(*curve["valid"], strict=True)
        loss.plot(steps, losses, **look)
        accuracy.plot(steps, [float("nan") if score is None else score for score in scores], **look)


def _look(style: RunStyle, current: bool) -> dict[str, Any]:
    return {"color": style.color, "linestyle": style.line, "marker": style.marker, "markersize": 7,
            "markeredgecolor": INK, "linewidth": 2.5 if current else 1.5}


def _scale(axes: Axes, scores: list[float]) -> None:
    """At least 0.2 high: a wobble of a point must not look like a leap."""
    if not scores:
        axes.text(0.5, 0.5, "comes after the first epoch", transform=axes.transAxes, ha="center", fontsize=SMALL,
                  color=INK)
        axes.set_yticks([])
        return
    middle, half = (min(scores) + max(scores)) / 2, max(0.1, 0.6 * (max(scores) - min(scores)))
    low = min(max(0.0, middle - half), 0.8)
    axes.set_ylim(low - 0.01 * (low == 0), min(1.02, max(middle + half, low + 0.2)))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _mark(axes: Axes, snapshot: Snapshot, last: int) -> None:
    """Numbered dotted lines where a plan changed, and a full one at the step that is looked back at."""
    room = 8 if len(numbered_events(snapshot)) > 9 else 12  # "10–12" takes an eighth of the axis
    for step, label in event_marks(snapshot, near=last // room):
        axes.axvline(step, color=LINES, linestyle=(0, (1, 2)), linewidth=1.5, zorder=0)
        axes.annotate(label, (step, 1), xycoords=("data", "axes fraction"), xytext=(3, -11), textcoords="offset points",
                      fontsize=SMALL, color=INK, weight="bold",
                      bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.8})
    if snapshot["showing"] is not None:
        axes.axvline(snapshot["showing"], color=INK, linewidth=2, zorder=0)


def event_marks(snapshot: Snapshot, near: int = 0) -> list[tuple[int, str]]:
    """(step, "2" or "2–4"): events less than `near` steps behind the first of them share a mark."""
    found: list[tuple[int, int, int]] = []
    for number, (_, event) in enumerate(numbered_events(snapshot), start=1):
        if found and event["step"] - found[-1][0] <= near:
            found[-1] = (found[-1][0], found[-1][1], number)
        else:
            found.append((event["step"], number, number))
    return [(step, str(first) if first == last else f"{first}–{last}") for step, first, last in found]


def notes(snapshot: Snapshot) -> list[str]:
    """The numbered events, wrapped, below the curves."""
    told = event_words(snapshot)
    more = [f"… and {len(told) - _MOST_EVENTS} more"] if len(told) > _MOST_EVENTS else []
    return [wrap(text, WIDTH - 0.3, SMALL) for text in [*told[:_MOST_EVENTS], *more]]
