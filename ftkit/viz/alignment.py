"""Which letter is heard when: what a recogniser answers in each frame of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ftkit.errors import UserError, check_name
from ftkit.viz.arrays import numbers, positive, shown
from ftkit.viz.audio import RATE, Sound, read
from ftkit.viz.sound import draw_spectrogram, draw_wave
from ftkit.viz.style import BLUE, BODY, GREEN, INK, LINES, ORANGE, PURPLE, SMALL, VERMILLION, Picture, tidy
from ftkit.viz.words import plain, text_width

ROW_SECONDS, MOST_ROWS = 5.0, 4  # letters of more would lie on each other

_LINES = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-"), (PURPLE, "--"), (ORANGE, "-"))
_HEIGHTS = (1.05, 1.2, 1.35)  # where letters are written; the next one if the place is taken


class Spoken(NamedTuple):
    """A letter that a recogniser heard.

    Args:
        letter: As it stands in the list of letters.
        frame: Where its probability is highest.
    """

    letter: str
    frame: int


def alignment(
    probabilities: Any,
    letters: Sequence[str],
    audio: Any = None,
    *,
    rate: int = RATE,
    blank: int | str = 0,
    seconds_per_frame: float = 0.02,
    above: str = "spectrogram",
    title: str = "",
) -> Picture:
    """Draw when a CTC recogniser hears which letter: the sound, and below it the probability of each letter over time.

    Only letters that are heard are drawn, each of them written above its peak; the blank, which says "no new letter",
    is a grey line. Sounds of more than five seconds go on in the next row.

    Args:
        probabilities: (frames, V), each row sums to 1: what softmax makes of the network's answer.
        letters: The V letters, in the order of the columns; a space or "|" stands between words.
        audio: The sound, samples (T,) or a file; None draws the probabilities alone.
        rate: Samples a second of an array.
        blank: The column of the blank, or its name in `letters`.
        seconds_per_frame: 0.02 for wav2vec 2.0.
        above: "spectrogram" or "waveform".
        title: Above everything.

    Returns:
        A Picture.

    Raises:
        UserError: Rows that are no probabilities, letters that do not fit them, more than twenty seconds, a sound that
            lasts much longer or shorter than the frames, or something that is no sound.
        UnknownName: No such blank, or no such form of the sound.
        DataError: A file that cannot be read.

    Source: Graves et al. 2006, "Connectionist Temporal Classification". Lesson 05.
    """
    known = _probabilities(probabilities, letters, seconds_per_frame)
    column = _blank(blank, letters)
    check_name("form of the sound", above, ["spectrogram", "waveform"])
    ends = len(known) * seconds_per_frame
    sound = None if audio is None else _fitting(read(audio, rate), ends)
    rows = max(1, int(np.ceil(ends / ROW_SECONDS - 0.05)))
    if rows > MOST_ROWS:
        raise UserError(f"The frames last {ends:.1f} seconds; alignment draws at most "
                        f"{ROW_SECONDS * MOST_ROWS:.0f}. Give it a part.")
    spoken = greedy(known, letters, column)
    parts = ([1.3, 1.6] if sound else [1.6]) * rows  # inches
    picture = Picture(height=0.6 + 0.3 * bool(title) + sum(parts) + 0.45 * len(parts))
    grid = list(picture.subplots(len(parts), 1, squeeze=False, height_ratios=parts)[:, 0])
    wide = ends / rows
    for row in range(rows):
        if sound:
            _draw_sound(grid.pop(0), sound, above, row == 0)
        _draw_letters(grid[0], known, letters, column, spoken, seconds_per_frame, (row * wide, wide))
        _mark_time(grid.pop(0), last=row == rows - 1)
    for i, axes in enumerate(picture.axes):
        row = i // (len(parts) // rows)
        axes.set_xlim(row * wide, (row + 1) * wide)
        axes.xaxis.set_major_locator(MaxNLocator(8))
    if title:
        picture.heading(title)
    picture.alt = (f"{title.rstrip('.') + '. ' if title else ''}Alignment over {ends:.2f} seconds. "
                   f"{_in_words(spoken, seconds_per_frame)}")
    return picture


def greedy(probabilities: np.ndarray, letters: Sequence[str], blank: int) -> list[Spoken]:
    """What is heard when each frame's best letter is taken: repetitions count once, blanks not at all.

    Args:
        probabilities: (frames, V).
        letters: The V letters.
        blank: The column of the blank.

    Returns:
        The letters, and where each of them is most probable.

    Lesson 05.
    """
    best = probabilities.argmax(1)
    starts = [0, *(np.flatnonzero(np.diff(best)) + 1)]
    found = []
    for start, end in zip(starts, [*starts[1:], len(best)], strict=True):
        column = int(best[start])
        if column != blank:
            found.append(Spoken(letters[column], int(start + probabilities[start:end, column].argmax())))
    return found


def _draw_sound(axes: Axes, sound: Sound, above: str, first: bool) -> None:
    if above == "waveform":
        draw_wave(axes, sound, sound.seconds, float(np.abs(sound.samples).max()), "the sound" if first else "")
    else:
        draw_spectrogram(axes, sound, sound.seconds, "the sound" if first else "")
        axes.set_ylabel("hertz", fontsize=BODY, color=INK)
        axes.set_yticks(axes.get_yticks()[1::2], [text.get_text() for text in axes.get_yticklabels()][1::2])
    axes.tick_params(labelbottom=False)


def _draw_letters(axes: Axes, known: np.ndarray, letters: Sequence[str], blank: int, spoken: list[Spoken],
                  unit: float, window: tuple[float, float]) -> None:
    """Lines of the letters that were heard; `window` is (first second, seconds) of this row."""
    tidy(axes, y="probability")
    times = (np.arange(len(known)) + 0.5) * unit
    axes.plot(times, known[:, blank], color=LINES, linewidth=1.5, linestyle=":", label="blank: no new letter")
    heard = list(dict.fromkeys(one.letter for one in spoken))
    for i, letter in enumerate(heard):
        color, line = _LINES[i % len(_LINES)]
        own = known[:, list(letters).index(letter)]
        axes.plot(times, own, color=color, linestyle=line, linewidth=1.8)
        axes.fill_between(times, 0, own, color=color, alpha=0.15, linewidth=0)
    free = [-np.inf] * len(_HEIGHTS)  # the second at which each height is free again
    for letter, frame in spoken:
        x, word = float(times[frame]), shown(letter)
        if not window[0] <= x < window[0] + window[1]:
            continue
        half = (text_width(word, BODY, bold=True) / 2 + 0.02) * window[1] / 8.6  # inches to seconds
        level = next((k for k, end in enumerate(free) if x - half >= end), int(np.argmin(free)))
        free[level] = x + half
        axes.plot([x, x], [known[frame, list(letters).index(letter)], _HEIGHTS[level] - 0.01], color=LINES,
                  linewidth=0.6)
        axes.text(x, _HEIGHTS[level], word, ha="center", va="bottom", fontsize=BODY, weight="bold", color=INK,
                  **plain())
    axes.set(ylim=(0, _HEIGHTS[-1] + 0.17), yticks=[0, 0.5, 1])


def _mark_time(axes: Axes, last: bool) -> None:
    if last:
        axes.set_xlabel("seconds", fontsize=BODY, color=INK)
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", fontsize=SMALL, frameon=False,
                           labelcolor=INK)


def _probabilities(given: Any, letters: Sequence[str], unit: float) -> np.ndarray:
    found = numbers(given, "probabilities", "(frames, letters)")
    if found.shape[1] != len(letters):
        raise UserError(f"There are {found.shape[1]} columns of probabilities and {len(letters)} letters: give one "
                        "letter for each column, the blank too.")
    wrong = (found < -1e-6).any(1) | (np.abs(found.sum(1) - 1) > 0.02)
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(f"Frame {row} holds no probabilities: from {found[row].min():.3g} to {found[row].max():.3g}, "
                        f"their sum is {found[row].sum():.3g}, not 1. Apply softmax to the network's answer first.")
    positive(unit)
    return found


def _blank(blank: int | str, letters: Sequence[str]) -> int:
    if isinstance(blank, str):
        return list(letters).index(check_name("letter", blank, letters))
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)) or not 0 <= blank < len(letters):
        raise UserError(f"blank is a column from 0 to {len(letters) - 1}, or a name in letters, not {blank!r}.")
    return int(blank)


def _fitting(sound: Sound, ends: float) -> Sound:
    if abs(sound.seconds - ends) > 0.1 + 0.05 * sound.seconds:
        raise UserError(f"The sound lasts {sound.seconds:.2f} seconds and the frames {ends:.2f}: is seconds_per_frame "
                        "right, and is it the same sound?")
    return sound


def _in_words(spoken: list[Spoken], unit: float) -> str:
    if not spoken:
        return "No letter is heard."
    text = "".join(" " if one.letter in ("|", " ") else one.letter for one in spoken)
    times = ", ".join(f"{shown(one.letter)} {(one.frame + 0.5) * unit:.2f}" for one in spoken)
    return f"Heard: “{' '.join(text.split())}”. Letters at seconds: {times}."
