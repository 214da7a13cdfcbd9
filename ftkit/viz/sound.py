"""Sounds as pictures: the wave itself, and how loud which frequency is at which time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from ftkit.errors import UserError
from ftkit.viz.audio import RANGE, RATE, Sound, log_mel, several, to_hertz, to_mel
from ftkit.viz.style import BLUE, BODY, INK, LINES, SKY, SMALL, WIDTH, Picture, tidy
from ftkit.viz.words import wrap

MOST = 6  # sounds in one picture
INKS = LinearSegmentedColormap.from_list("inks", ["white", SKY, BLUE, INK])  # darker is more, in grey too
_PITCHES = (250, 500, 1000, 2000, 4000, 8000, 16_000)
_BESIDE = 3  # so many stand side by side


def waveform(audio: Any, rate: int = RATE, title: str = "") -> Picture:
    """Draw a sound as it is stored: the air pressure at each moment.

    Several sounds stand one below another, with one scale of time and of pressure: lengths and loudness compare.

    Args:
        audio: Samples (T,) between -1 and 1, a file, or up to six of them by name: {"before": one, "after": other}.
        rate: Samples a second of arrays; files have their own.
        title: Above everything.

    Returns:
        A Picture.

    Raises:
        UserError: No sound, more than six, samples that are no numbers, or a rate that is not positive.
        DataError: A file that is missing or cannot be read.

    Lesson 05.
    """
    sounds = _few(audio, rate)
    picture = Picture(height=0.4 + 0.3 * bool(title) + 1.55 * len(sounds))
    longest, most = _longest(sounds), max(float(np.abs(sound.samples).max()) for sound in sounds.values())
    grid = picture.subplots(len(sounds), 1, squeeze=False)[:, 0]
    for axes, (name, sound) in zip(grid, sounds.items(), strict=True):
        draw_wave(axes, sound, longest, most, _caption(name, sound, WIDTH - 1))
    grid[-1].set_xlabel("seconds", fontsize=BODY, color=INK)
    if title:
        picture.heading(title)
    picture.alt = f"{_headed(title)}Waveform. " + " ".join(
        f"{_named(name)}{sound.seconds:.2f} seconds, largest amplitude {np.abs(sound.samples).max():.2f}, "
        f"{_loud_part(sound)}." for name, sound in sounds.items())
    return picture


def spectrogram(audio: Any, rate: int = RATE, title: str = "") -> Picture:
    """Draw how loud each frequency is at each moment: dark is loud, and up is high.

    The scale of pitch is mel, on which equal steps sound equal. Each sound has its own scale of loudness, 70 decibels
    from its loudest place down: compare shapes, not loudness. Up to three sounds stand side by side.

    Args:
        audio: Samples (T,) between -1 and 1, a file, or up to six of them by name: {"before": one, "after": other}.
        rate: Samples a second of arrays; files have their own.
        title: Above everything.

    Returns:
        A Picture.

    Raises:
        UserError: No sound, more than six, samples that are no numbers, or a rate that is not positive.
        DataError: A file that is missing or cannot be read.

    Source: Stevens, Volkmann & Newman 1937 (mel). Lesson 05.
    """
    sounds = _few(audio, rate)
    across = min(_BESIDE, len(sounds))
    rows = -(-len(sounds) // across)
    picture = Picture(height=0.3 + 0.3 * bool(title) + 2.9 * rows)
    longest = _longest(sounds)
    alike = len({sound.rate for sound in sounds.values()}) == 1  # then one scale of hertz serves all of a row
    grid = picture.subplots(rows, across, squeeze=False, sharey=alike)
    wide = (WIDTH - 2.0) / across - (0.2 if alike else 0.8)
    for axes in grid.flat[len(sounds):]:
        axes.set_axis_off()
    for i, (axes, (name, sound)) in enumerate(zip(grid.flat, sounds.items(), strict=False)):
        draw_spectrogram(axes, sound, longest, _caption(name, sound, wide))
        axes.set_xlabel("seconds", fontsize=BODY, color=INK)
        axes.set_ylabel("" if i % across else "hertz", fontsize=BODY, color=INK)
    _scale(picture, list(grid.flat))
    if title:
        picture.heading(title)
    picture.alt = f"{_headed(title)}Log-mel spectrogram. " + " ".join(
        f"{_named(name)}{sound.seconds:.2f} seconds, {_strongest(sound)}." for name, sound in sounds.items())
    return picture


def draw_wave(axes: Axes, sound: Sound, seconds: float, most: float, title: str = "") -> None:
    """A wave on these axes, up to the amplitude `most`; over many samples it becomes a band from low to high."""
    tidy(axes, title, y="amplitude")
    middle, low, high = envelope(sound, 1600)
    axes.fill_between(middle, low, high, color=BLUE, linewidth=0.8)
    axes.axhline(0, color=LINES, linewidth=0.8)
    edge = 1.05 * (most or 1.0)
    axes.set(xlim=(0, seconds), ylim=(-edge, edge))
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    axes.xaxis.set_major_locator(MaxNLocator(8))


def draw_spectrogram(axes: Axes, sound: Sound, seconds: float, title: str = "") -> None:
    """A spectrogram on these axes, with hertz on a mel scale."""
    tidy(axes, title)
    top = float(to_mel(sound.rate / 2))
    axes.imshow(log_mel(sound), origin="lower", aspect="auto", cmap=INKS, vmin=-RANGE, vmax=0,
                extent=(0, sound.seconds, 0, top), interpolation="nearest")
    pitches = [pitch for pitch in _PITCHES if pitch <= sound.rate / 2]
    axes.set(xlim=(0, seconds), ylim=(0, top))
    axes.set_yticks([float(to_mel(pitch)) for pitch in pitches], [f"{pitch:,}" for pitch in pitches])
    axes.xaxis.set_major_locator(MaxNLocator(5))


def envelope(sound: Sound, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, lowest and highest sample of so many equal pieces (or of each sample, if there are fewer)."""
    edges = np.linspace(0, len(sound.samples), min(columns, len(sound.samples)) + 1).astype(int)[:-1]
    low, high = (np.asarray(f.reduceat(sound.samples, edges)) for f in (np.minimum, np.maximum))
    if len(edges) > 1:  # each piece reaches to the next, so that a slow wave has no gaps
        low[:-1], high[:-1] = np.minimum(low[:-1], high[1:]), np.maximum(high[:-1], low[1:])
    return edges / sound.rate, low, high


