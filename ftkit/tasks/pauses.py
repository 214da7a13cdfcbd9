"""Long recordings in pieces: cut where the speaker pauses, so that no word is cut in two."""

from __future__ import annotations

import numpy as np

LONGEST = 30.0  # seconds of a piece: what recognisers have heard at most when they were trained
_FRAME, _PAUSE = 0.02, 0.3  # seconds: of one measurement, and of a pause between words


def cut_at_pauses(sound: np.ndarray, rate: int, longest: float = LONGEST) -> list[np.ndarray]:
    """The sound in pieces of at most `longest` seconds, cut in the middle of the quietest third of a second.

    A cut is looked for in the last two thirds of each piece, so that no piece is short but the last one. Nothing is
    left out: the pieces, one behind the other, are the sound.

    Args:
        sound: (T,).
        rate: Samples a second.
        longest: Seconds.

    Returns:
        One piece, the sound itself, if it is no longer than that.

    Lesson 05.
    """
    most, step = int(longest * rate), max(1, int(_FRAME * rate))
    pieces = []
    while len(sound) > most:
        first = most // 3
        power = np.square(sound[first : most - (most - first) % step], dtype=np.float64).reshape(-1, step).mean(1)
        width = min(len(power), max(1, round(_PAUSE / _FRAME)))
        loudness = np.convolve(power, np.ones(width), "valid")
        at = first + (int(loudness.argmin()) + width // 2) * step
        pieces.append(sound[:at])
        sound = sound[at:]
    return [*pieces, sound]
