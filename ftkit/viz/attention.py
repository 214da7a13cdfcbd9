"""Where a synthesiser looks while it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ftkit.errors import UserError
from ftkit.viz.arrays import numbers, positive, shown
from ftkit.viz.sound import INKS
from ftkit.viz.style import INK, LINES, SMALL, Picture, tidy
from ftkit.viz.words import plain

MOST_SYMBOLS = 80


def attention(matrix: Any, text: Sequence[str], seconds_per_frame: float | None = None, title: str = "") -> Picture:
    """Draw where a synthesiser looks while it speaks: a row for each character, a column for each frame of sound.

    A good one reads along: dark places make a line from the lower left to the upper right, without gaps and returns.

    Args:
        matrix: (encoder positions, decoder frames): the share of attention, from 0 to 1; of several heads, the mean.
        text: What each encoder position stands for: a text, or a list of symbols; as many as the matrix has rows.
        seconds_per_frame: How long a frame lasts; None counts frames.
        title: Above everything.

    Returns:
        A Picture.

    Raises:
        UserError: No matrix of numbers from 0 to 1, a text of another length, or one of more than 80 characters.

    Source: Bahdanau, Cho & Bengio 2015; for speech, Wang et al. 2017, "Tacotron". Lesson 06.
    """
    weights, symbols = _weights(matrix, list(text)), list(text)
    unit = 1.0 if seconds_per_frame is None else positive(seconds_per_frame)
    rows, frames = weights.shape
    picture = Picture(height=1.0 + 0.3 * bool(title) + max(2.5, 0.19 * rows))
    axes = tidy(picture.subplots(), x="frames of sound" if seconds_per_frame is None else "seconds of sound",
                y="characters, from the first up")
    image = axes.imshow(weights, origin="lower", aspect="auto", cmap=INKS, vmin=0, vmax=max(float(weights.max()), 1e-6),
                        extent=(0, frames * unit, -0.5, rows - 0.5), interpolation="nearest")
    axes.set_yticks(range(rows), [shown(symbol) for symbol in symbols], **plain(), fontsize=SMALL)
    bar = picture.colorbar(image, ax=axes, pad=0.01, aspect=30)
    bar.set_label("share of attention", fontsize=SMALL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, labelcolor=INK)
    bar.outline.set_edgecolor(LINES)  # type: ignore[operator]
    if title:
        picture.heading(title)
    path = weights.argmax(0)
    forward = float((np.diff(path) >= 0).mean()) if frames > 1 else 1.0
    picture.alt = (f"{title.rstrip('.') + '. ' if title else ''}Attention of {frames} frames to {rows} characters, "
                   f"“{''.join(symbols)}”: from character {path[0] + 1} to {path[-1] + 1}; "
                   f"{len(set(path.tolist()))} of {rows} are the strongest at some time; the strongest one stays or "
                   f"moves on in {forward:.0%} of the steps.")
    return picture


def _weights(given: Any, symbols: list[str]) -> np.ndarray:
    found = numbers(given, "attention", "(characters, frames)")
    if len(symbols) != len(found):
        turned = " Is it (frames, characters)? Then transpose it." if len(symbols) == found.shape[1] else ""
        raise UserError(f"The matrix has {len(found)} rows and the text {len(symbols)} characters.{turned}")
    if len(symbols) > MOST_SYMBOLS:
        raise UserError(f"attention draws at most {MOST_SYMBOLS} characters, not {len(symbols)}. Give it a part.")
    if found.min() < -1e-6 or found.max() > 1 + 1e-3:
        raise UserError(f"Attention is a share from 0 to 1; the matrix goes from {found.min():.3g} to "
                        f"{found.max():.3g}. Apply softmax first.")
    return found
