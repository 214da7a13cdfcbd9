"""One recording to many: other speeds, pitches and rooms, a telephone, noise.

A network that hears every word from the same clean studio learns the studio too. What is varied here are the things
that should *not* change what was said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

from ftkit.errors import DataError
from ftkit.speech.recorded import level

RATE = 16000
NOISES = ("white", "pink", "hum", "babble")


def vary(
    audio: np.ndarray,
    rng: np.random.Generator,
    *,
    others: Sequence[np.ndarray] = (),
    length: int | None = None,
    snr: tuple[float, float] = (8.0, 40.0),
    rate: int = RATE,
) -> np.ndarray:
    """The same words at another speed, pitch and loudness, with background noise, perhaps an echo or a telephone.

    Args:
        audio: Speech, float32 (samples,).
        rng: Everything random comes from it: equal generators give equal results.
        others: Other recordings; four of them at a time make a babble of voices. Without them there is no babble.
        length: Samples of the result; the speech begins at a random place. None: as long as the speech.
        snr: From the loudest to the faintest noise: how far it lies below the speech, in decibels.
        rate: Samples a second.

    Returns:
        float32 (samples,), no sample beyond 0.99.

    Raises:
        DataError: The speech is silent, or longer than `length`.

    Source: Ko et al. 2015 (speed), 2017 (rooms and noise).
    """
    speech = change_voice(audio, rng.uniform(0.9, 1.1), rng.uniform(-1.5, 1.5), rate)
    loudness = level(speech)
    if not loudness:
        raise DataError("vary: the recording is silent.")
    if length is not None:
        speech = _placed(speech, length, rng)
    if rng.random() < 0.3:
        speech = echo(speech, rng.uniform(0.1, 0.4), rng, rate)
    background = noise(str(rng.choice(NOISES if others else NOISES[:-1])), len(speech), rng, others, rate)
    speech = speech + background * (loudness * 10 ** (-rng.uniform(*snr) / 20))
    if rng.random() < 0.15:
        speech = telephone(speech, rate)
    speech = speech * 10 ** (rng.uniform(-10, 0) / 20)
    return (speech * min(1.0, 0.99 / np.abs(speech).max())).astype(np.float32)


def change_voice(audio: np.ndarray, speed: float, semitones: float, rate: int = RATE) -> np.ndarray:
    """Faster by `speed` and higher by `semitones`. The vocal tract shrinks with the pitch, as in a smaller person."""
    ratio = 2 ** (semitones / 12)
    return resample(stretch(audio, speed / ratio, rate), 1 / ratio)


def resample(audio: np.ndarray, factor: float) -> np.ndarray:
    """`factor` times as many samples, within a third of a per cent."""
    near = Fraction(factor).limit_denominator(150)
    return resample_poly(audio, near.numerator, near.denominator).astype(np.float32)


def stretch(audio: np.ndarray, speed: float, rate: int = RATE) -> np.ndarray:
    """Faster by `speed` at the same pitch.

    Pieces of 40 ms, half over half, are laid down closer together or further apart. Each may move by 8 ms, to where it
    best goes on from the piece before: this keeps the waves in step (WSOLA, Verhelst & Roelands 1993).
    """
    hop, reach = round(0.02 * rate), round(0.008 * rate)
    size = 2 * hop
    window = np.hanning(size + 1)[:-1]  # one half and the next add up to 1
    padded = np.pad(np.asarray(audio, dtype=np.float64), (hop + reach, 5 * size))
    length = round(len(audio) / speed)
    pieces = math.ceil(length / hop) + 1
    result, last = np.zeros((pieces + 1) * hop), 0
    for k in range(pieces):
        start = reach + round(k * hop * speed)
        if k:
            goes_on = padded[last + hop : last + hop + size]
            start += int(np.correlate(padded[start - reach : start + reach + size], goes_on, "valid").argmax()) - reach
        result[k * hop : k * hop + size] += window * padded[start : start + size]
        last = start
    return result[hop : hop + length].astype(np.float32)


def echo(audio: np.ndarray, seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """In a room whose sound falls by 60 dB within `seconds`: noise that dies away stands for all reflections."""
    times = np.arange(round(seconds * rate)) / rate
    room = rng.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    room *= rng.uniform(0.2, 0.7) / np.linalg.norm(room)
    room[0] = 1.0  # the direct way
    return fftconvolve(audio, room)[: len(audio)]


def telephone(audio: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Only 300 to 3,400 Hz, what a telephone line lets through."""
    return sosfilt(butter(4, (300, 3400), "bandpass", fs=rate, output="sos"), audio)


def noise(
    kind: str, length: int, rng: np.random.Generator, others: Sequence[np.ndarray] = (), rate: int = RATE
) -> np.ndarray:
    """Noise of level 1, (length,).

    Args:
        kind: "white" (every frequency alike, a hiss), "pink" (deeper, as wind or traffic), "hum" (the mains) or
            "babble" (four of `others` at once).
        length: Samples.
        rng: Source of randomness.
        others: Recordings for the babble.
        rate: Samples a second.
    """
    if kind == "babble":
        made = sum(np.roll(np.resize(others[i], length), rng.integers(length))
                   for i in rng.integers(len(others), size=4))
    elif kind == "hum":
        times, mains = np.arange(length) / rate, rng.choice([50, 60])
        made = sum(rng.uniform(0.2, 1) / k * np.sin(2 * np.pi * (mains * k * times + rng.random()))
                   for k in range(1, 8))
    else:
        made = rng.standard_normal(length)
    if kind == "pink":  # half the power at twice the frequency
        spectrum = np.fft.rfft(made) / np.sqrt(np.maximum(np.fft.rfftfreq(length, 1 / rate), 20))
        made = np.fft.irfft(spectrum, length)
    return np.asarray(made) / max(level(np.asarray(made)), 1e-9)


def _placed(audio: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    if len(audio) > length:
        raise DataError(f"vary: the speech has {len(audio):,} samples, more than length={length:,}.")
    room = length - len(audio)
    margin = min(room // 2, length // 40)  # no word begins in the very first sample, if it can be helped
    start = int(rng.integers(margin, room - margin + 1))
    return np.pad(audio, (start, room - start))
