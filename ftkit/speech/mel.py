"""Sound as a picture: how loud each band of pitches is, frame by frame.

Both networks of this folder meet here. Tacotron draws such a picture from letters, WaveNet makes sound of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import DataError, UserError


@dataclass(frozen=True)
class MelSettings:
    """How a log-mel spectrogram is computed. The defaults are those of Tacotron 2 at 16,000 samples a second.

    Args:
        sample_rate: Samples a second.
        n_fft: Samples of one Fourier transform.
        win_length: Samples that the window lets through: 50 ms.
        hop: Samples from one frame to the next: 12.5 ms.
        n_mels: Bands.
        fmin: Lowest frequency in hertz.
        fmax: Highest frequency in hertz.
        floor: Magnitudes below it count as silence; the picture is its logarithm there.

    Raises:
        UserError: The window does not fit the transform, or the bands do not fit below half the sample rate.

    Source: Shen et al. 2018, section 2.1. Lesson 06.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    win_length: int = 800
    hop: int = 200
    n_mels: int = 80
    fmin: float = 125.0
    fmax: float = 7600.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.win_length <= self.n_fft:
            raise UserError(f"hop={self.hop}, win_length={self.win_length} and n_fft={self.n_fft} must rise in this "
                            "order.")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise UserError(f"fmin={self.fmin:g} and fmax={self.fmax:g} must rise and lie between 0 and half the "
                            f"sample rate, {self.sample_rate / 2:g}.")


def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Pitch as the ear orders it: nearly linear below 1,000 Hz, logarithmic above (O'Shaughnessy 1987)."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


def mel_to_hertz(mel: np.ndarray | float) -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    return 700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0)


@lru_cache(maxsize=8)
def filterbank(settings: MelSettings) -> Tensor:
    """(n_mels, n_fft // 2 + 1): triangles of height 1, each from the middle of one neighbour to that of the other."""
    edges = mel_to_hertz(np.linspace(hertz_to_mel(settings.fmin), hertz_to_mel(settings.fmax), settings.n_mels + 2))
    bins = np.arange(settings.n_fft // 2 + 1) * settings.sample_rate / settings.n_fft
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(min=0)
    empty = np.flatnonzero(triangles.sum(1) == 0)
    if len(empty):
        raise UserError(f"Band {empty[0]} of {settings.n_mels} lies between two frequencies of n_fft={settings.n_fft}: "
                        "take fewer bands or a larger n_fft.")
    return torch.from_numpy(triangles.astype(np.float32))


def stft(audio: Tensor, settings: MelSettings) -> Tensor:
    """Complex (..., n_fft // 2 + 1, frames) of sound (..., T); the middle of frame i is sample i * hop."""
    return torch.stft(audio, settings.n_fft, settings.hop, settings.win_length, _window(settings), center=True,
                      return_complex=True)


def istft(spectrum: Tensor, settings: MelSettings, length: int | None = None) -> Tensor:
    """Sound (..., T) of a complex spectrogram; overlapping windows are divided out."""
    return torch.istft(spectrum, settings.n_fft, settings.hop, settings.win_length, _window(settings), center=True,
                       length=length)


def log_mel(audio: np.ndarray | Tensor, settings: MelSettings | None = None) -> Tensor:
    """The natural logarithm of the magnitude in each band.

    Args:
        audio: Sound, (T,) or (B, T), in [-1, 1].
        settings: Rate, frames and bands.

    Returns:
        (frames, n_mels) or (B, frames, n_mels), where frames = 1 + T // hop.

    Raises:
        DataError: The sound is shorter than half a transform.

    Source: Shen et al. 2018, section 2.1. Lesson 06.
    """
    settings = settings or MelSettings()
    sound = torch.as_tensor(audio, dtype=torch.float32)
    if sound.shape[-1] <= settings.n_fft // 2:
        raise DataError(f"A sound of {sound.shape[-1]:,} samples is too short: {settings.n_fft // 2 + 1:,} at least.")
    magnitude = stft(sound, settings).abs()
    mel = filterbank(settings).to(sound.device) @ magnitude
    return mel.clamp(min=settings.floor).log().transpose(-1, -2)


def mel_to_linear(mel: Tensor, settings: MelSettings | None = None, iterations: int = 30) -> Tensor:
    """Magnitudes (n_fft // 2 + 1, frames) that give this log-mel picture (frames, n_mels).

    Many do. Multiplicative updates begin with a flat spectrum and find one without negative numbers, which the
    pseudo-inverse would need (Lee & Seung 2001, their rule for the squared distance). Lesson 06.
    """
    settings = settings or MelSettings()
    bank, wanted = filterbank(settings).to(mel.device), mel.transpose(-1, -2).exp()  # (mels, bins), (mels, frames)
    start = bank.T @ wanted
    found = start / (bank.sum(0)[:, None] + 1e-3)
    for _ in range(iterations):
        found = found * start / (bank.T @ (bank @ found) + 1e-8)
    return found


@lru_cache(maxsize=8)
def _window(settings: MelSettings) -> Tensor:
    return torch.hann_window(settings.win_length)
