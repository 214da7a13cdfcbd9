"""Recordings made alike: without silence at both ends, and equally loud. What every reading here is learnt from."""

from __future__ import annotations

import numpy as np

from ftkit.errors import DataError

LOUDNESS = 0.08  # root mean square of every reading, so that no voice gives itself away by being loud


def level(audio: np.ndarray) -> float:
    """Root mean square: 0 is silence, 0.1 is ordinary speech."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0


def trim(audio: np.ndarray, rate: int = 16_000, below: float = 40.0) -> np.ndarray:
    """Without beginning and end as far as they lie `below` decibels under the loudest 10 ms; 20 ms of them stay."""
    step = rate // 100
    frames = np.pad(audio, (0, -len(audio) % step)).reshape(-1, step)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    loud = np.flatnonzero(power > max(power.max(initial=0), 1e-10) * 10 ** (-below / 10))
    return audio[max(0, loud[0] - 2) * step : (loud[-1] + 3) * step] if len(loud) else audio[:0]


def evened(audio: np.ndarray, rate: int = 16_000) -> np.ndarray:
    """Trimmed and brought to `LOUDNESS`, or to less where a peak would be cut off.

    Raises:
        DataError: It is silent.

    Lesson 06.
    """
    audio = trim(np.asarray(audio, dtype=np.float32), rate)
    if level(audio) < 1e-5:
        raise DataError("The recording is silent: is the microphone switched on?")
    audio = audio * np.float32(LOUDNESS / level(audio))
    return audio * np.float32(min(1.0, 0.99 / np.abs(audio).max()))
