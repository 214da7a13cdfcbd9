"""The examples that a model gets most wrong: what to look at first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.errors import UserError
from ftkit.tasks.spelling import spell
from ftkit.training import Evaluation
from ftkit.viz.confusion import as_evaluation
from ftkit.viz.style import INK, LINES, SMALL, WIDTH, WRONG, Picture, bare
from ftkit.viz.words import clean, plain, wrap

if TYPE_CHECKING:
    import pandas as pd

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"}


def top_losses_frame(evaluation: Any, n: int = 8) -> pd.DataFrame:
    """The `n` examples with the highest loss, worst first, as a table.

    Args:
        evaluation: What `evaluate` returned.
        n: How many, at least 1.

    Returns:
        Columns: row (place in the split), input, true, predicted, probability (that the model gave to what it
        predicted; of the most probable label, where there are several; not for recognisers of speech), loss. Of a
        language model only row, input and loss: per token.

    Raises:
        UserError: Not an Evaluation, or n below 1.

    Lesson 01.
    """
    import pandas as pd

    found = as_evaluation(evaluation, None, "top_losses")
    if not isinstance(n, int) or n < 1:
        raise UserError(f"n must be a whole number of at least 1, not {n!r}.")
    worst = np.argsort(-found.losses, kind="stable")[:n].tolist()
    if found.answers:
        return pd.DataFrame([{"row": i, "input": found.inputs[i], "true": spell(str(found.targets[i])),
                              "predicted": found.answers[i], "loss": float(found.losses[i])} for i in worst])
    if not found.labels:
        return pd.DataFrame([{"row": i, "input": found.inputs[i], "loss": float(found.losses[i])} for i in worst])
    return pd.DataFrame([{"row": i, "input": found.inputs[i], "true": _names(found, found.targets[i]),
                          "predicted": _said(found, i), "probability": float(found.probabilities[i].max()),
                          "loss": float(found.losses[i])} for i in worst])


def top_losses(evaluation: Any, n: int = 8) -> Picture:
    """Draw the examples with the highest loss: a table of texts, or a grid of pictures.

    Args:
        evaluation: What `evaluate` returned.
        n: How many, at least 1.

    Returns:
        A Picture. A wrong answer has a cross before it, a right but doubtful one a tick.

    Raises:
        UserError: Not an Evaluation, or n below 1; a language model's, which has no right and wrong answers.

    Lesson 01.
    """
    rows = top_losses_frame(evaluation, n).to_dict("records")
    if rows and "predicted" not in rows[0]:
        raise UserError("top_losses draws right and wrong answers, and a language model gives none. "
                        "top_losses_frame lists the texts.")
    picture = _grid(rows) if all(_is_image(row["input"]) for row in rows) else _table(rows)
    picture.alt = f"The {len(rows)} examples with the highest loss. " + " ".join(
        f"{i + 1}. {_short(row['input'])}: {row['true']}, taken for {row['predicted'] or 'nothing'}"
        + (f" with probability {row['probability']:.2f}" if "probability" in row else "")
        + f", loss {row['loss']:.2f}." for i, row in enumerate(rows))
    return picture


def _names(found: Evaluation, target: Any) -> str:
    if found.targets.ndim == 1:
        return found.labels[int(target)]
    return ", ".join(name for name, has in zip(found.labels, target, strict=True) if has) or "none"


def _said(found: Evaluation, i: int) -> str:
    row = found.probabilities[i]
    return _names(found, row.argmax() if found.targets.ndim == 1 else row >= 0.5)


def _is_image(value: Any) -> bool:
    pixels = isinstance(value, np.ndarray) and value.ndim in (2, 3)
    return pixels or isinstance(value, Image.Image) or (
        isinstance(value, Path) and value.suffix.lower() in _PICTURES)


def _short(value: Any) -> str:
    kind = "a sound" if isinstance(value, np.ndarray) and value.ndim == 1 else "a picture"
    text = clean(value) if isinstance(value, str) else value.name if isinstance(value, Path) else kind
    return text if len(text) <= 80 else f"{text[:79]}…"


# --- a table of texts -----------------------------------------------------------------------------------------------

_COLUMNS = {"input": (0.15, 5.35), "true": (5.7, 1.3), "predicted": (7.1, 1.45), "probability": (9.05, 0.6),
            "loss": (9.85, 0.6)}  # left edge (of numbers: right edge) and width in inches
_HEARD = {"input": (0.15, 1.3), "true": (1.6, 3.7), "predicted": (5.5, 3.6), "loss": (9.85, 0.6)}  # of a recogniser
_LINE = 0.2  # inches from one line of text to the next


def _table(rows: list[dict[str, Any]]) -> Picture:
    columns = _COLUMNS if "probability" in rows[0] else _HEARD
    cells = [_cells(row, columns) for row in rows]
    heights = [_LINE * max(text.count("\n") + 1 for text in row.values()) + 0.16 for row in cells]
    height = 0.5 + sum(heights)
    picture = Picture(height=height, constrained=False)
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))  # one unit is an inch
    heard = columns is _HEARD
    heads = {"input": "sound", "true": "said", "predicted": "the model heard"} if heard else {
        "input": "text", "true": "true", "predicted": "the model said", "probability": "prob."}
    _line(axes, 0.3, {**heads, "loss": "loss"}, columns, weight="bold")
    top = 0.46
    for row, text, tall in zip(rows, cells, heights, strict=True):
        axes.plot([0.15, WIDTH - 0.15], [top, top], color=LINES, linewidth=0.8)
        _line(axes, top + 0.22, text, columns, wrong=row["true"] != row["predicted"])
        top += tall
    return picture


def _cells(row: dict[str, Any], columns: dict[str, tuple[float, float]]) -> dict[str, str]:
    value = row["input"]
    text = value if isinstance(value, str) else value.name if isinstance(value, Path) else f"example {row['row']}"
    text = text if text.strip() else "(an empty text)"
    sign = "✓" if row["true"] == row["predicted"] else "✗"
    return {"input": wrap(text, columns["input"][1], SMALL, lines=4),
            "true": wrap(row["true"], columns["true"][1], SMALL),
            "predicted": wrap(f"{sign} {row['predicted'] or '(nothing)'}", columns["predicted"][1], SMALL),
            "probability": f"{row.get('probability', 0):.2f}", "loss": f"{row['loss']:.2f}"}


def _line(axes: Axes, base: float, texts: dict[str, str], columns: dict[str, tuple[float, float]],
          weight: str = "normal", wrong: bool = False) -> None:
    for key, (x, _) in columns.items():
        for i, text in enumerate(texts[key].split("\n")):  # line by line: all columns stand on the same baselines
            axes.text(x, base + i * _LINE, text, ha="right" if key in ("probability", "loss") else "left",
                      va="baseline", fontsize=SMALL, weight=weight,
                      color=WRONG if wrong and key == "predicted" else INK, **plain())


# --- a grid of pictures ---------------------------------------------------------------------------------------------


def _grid(rows: list[dict[str, Any]]) -> Picture:
    columns = min(4, len(rows))
    down = -(-len(rows) // columns)
    wide = WIDTH / 4 - 0.25
    captions = [wrap(f"true: {row['true']}", wide, SMALL) + "\n" + wrap(
        f"{'✓' if row['true'] == row['predicted'] else '✗'} {row['predicted']} {row['probability']:.2f}", wide, SMALL)
        + f"\nloss {row['loss']:.2f}" for row in rows]
    lines = [max(text.count("\n") + 1 for text in captions[i : i + columns]) for i in range(0, len(rows), columns)]
    picture = Picture(height=0.2 + sum(1.75 + _LINE * n for n in lines))
    grid = picture.subplots(down, 4, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (row, text) in enumerate(zip(rows, captions, strict=True)):
        axes = bare(grid[i // columns, i % columns])
        axes.set_axis_on()
        axes.set_anchor("W")  # the picture stands at the left, where its caption begins
        pixels = np.asarray(ImagePreprocess.open(row["input"]))
        axes.imshow(pixels, interpolation="nearest" if max(pixels.shape[:2]) < 100 else "antialiased")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(text, fontsize=SMALL, color=INK, loc="left", linespacing=1.2, **plain())
    return picture
