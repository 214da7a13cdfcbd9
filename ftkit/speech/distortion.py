"""Mel-cepstral distortion: how far one reading of a sentence is from another, in decibels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import UserError
from ftkit.speech.mel import MelSettings, log_mel

COEFFICIENTS = 13
_DECIBELS = 10 / math.log(10)


def mel_cepstrum(mel: Tensor, coefficients: int = COEFFICIENTS) -> np.ndarray:
    """The shape of the spectrum in a few numbers a frame, without its loudness.

    c_d = 1/M sum_m 2 log X_m cos(pi d (m + 1/2) / M) for d = 1 ... coefficients: a cosine transform of the logarithm
    of the *power* in the M bands. c_0, the loudness, is left out.

    Args:
        mel: Log magnitudes (frames, M).
        coefficients: Kubichek's 13.

    Returns:
        (frames, coefficients).

    Lesson 06.
    """
    power = 2 * mel.double().numpy()
    bands = power.shape[-1]
    angle = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(1, coefficients + 1))
    return power @ np.cos(angle) / bands


def time_warp(distance: np.ndarray) -> list[tuple[int, int]]:
    """The path of least total distance through a table (N, K): pairs of frames that belong together.

    Dynamic time warping (Sakoe & Chiba 1978): each step goes one frame on in one reading or in both.
    """
    rows, columns = distance.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for diagonal in range(rows + columns - 1):  # cells of one diagonal do not need each other: all at once
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        k = diagonal - i
        best = np.minimum(np.minimum(total[i, k + 1], total[i + 1, k]), total[i, k])
        total[i + 1, k + 1] = distance[i, k] + best
    path, i, k = [(rows - 1, columns - 1)], rows - 1, columns - 1
    while i or k:
        steps = [(total[i, k], i - 1, k - 1), (total[i, k + 1], i - 1, k), (total[i + 1, k], i, k - 1)]
        _, i, k = min(steps)
        path.append((i, k))
    return path[::-1]


def mel_cepstral_distortion(one: Tensor | np.ndarray, other: Tensor | np.ndarray, settings: MelSettings | None = None,
                            coefficients: int = COEFFICIENTS) -> float:
    """Mean distance in decibels between two readings of one sentence, along the best alignment in time.

    10 / ln 10 * sqrt(2 * sum_d (c_d - c'_d)^2) for each pair of frames, d = 1 ... 13: the difference of the two
    spectra in decibels (root mean square over the bands), once they are smoothed and equally loud. Kubichek 1993,
    aligned by dynamic time warping, which his readings did not need.

    Args:
        one: Sound (T,), or a log-mel picture (frames, n_mels).
        other: The same of another reading; the lengths may differ.
        settings: Of the pictures, if sounds are given.
        coefficients: How many.

    Returns:
        0 for equal readings. It has no fixed scale: compare only what was measured with the same settings.

    Raises:
        UserError: The pictures have different numbers of bands.

    Lesson 06.
    """
    pictures = [torch.as_tensor(each) if each.ndim == 2 else log_mel(each, settings) for each in (one, other)]
    if pictures[0].shape[1] != pictures[1].shape[1]:
        raise UserError(f"The pictures have {pictures[0].shape[1]} and {pictures[1].shape[1]} bands: take the same "
                        "settings for both.")
    first, second = (mel_cepstrum(picture, coefficients) for picture in pictures)
    distance = _DECIBELS * np.sqrt(2 * np.square(first[:, None] - second[None]).sum(-1))
    return float(np.mean([distance[pair] for pair in time_warp(distance)]))
