"""Mel-cepstral distortion: values that can be worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ftkit.errors import UserError
from ftkit.speech.distortion import mel_cepstral_distortion, mel_cepstrum, time_warp

RNG = np.random.default_rng(0)
PICTURE = torch.from_numpy(RNG.normal(0, 1, (30, 80)))


def wave(number: int) -> torch.Tensor:
    return torch.from_numpy(np.cos(np.pi * number * (np.arange(80) + 0.5) / 80))


def test_equal_readings_have_no_distance() -> None:
    sound = RNG.normal(0, 0.1, 4_000)
    assert mel_cepstral_distortion(sound, sound) == 0
    assert mel_cepstral_distortion(PICTURE, PICTURE) == 0


def test_loudness_does_not_count() -> None:
    assert mel_cepstral_distortion(PICTURE, PICTURE + 0.7) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("number", [1, 13])
def test_a_ripple_has_the_distance_of_its_decibels(number: int) -> None:
    """0.1 cos in log magnitude: 0.2 in log power, so c_d differs by 0.1, and its root mean square is 0.614 dB."""
    found = mel_cepstral_distortion(PICTURE[:1], PICTURE[:1] + 0.1 * wave(number))
    assert found == pytest.approx(10 / np.log(10) * np.sqrt(2) * 0.1)
    assert found == pytest.approx(20 / np.log(10) * 0.1 / np.sqrt(2))  # of 20 log10 of the magnitudes


def test_finer_ripples_than_thirteen_are_smoothed_away() -> None:
    assert mel_cepstral_distortion(PICTURE[:1], PICTURE[:1] + 0.1 * wave(14)) == pytest.approx(0, abs=1e-9)
    assert mel_cepstrum(PICTURE).shape == (30, 13)


def test_a_slower_reading_of_the_same_has_no_distance() -> None:
    slow = PICTURE.repeat_interleave(torch.tensor([1, 3, 2] * 10), dim=0)
    assert mel_cepstral_distortion(PICTURE, slow) == 0
    assert mel_cepstral_distortion(PICTURE, PICTURE.flip(0)) > 1


def test_the_path_is_the_cheapest_of_all() -> None:
    table = RNG.random((5, 4))

    def cheapest(i: int, k: int) -> float:
        before = [cheapest(a, b) for a, b in ((i - 1, k), (i, k - 1), (i - 1, k - 1)) if a >= 0 and b >= 0]
        return table[i, k] + min(before, default=0.0)

    path = time_warp(table)
    assert path[0] == (0, 0)
    assert path[-1] == (4, 3)
    assert all((b[0] - a[0], b[1] - a[1]) in {(0, 1), (1, 0), (1, 1)} for a, b in pairwise(path))
    assert sum(table[pair] for pair in path) == pytest.approx(cheapest(4, 3))


def test_pictures_of_other_settings_are_refused() -> None:
    with pytest.raises(UserError, match="80 and 40 bands"):
        mel_cepstral_distortion(PICTURE, PICTURE[:, :40])
