"""Sound from a spectrogram without a network: find phases that fit the magnitudes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import UserError
from ftkit.speech.mel import MelSettings, istft, mel_to_linear, stft


def griffin_lim(magnitude: Tensor, settings: MelSettings | None = None, iterations: int = 60, momentum: float = 0.99,
                seed: int = 0) -> np.ndarray:
    """Sound whose spectrogram has these magnitudes, nearly.

    Frames overlap, so not every picture is that of a sound. Each round makes sound of the picture, takes the phases of
    that sound, and puts the wanted magnitudes back. The distance never grows (Griffin & Lim 1984). With momentum, the
    phases go on in the direction of the last round and come nearer in as many rounds (Perraudin et al. 2013).

    Args:
        magnitude: (n_fft // 2 + 1, frames), not negative.
        settings: Of the spectrogram.
        iterations: Rounds.
        momentum: 0 is Griffin and Lim's own method, up to 0.99.
        seed: Of the phases in the beginning.

    Returns:
        float32 (T,), where T = (frames - 1) * hop.

    Raises:
        UserError: Another shape, or momentum out of range.

    Lesson 06.
    """
    settings = settings or MelSettings()
    if magnitude.dim() != 2 or len(magnitude) != settings.n_fft // 2 + 1:
        raise UserError(f"griffin_lim needs ({settings.n_fft // 2 + 1}, frames), not {tuple(magnitude.shape)}.")
    if not 0 <= momentum < 1:
        raise UserError(f"momentum={momentum:g} must be at least 0 and below 1.")
    random = torch.Generator().manual_seed(seed)
    phase = torch.exp(2j * torch.pi * torch.rand(magnitude.shape, generator=random))
    before = torch.zeros(())
    for _ in range(iterations):
        rebuilt = stft(istft(magnitude * phase, settings), settings)
        ahead = rebuilt + momentum * (rebuilt - before)
        phase, before = ahead / ahead.abs().clamp(min=1e-12), rebuilt
    return istft(magnitude * phase, settings).numpy()


def mel_to_audio(mel: Tensor, settings: MelSettings | None = None, iterations: int = 60) -> np.ndarray:
    """Sound, float32 (T,), of a log-mel picture (frames, n_mels): the simple alternative to WaveNet. Lesson 06."""
    settings = settings or MelSettings()
    missing = settings.n_fft // 2 // settings.hop + 2 - len(mel)
    if missing > 0:  # one transform is longer than this picture: silence behind it, and the sound cut off again
        mel = torch.nn.functional.pad(mel, (0, 0, 0, missing), value=math.log(settings.floor))
    sound = griffin_lim(mel_to_linear(mel.float(), settings), settings, iterations)
    return sound[: max(1, len(mel) - 1 - missing) * settings.hop] if missing > 0 else sound