def _few(audio: Any, rate: int) -> dict[str, Sound]:
    sounds = several(audio, rate)
    if len(sounds) > MOST:
        raise UserError(f"At most {MOST} sounds fit into one picture, not {len(sounds)}.")
    return sounds


def _longest(sounds: dict[str, Sound]) -> float:
    return max(sound.seconds for sound in sounds.values())


def _scale(picture: Picture, grid: list[Axes]) -> None:
    """What dark means."""
    image = next(image for axes in grid for image in axes.get_images())
    bar = picture.colorbar(image, ax=grid, pad=0.01, aspect=30, ticks=[0, -20, -40, -60])
    bar.set_label("decibels below the loudest", fontsize=SMALL, color=INK)
    bar.ax.set_yticklabels(["0", "−20", "−40", "−60"], fontsize=SMALL, color=INK)
    bar.outline.set_edgecolor(LINES)  # type: ignore[operator]


def _caption(name: str, sound: Sound, wide: float) -> str:
    return wrap(f"{name}, {sound.seconds:.2f} s" if name else f"{sound.seconds:.2f} s", wide, BODY, lines=2)


def _headed(title: str) -> str:
    return f"{title.strip().rstrip('.')}. " if title else ""


def _named(name: str) -> str:
    return f"{name}: " if name else ""


def _loud_part(sound: Sound) -> str:
    """From when to when it is loud: for those who cannot see it."""
    size = np.abs(sound.samples)
    if not size.max() > 0:
        return "silent throughout"
    loud = np.flatnonzero(size >= 0.1 * size.max())
    return f"above a tenth of that from {loud[0] / sound.rate:.2f} to {loud[-1] / sound.rate:.2f} s"


def _strongest(sound: Sound) -> str:
    """The band with the most energy, and when it is loudest."""
    levels = log_mel(sound)
    if levels.max() <= -RANGE:
        return "silent throughout"
    band, frame = np.unravel_index(int(levels.argmax()), levels.shape)
    tips = to_hertz(np.linspace(0, to_mel(sound.rate / 2), len(levels) + 2))
    return f"loudest near {round(float(tips[band + 1]), -1):,.0f} hertz at {frame * 0.01:.2f} s"
