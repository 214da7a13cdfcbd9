"""The confusion matrix: which class is taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ftkit.errors import UserError
from ftkit.training import Evaluation, evaluate
from ftkit.viz.style import (
    BLUE,
    BODY,
    GREEN,
    INK,
    LINES,
    ORANGE,
    SMALL,
    VERMILLION,
    WIDTH,
    Picture,
    bare,
    ink_on,
    mix,
    tidy,
)
from ftkit.viz.words import percent, plain, text_width, wrap

MOST_CLASSES = 20


def confusion(evaluation: Any, split: Any = None) -> Picture:
    """Draw how often each class was taken for which: counts, and shares of each row.

    A row is a true class, a column what the model said; the diagonal is right. With more than 20 classes, those with
    the fewest mistakes share one row and one column. For several labels per example: bars of right, missed and wrongly
    given labels.

    Args:
        evaluation: What `evaluate` returned; or a model, and then
        split: the split to evaluate it on.

    Returns:
        A Picture.

    Raises:
        UserError: Neither an Evaluation nor a model with a split; a recogniser of speech, which has no classes.

    Lesson 01.
    """
    found = as_evaluation(evaluation, split, "confusion")
    if not found.labels:
        raise UserError("confusion is for classes, and this model writes texts: ft.viz.top_losses shows what it heard.")
    if found.targets.ndim == 2:
        return _label_bars(found)
    names, matrix = _matrix(found)
    right = int((found.probabilities.argmax(-1) == found.targets).sum())
    folded = [wrap(name, 2.4, SMALL) for name in names]
    cell = (WIDTH - 0.8 - max(_width(name) for name in folded)) / len(names)
    tall = min(0.9, max(0.36, cell * 0.65))
    rows = [max(tall, 0.19 * (name.count("\n") + 1) + 0.1) for name in folded]
    across, turned = _column_names(names, cell)
    picture = Picture(height=1.3 + sum(rows) + max(_width(n) if turned else 0.19 * (n.count("\n") + 1) for n in across))
    note = f"; shown are the {len(names) - 1} classes with most mistakes" if len(names) < len(found.labels) else ""
    picture.heading(f"{right} of {len(found.targets)} right ({percent(right / len(found.targets))}){note}")
    axes = picture.subplots()
    edges = np.concatenate([[0.0], np.cumsum(rows)])
    _draw_matrix(axes, matrix, edges, cell, with_shares=tall > 0.42 and cell > 0.65)
    axes.set_yticks((edges[:-1] + edges[1:]) / 2, folded, **plain())
    axes.set_xticks(np.arange(len(names)) + 0.5, across, rotation=90 if turned else 0, **plain())
    picture.alt = _in_words(found, right)
    return picture


def as_evaluation(evaluation: Any, split: Any, function: str) -> Evaluation:
    """An Evaluation, made if a model and a split are given."""
    if isinstance(evaluation, tuple) and len(evaluation) == 2:
        evaluation, split = evaluation
    if isinstance(evaluation, Evaluation):
        return evaluation
    if hasattr(evaluation, "net") and split is not None:
        return evaluate(evaluation, split)
    raise UserError(f"{function} draws what evaluate returns: {function}(evaluate(model, data.test)), "
                    f"not {type(evaluation).__name__}.")


def _matrix(found: Evaluation) -> tuple[list[str], np.ndarray]:
    """Class names and counts (true, predicted); beyond MOST_CLASSES the best ones are folded into one."""
    size, names = len(found.labels), list(found.labels)
    place = np.arange(size)
    matrix = _counts(found, place, size)
    if size > MOST_CLASSES:
        mistakes = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
        shown = sorted(np.argsort(-mistakes, kind="stable")[: MOST_CLASSES - 1].tolist())
        place = np.full(size, MOST_CLASSES - 1)
        place[shown] = range(MOST_CLASSES - 1)
        names = [*(names[i] for i in shown), f"{size - len(shown)} other classes"]
        matrix = _counts(found, place, MOST_CLASSES)
    return names, matrix


def _counts(found: Evaluation, place: np.ndarray, size: int) -> np.ndarray:
    matrix = np.zeros((size, size), dtype=int)
    np.add.at(matrix, (place[found.targets], place[found.probabilities.argmax(-1)]), 1)
    return matrix


def _width(name: str) -> float:
    return max(text_width(line, SMALL) for line in name.split("\n"))


def _column_names(names: list[str], cell: float) -> tuple[list[str], bool]:
    """The names under the columns, wrapped so that neighbours do not touch; and whether they are turned."""
    if cell > 1.4 or all(text_width(word, SMALL) < cell - 0.1 for name in names for word in name.split()):
        return [wrap(name, cell - 0.1, SMALL) for name in names], False
    lines = max(1, int(cell / 0.2))
    return [next(text for width in np.arange(0.6, 30, 0.2)
                 if (text := wrap(name, width, SMALL)).count("\n") < lines) for name in names], True


def _draw_matrix(axes: Axes, matrix: np.ndarray, edges: np.ndarray, cell: float, with_shares: bool) -> None:
    shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    for (row, column), number in np.ndenumerate(matrix):
        color, top, tall = mix(BLUE, float(shares[row, column])), float(edges[row]), float(edges[row + 1] - edges[row])
        axes.add_patch(Rectangle((column, top), 1, tall, facecolor=color, edgecolor=LINES, linewidth=0.6,
                                 in_layout=False))  # it lies inside the axes: no need to make room for it
        text = str(number) if text_width(str(number), SMALL) < cell - 0.03 else f"{number / 1000:.0f}k"
        text = text if number or len(matrix) <= 12 else ""  # many zeros would hide the mistakes
        text += f"\n{percent(float(shares[row, column]))}" if with_shares and number else ""
        axes.text(column + 0.5, top + tall / 2, text, ha="center", va="center", fontsize=SMALL,
                  color=ink_on(color), in_layout=False)
    for i in range(len(matrix)):  # the diagonal is framed: it must be found in greyscale too
        axes.add_patch(Rectangle((i, edges[i]), 1, edges[i + 1] - edges[i], fill=False, edgecolor=INK, linewidth=2,
                                 clip_on=False, in_layout=False))
    bare(axes).set(xlim=(0, len(matrix)), ylim=(edges[-1], 0))
    axes.set_xlabel("what the model said", fontsize=BODY, color=INK)
    axes.set_ylabel("true class", fontsize=BODY, color=INK)


def _in_words(found: Evaluation, right: int) -> str:
    wrong = _counts(found, np.arange(len(found.labels)), len(found.labels))
    np.fill_diagonal(wrong, 0)
    most = np.argsort(-wrong, axis=None, kind="stable")[:3]
    pairs = [(wrong.flat[i], *divmod(int(i), len(found.labels))) for i in most if wrong.flat[i]]
    told = "; ".join(f"{n} times {found.labels[true]} was taken for {found.labels[said]}" for n, true, said in pairs)
    return (f"Confusion matrix of {len(found.labels)} classes: {right} of {len(found.targets)} right. "
            + (f"Most frequent mistakes: {told}." if told else "No mistakes."))


def _label_bars(found: Evaluation) -> Picture:
    """Several labels per example: no row has one true class, so each label gets its own counts."""
    said, true = found.probabilities >= 0.5, found.targets.astype(bool)
    parts = [("right", (said & true).sum(0), GREEN, ""), ("missed", (~said & true).sum(0), ORANGE, "//"),
             ("wrongly given", (said & ~true).sum(0), VERMILLION, "..")]
    names = [wrap(name, 2.6, BODY) for name in found.labels]
    picture = Picture(height=1.6 + sum(max(0.45, 0.22 * (name.count("\n") + 1)) for name in names))
    picture.heading(f"{len(true)} examples, several labels each")
    axes = tidy(picture.subplots(), x="labels")
    start = np.zeros(len(names), dtype=int)
    for word, numbers, color, hatch in parts:
        axes.barh(range(len(names)), numbers, left=start, height=0.7, color=color, hatch=hatch, edgecolor="white",
                  label=word)
        start += numbers
    for y in range(len(names)):
        told = ", ".join(f"{numbers[y]} {word}" for word, numbers, _, _ in parts)
        axes.annotate(told, (start[y], y), (5, 0), textcoords="offset points", va="center", fontsize=SMALL, color=INK)
    axes.set_xlim(0, max(1, start.max()) * 1.8)  # room for the words behind the longest bar
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_yticks(range(len(names)), names, fontsize=BODY, **plain())
    axes.set_ylim(len(names) - 0.5, -0.5)
    picture.legend(loc="outside lower left", ncols=3, fontsize=SMALL, frameon=False, labelcolor=INK)
    picture.alt = "Labels " + "; ".join(
        f"{name}: " + ", ".join(f"{numbers[i]} {word}" for word, numbers, _, _ in parts)
        for i, name in enumerate(found.labels)) + "."
    return picture
