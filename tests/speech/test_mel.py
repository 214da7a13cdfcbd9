"""Log-mel pictures against the formulas, and the way back to sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ftkit.errors import DataError, UserError
from ftkit.speech.griffin_lim import griffin_lim, mel_to_audio
from ftkit.speech.mel import MelSettings, filterbank, hertz_to_mel, istft, log_mel, mel_to_hertz, mel_to_linear, stft

SETTINGS = MelSettings()


def vowel(seconds: float = 0.6) -> np.ndarray:
    """A gliding pitch with two formants: harmonic, as a voice is."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    pitch = 120 + 40 * np.sin(2 * np.pi * 1.5 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    pitches = 120 * np.arange(1, 30)
    loud = np.exp(-(((pitches - 600) / 300) ** 2)) + 0.5 * np.exp(-(((pitches - 1800) / 500) ** 2))
    return (0.1 * sum(a * np.sin(k * phase) for k, a in enumerate(loud, 1))).astype(np.float32)


def test_the_picture_is_what_the_formula_says() -> None:
    """One frame by NumPy alone: window, transform, triangles, logarithm."""
    sound = np.random.default_rng(0).normal(0, 0.1, 3_000)
    mel = log_mel(sound.astype(np.float32))
    assert mel.shape == (1 + 3_000 // 200, 80)
    window = np.zeros(1024)
    window[112:912] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
    piece = sound[5 * 200 - 512 : 5 * 200 + 512]  # frame 5 lies around sample 1,000
    magnitude = np.abs(np.fft.rfft(piece * window))
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 125 / 700), 2595 * np.log10(1 + 7600 / 700), 82) / 2595) - 1)
    for band in (0, 17, 79):
        low, middle, high = edges[band : band + 3]
        total = 0.0
        for i, value in enumerate(magnitude):
            hertz = i * 16_000 / 1024
            if low < hertz < high:
                rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
                total += value * (rising if hertz < middle else falling)
        assert mel[5, band].item() == pytest.approx(np.log(total), abs=1e-4)


def test_a_tone_lights_the_band_of_its_pitch() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(8_000) / 16_000)
    band = log_mel(tone)[10].argmax().item()
    middles = mel_to_hertz(np.linspace(hertz_to_mel(125), hertz_to_mel(7600), 82))[1:-1]
    assert abs(middles[band] - 1000) < 50
    assert hertz_to_mel(1000) == pytest.approx(1000, abs=0.1)  # the scale is made so


def test_silence_is_the_floor_and_a_batch_is_its_parts() -> None:
    assert torch.allclose(log_mel(np.zeros(1_000)), torch.tensor(np.log(0.01), dtype=torch.float32))
    both = torch.from_numpy(np.stack([vowel(0.1), -0.3 * vowel(0.1)]))
    assert torch.allclose(log_mel(both)[1], log_mel(both[1]), atol=1e-5)


def test_every_triangle_is_there_and_neighbours_share_their_slope() -> None:
    bank = filterbank(SETTINGS)
    assert bank.shape == (80, 513)
    assert (bank.max(1).values > 0.5).all()
    inside = bank.sum(0)[20:470]  # between the first and the last middle, two triangles add up to 1
    assert torch.allclose(inside, torch.ones_like(inside), atol=1e-5)
    with pytest.raises(UserError, match="fewer bands"):
        filterbank(MelSettings(n_mels=400))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="win_length=2000"):
        MelSettings(win_length=2000)
    with pytest.raises(UserError, match="half the sample rate, 8000"):
        MelSettings(fmax=9000)
    with pytest.raises(DataError, match="512 samples is too short: 513"):
        log_mel(np.zeros(512))


def test_the_transform_and_its_inverse_give_the_sound_back() -> None:
    sound = torch.from_numpy(vowel()[:9_600])
    assert torch.allclose(istft(stft(sound, SETTINGS), SETTINGS, 9_600), sound, atol=1e-5)


def test_bands_become_a_spectrum_that_gives_these_bands() -> None:
    mel = log_mel(vowel())
    linear = mel_to_linear(mel)
    assert linear.shape == (513, len(mel))
    assert (linear >= 0).all()
    again = (filterbank(SETTINGS) @ linear).clamp(min=0.01).log().T
    flat = filterbank(SETTINGS).T @ mel.T.exp()
    flat_again = (filterbank(SETTINGS) @ flat).clamp(min=0.01).log().T
    assert (again - mel).abs().mean() < 0.1 < (flat_again - mel).abs().mean()


def test_griffin_lim_finds_phases_that_fit() -> None:
    sound = torch.from_numpy(vowel()[:9_600])
    magnitude = stft(sound, SETTINGS).abs()

    def misfit(iterations: int, momentum: float) -> float:
        made = torch.from_numpy(griffin_lim(magnitude, SETTINGS, iterations, momentum))
        assert len(made) == 9_600
        return float((stft(made, SETTINGS).abs() - magnitude).norm() / magnitude.norm())

    random, plain, fast = misfit(0, 0.0), misfit(30, 0.0), misfit(30, 0.99)
    assert fast < plain < random / 2
    assert fast < 0.15


def test_griffin_lim_follows_its_seed() -> None:
    magnitude = stft(torch.from_numpy(vowel(0.2)), SETTINGS).abs()
    one, same, other = (griffin_lim(magnitude, SETTINGS, 3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3)


def test_a_picture_becomes_sound_with_that_picture() -> None:
    mel = log_mel(vowel())
    again = log_mel(mel_to_audio(mel))
    assert again.shape == mel.shape
    inside = mel > np.log(0.05)  # what is heard
    assert (again - mel)[inside].abs().mean() < 0.35
    assert (again.flip(0) - mel)[inside].abs().mean() > 0.5


def test_griffin_lim_says_what_it_needs() -> None:
    with pytest.raises(UserError, match=r"needs \(513, frames\), not \(80, 10\)"):
        griffin_lim(torch.rand(80, 10))
    with pytest.raises(UserError, match="momentum=1 "):
        griffin_lim(torch.rand(513, 10), momentum=1.0)


@pytest.mark.parametrize(("frames", "samples"), [(1, 200), (2, 200), (3, 400), (5, 800)])
def test_a_picture_shorter_than_one_transform_still_sounds(frames: int, samples: int) -> None:
    sound = mel_to_audio(log_mel(vowel(0.2))[5 : 5 + frames], SETTINGS, iterations=4)
    assert sound.shape == (samples,)
    assert np.abs(sound).max() > 0.01
