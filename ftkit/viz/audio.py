"""What is drawn of a sound: its samples, checked, and how loud which frequency is at which time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ftkit.backbones.sound import read_sound
from ftkit.errors import DataError, UserError
from ftkit.speech.spoken import Speech

RATE = 16_000
RANGE = 70.0  # decibels from the loudest to what is drawn white
_WINDOW, _HOP = 0.025, 0.010  # seconds: of one spectrum, and from one to the next


class Sound(NamedTuple):
    """One sound.

    Args:
        samples: float32 (T,).
        rate: Samples a second.
    """

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def read(audio: Any, rate: int = RATE, name: str = "The sound") -> Sound:
    """One sound: samples at `rate`, or a file, which has a rate of its own.

    Args:
        audio: Samples (T,): floats between -1 and 1, or whole numbers of 8 to 32 bits; or the path of a file; or what
            `ft.speak` gave.
        rate: Samples a second; not looked at for a file.
        name: What error messages call it.

    Raises:
        UserError: A rate that is no positive whole number, or something that is no sound.
        DataError: A file that is missing or cannot be read.
    """
    if isinstance(audio, Sound):
        return audio
    if isinstance(audio, Speech):
        return Sound(_samples(audio.samples, name), audio.rate)
    if isinstance(rate, bool) or not isinstance(rate, (int, np.integer)) or rate <= 0:
        raise UserError(f"rate is a whole number of samples a second, such as {RATE}, not {rate!r}.")
    if isinstance(audio, (str, Path)):
        path = Path(audio)
        if not path.is_file():
            raise DataError(f"There is no sound file {path}.")
        own = _rate_of(path)
        return Sound(read_sound(path, own), own)
    if not hasattr(audio, "shape") and not isinstance(audio, (list, tuple)):
        raise UserError(f"{name} is {type(audio).__name__}: give samples as an array (T,), or the path of a file.")
    return Sound(_samples(audio, name), int(rate))


def several(sounds: Any, rate: int = RATE) -> dict[str, Sound]:
    """One sound, or several by name, as a dict by name; "" is the name of one alone."""
    if isinstance(sounds, Mapping):
        if not sounds:
            raise UserError('There is no sound in the dict: {"before": samples, "after": samples}.')
        return {str(name): read(sound, rate, f"The sound '{name}'") for name, sound in sounds.items()}
    if isinstance(sounds, (list, tuple)) and not isinstance(sounds, Sound) and sounds and not np.isscalar(sounds[0]):
        raise UserError('Several sounds need names: {"before": samples, "after": samples}.')
    return {"": read(sounds, rate)}


def log_mel(sound: Sound, bands: int = 64) -> np.ndarray:
    """How loud each band of frequencies is in each hundredth of a second.

    Args:
        sound: The sound.
        bands: Equally wide in mel, the scale of heard pitch.

    Returns:
        (bands, frames) in decibels below the loudest value: 0 and less, at least -RANGE. Low frequencies come first.

    Source: O'Shaughnessy 1987 (the mel scale); windows of 25 ms, 10 ms apart, as in speech recognition. Lesson 05.
    """
    window, hop = max(2, round(_WINDOW * sound.rate)), max(1, round(_HOP * sound.rate))
    padded = np.pad(sound.samples, (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(sound.samples) : hop]  # (frames, window)
    size = max(512, 1 << (window - 1).bit_length())
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    energy = _filters(bands, size, sound.rate) @ power.T
    most = float(energy.max(initial=0))
    if most <= 1e-12:
        return np.full(energy.shape, -RANGE)
    return np.maximum(10 * np.log10(np.maximum(energy / most, 1e-20)), -RANGE)


def to_mel(hertz: Any) -> Any:
    """Hertz to mel."""
    return 2595 * np.log10(1 + np.asarray(hertz, float) / 700)


def to_hertz(mel: Any) -> Any:
    """Mel to hertz."""
    return 700 * (10 ** (np.asarray(mel, float) / 2595) - 1)


def _filters(bands: int, size: int, rate: int) -> np.ndarray:
    """Triangles (bands, size / 2 + 1) whose tips are equally far apart in mel; each averages what lies under it."""
    tips = to_hertz(np.linspace(0, to_mel(rate / 2), bands + 2))
    bins = np.arange(size // 2 + 1) * rate / size
    up = (bins - tips[:-2, None]) / (tips[1:-1] - tips[:-2])[:, None]
    down = (tips[2:, None] - bins) / (tips[2:] - tips[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(up, down))
    nearest = np.abs(bins - tips[1:-1, None]).argmin(1)  # narrow triangles may fall between two bins
    triangles[np.arange(bands), nearest] = np.maximum(triangles[np.arange(bands), nearest], 1e-3)
    return triangles / triangles.sum(1, keepdims=True)


def _rate_of(path: Path) -> int:
    import soundfile

    try:
        return int(soundfile.info(str(path)).samplerate)
    except (soundfile.SoundFileError, OSError, TypeError):
        return RATE  # reading it says what is wrong


def _samples(audio: Any, name: str) -> np.ndarray:
    """float32 (T,), checked."""
    found = np.asarray(audio)
    if found.dtype.kind not in "iuf" or found.ndim != 1:
        raise UserError(f"{name} must be an array of numbers (T,), one channel; this has shape {found.shape} and type "
                        f"{found.dtype}." + (" Average its channels first." if found.ndim == 2 else ""))
    if not len(found):
        raise UserError(f"{name} has no samples.")
    if found.dtype.kind in "iu":  # as WAV files keep them
        half = 2.0 ** (8 * found.dtype.itemsize - 1)
        found = (found.astype(np.float64) - half * (found.dtype.kind == "u")) / half
    wrong = np.count_nonzero(~np.isfinite(found))
    if wrong:
        raise UserError(f"{name} has {wrong:,} samples that are no finite numbers, of {len(found):,}.")
    return found.astype(np.float32)
