"""Sounds as pictures: what is loud is where it should be, letters stand at their peaks, and bad input is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from viz_helpers import LONG, check_layout, said, words

from ftkit import viz
from ftkit.errors import DataError, UnknownName, UserError
from ftkit.viz.alignment import greedy
from ftkit.viz.audio import RANGE, Sound, log_mel, read, to_hertz, to_mel
from ftkit.viz.sound import envelope

RATE = 16_000
LETTERS = ["<pad>", "|", *"abcdefghijklmnopqrstuvwxyz"]


def tone(hertz: float, seconds: float = 0.5, size: float = 0.5, rate: int = RATE) -> np.ndarray:
    return (size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def spelled(text: str, every: int = 6, first: int = 3) -> np.ndarray:
    """Probabilities (frames, V) of a recogniser that writes a text, one letter in `every` frames."""
    found = np.full((first + every * len(text), len(LETTERS)), 0.02 / (len(LETTERS) - 1))
    found[:, 0] = 0.98
    for i, letter in enumerate(text):
        frame = first + every * i
        found[frame] = 0.1 / (len(LETTERS) - 1)
        found[frame, LETTERS.index("|" if letter == " " else letter)] = 0.9
        found[frame + 1] = found[frame]  # the same letter twice: counts once
        found[frame + 1, [0, LETTERS.index("|" if letter == " " else letter)]] = [0.3, 0.6]
        found[frame + 1] /= found[frame + 1].sum()
    return found / found.sum(1, keepdims=True)


# --- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_a_tone_is_in_its_band(hertz: int, rate: int) -> None:
    levels = log_mel(Sound(tone(hertz, rate=rate), rate))
    assert levels.shape == (64, 50)
    tips = to_hertz(np.linspace(0, to_mel(rate / 2), 66))[1:-1]
    assert abs(to_mel(tips[levels[:, 25].argmax()]) - to_mel(hertz)) <= to_mel(rate / 2) / 65
    assert levels.max() == 0
    assert levels.min() >= -RANGE


def test_what_comes_later_is_drawn_later_and_a_tenth_is_twenty_decibels_less() -> None:
    levels = log_mel(Sound(np.concatenate([tone(500), tone(500, size=0.05)]), RATE))
    row = levels[levels[:, 20].argmax()]
    assert row[20] - row[70] == pytest.approx(20, abs=0.2)
    assert log_mel(Sound(np.zeros(8000, np.float32), RATE)).max() == -RANGE


def test_mel_and_back() -> None:
    assert to_mel(1000) == pytest.approx(1000, abs=0.1)
    assert to_hertz(to_mel([20.0, 440.0, 8000.0])) == pytest.approx([20, 440, 8000])


def test_the_outline_of_a_wave_holds_every_sample() -> None:
    sound = Sound(np.random.default_rng(0).normal(0, 0.2, 5000).astype(np.float32), RATE)
    times, low, high = envelope(sound, 100)
    assert len(times) == 100
    assert (low.min(), high.max()) == (sound.samples.min(), sound.samples.max())
    pieces = np.array_split(sound.samples, 100)
    assert all(a <= piece.min() and piece.max() <= b for a, b, piece in zip(low, high, pieces, strict=True))
    assert np.array_equal(envelope(Sound(sound.samples[:3], RATE), 100)[0], np.arange(3) / RATE)


def test_files_keep_their_own_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.stack([tone(300, rate=44_100)] * 2, 1), 44_100)
    sound = read(tmp_path / "a.flac", 16_000)
    assert (sound.rate, len(sound.samples)) == (44_100, 22_050)
    whole = (tone(300) * 32767).astype(np.int16)
    assert read(whole).samples == pytest.approx(tone(300), abs=1e-4)
    assert read((tone(300) * 127 + 128).astype(np.uint8)).samples == pytest.approx(tone(300), abs=0.01)


# --- waveform and spectrogram -------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [viz.waveform, viz.spectrogram])
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_one_and_several_sounds(draw: Any, n: int) -> None:
    sounds = {LONG if i == 0 else f"voice {i}": tone(300 * (i + 1), 0.3 + 0.1 * i) for i in range(n)}
    picture = draw(sounds if n > 1 else next(iter(sounds.values())), title="Some voices, and a long title " * 3)
    check_layout(picture)
    drawn = said(picture)
    assert "seconds" in drawn
    assert ("hertz" if draw is viz.spectrogram else "amplitude") in drawn
    assert picture.alt.startswith("Some voices")
    if n > 1:
        assert "voice 1, 0.40 s" in drawn
        assert "voice 1: 0.40 seconds" in picture.alt
    axes = [one for one in picture.axes if one.get_xlabel() == "seconds" or one.get_images()][:n]
    assert {one.get_xlim() for one in axes} == {(0, 0.3 + 0.1 * (n - 1))}  # one scale of time for all


def test_sounds_of_different_rates_have_their_own_scale_of_pitch(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300, rate=44_100), 44_100)
    picture = viz.spectrogram({LONG: tmp_path / "a.wav", "b": tone(300), "c": tone(300)})
    check_layout(picture)
    assert picture.axes[0].get_ylim()[1] == pytest.approx(float(to_mel(22_050)))
    assert picture.axes[1].get_ylim()[1] == pytest.approx(float(to_mel(8000)))


def test_the_axis_says_hertz_where_they_are() -> None:
    picture = viz.spectrogram(tone(2000))
    axes = picture.axes[0]
    places = dict(zip([text.get_text() for text in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    assert places["2,000"] == pytest.approx(float(to_mel(2000)))
    image = axes.get_images()[0]
    row = int(np.asarray(image.get_array())[:, 25].argmax())
    assert (row + 0.5) / 64 * image.get_extent()[3] == pytest.approx(places["2,000"], abs=60)
    assert "16,000" not in places
    assert "loudest near 2,0" in picture.alt


def test_words_for_a_sound_that_one_cannot_see() -> None:
    late = np.concatenate([np.zeros(8000, np.float32), tone(500)])
    assert "above a tenth of that from 0.50 to 1.00 s" in viz.waveform(late).alt
    assert "silent throughout" in viz.waveform(np.zeros(800)).alt
    assert "silent throughout" in viz.spectrogram(np.zeros(800)).alt
    viz.spectrogram(np.zeros(1)).png()  # a single sample is no reason to fail


@pytest.mark.parametrize(("given", "kind", "words_"), [
    ({}, UserError, "no sound in the dict"),
    ({str(i): [0.1, 0.2] for i in range(7)}, UserError, "At most 6"),
    ([np.zeros(9), np.zeros(9)], UserError, "need names"),
    (np.zeros((2, 9)), UserError, r"\(T,\).*\(2, 9\).*Average"),
    (np.zeros(0), UserError, "no samples"),
    (np.array([0.1, np.nan]), UserError, "1 samples? that are no finite numbers, of 2"),
    ({"a": "none.wav"}, DataError, "no sound file none.wav"),
    (7, UserError, "is int"),
    (np.array(["a"]), UserError, "array of numbers"),
])
def test_sounds_that_cannot_be_drawn(given: Any, kind: type[Exception], words_: str) -> None:
    for draw in (viz.waveform, viz.spectrogram):
        with pytest.raises(kind, match=words_):
            draw(given)


@pytest.mark.parametrize("rate", [0, -1, 16_000.5, True, "16k"])
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(UserError, match="rate is a whole number"):
        viz.waveform(tone(300), rate=rate)


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(DataError, match=r"a\.wav"):
        viz.spectrogram(tmp_path / "a.wav")


# --- alignment ----------------------------------------------------------------------------------------------------


def test_greedy_reading_joins_repetitions_and_drops_blanks() -> None:
    found = greedy(spelled("ab ba"), LETTERS, 0)
    assert [one.letter for one in found] == ["a", "b", "|", "b", "a"]
    assert [one.frame for one in found] == [3, 9, 15, 21, 27]
    twice = spelled("aa")
    assert len(greedy(twice, LETTERS, 0)) == 2  # a blank between them: two letters
    twice[4:9] = twice[3]
    assert len(greedy(twice, LETTERS, 0)) == 1


@pytest.mark.parametrize("above", ["spectrogram", "waveform", None])
def test_letters_stand_above_their_peaks_on_the_time_of_the_sound(above: str | None) -> None:
    text = "an old man"
    known = spelled(text)
    sound = None if above is None else tone(300, len(known) * 0.02)
    picture = viz.alignment(known, LETTERS, sound, above=above or "waveform")
    check_layout(picture)
    drawn = [t for t in words(picture) if t.get_text() in {*text, "␣"} and t.get_position()[1] > 1]
    assert "".join(t.get_text() for t in drawn) == "an␣old␣man"
    for i, letter in enumerate(drawn):
        assert letter.get_position()[0] == pytest.approx((3 + 6 * i + 0.5) * 0.02)
    assert len(picture.axes) == (1 if above is None else 2)
    assert len({axes.get_xlim() for axes in picture.axes}) == 1
    lines = picture.axes[-1].get_lines()
    assert "blank" in said(picture)
    known_lines = [line for line in lines if len(line.get_xdata()) == len(known)]
    assert len(known_lines) == 1 + len(set(text))  # the blank, and each letter that is heard
    assert picture.alt == ("Alignment over 1.26 seconds. Heard: “an old man”. Letters at seconds: " + ", ".join(
        f"{'␣' if c == ' ' else c} {(3.5 + 6 * i) * 0.02:.2f}" for i, c in enumerate(text)) + ".")


def test_a_long_sound_goes_on_in_the_next_row() -> None:
    known = spelled("the quick brown fox jumps over the lazy dog and runs into the woods", every=5)
    picture = viz.alignment(known, LETTERS, tone(300, len(known) * 0.02))
    check_layout(picture)
    ranges = [axes.get_xlim() for axes in picture.axes]
    assert len(ranges) == 4
    assert ranges[0] == ranges[1]
    assert ranges[2][0] == ranges[1][1]
    assert ranges[3][1] == pytest.approx(len(known) * 0.02)


def test_fast_speech_has_letters_in_several_heights() -> None:
    check_layout(viz.alignment(spelled("people say it very fast" * 2, every=3), LETTERS))


def test_alignment_takes_tensors_a_named_blank_and_silence() -> None:
    known = torch.tensor(spelled("ab"), requires_grad=True)
    assert viz.alignment(known, LETTERS, blank="<pad>").alt == viz.alignment(known.detach(), LETTERS, blank=0).alt
    nothing = np.tile(np.eye(len(LETTERS))[0], (20, 1))
    assert viz.alignment(nothing, LETTERS).alt.endswith("No letter is heard.")


@pytest.mark.parametrize(("change", "kind", "words_"), [
    ({"probabilities": np.log(spelled("ab"))}, UserError, "Frame 0 holds no probabilities.*softmax"),
    ({"probabilities": spelled("ab")[None]}, UserError, r"shape \(frames, letters\).*Take one sound"),
    ({"probabilities": "ab"}, UserError, "array of numbers"),
    ({"probabilities": spelled("ab") * np.nan}, UserError, "no finite numbers"),
    ({"letters": LETTERS[:-1]}, UserError, "28 columns of probabilities and 27 letters"),
    ({"blank": 28}, UserError, "from 0 to 27.*not 28"),
    ({"blank": "<pod>"}, UnknownName, "Did you mean '<pad>'"),
    ({"above": "wave"}, UnknownName, "waveform"),
    ({"seconds_per_frame": 0}, UserError, "positive number"),
    ({"seconds_per_frame": 2.0}, UserError, "at most 20"),
    ({"audio": tone(300, 2.0)}, UserError, r"lasts 2\.00 seconds and the frames 0\.30"),
])
def test_alignments_that_cannot_be_drawn(change: dict[str, Any], kind: type[Exception], words_: str) -> None:
    with pytest.raises(kind, match=words_):
        viz.alignment(**{"probabilities": spelled("ab"), "letters": LETTERS, **change})


# --- attention ----------------------------------------------------------------------------------------------------


def diagonal(rows: int, frames: int) -> np.ndarray:
    weights = np.exp(-(np.arange(rows)[:, None] - np.linspace(0, rows - 1, frames)) ** 2)
    return weights / weights.sum(0)


@pytest.mark.parametrize("text", ["An old man.", "x", "a sentence of eighty characters" + "." * 49])
def test_attention_reads_along(text: str) -> None:
    picture = viz.attention(diagonal(len(text), 90), text, 0.0125, title="Tacotron")
    check_layout(picture)
    labels = [label.get_text() for label in picture.axes[0].get_yticklabels()]
    assert "".join(labels) == text.replace(" ", "␣")
    assert f"from character 1 to {len(text)}" in picture.alt
    assert f"{len(text)} of {len(text)} are the strongest" in picture.alt
    assert "in 100% of the steps" in picture.alt
    assert picture.axes[0].get_xlim()[1] == pytest.approx(90 * 0.0125)


def test_attention_that_goes_back_is_said() -> None:
    back = diagonal(5, 10)[:, ::-1]
    assert "from character 5 to 1" in viz.attention(back, "words").alt
    assert "in 56% of the steps" in viz.attention(back, "words").alt
    assert "frames of sound" in said(viz.attention(back, list("words")))


@pytest.mark.parametrize(("matrix", "text", "words_"), [
    (diagonal(5, 9), "four", "5 rows and the text 4 characters"),
    (diagonal(9, 5), "words", "transpose"),
    (diagonal(5, 9) * 3, "words", "from 0 to 1.*softmax"),
    (diagonal(81, 90), "x" * 81, "at most 80"),
    (np.zeros((2, 5, 9)), "words", r"\(characters, frames\)"),
    (np.zeros((0, 9)), "", "shape"),
])
def test_attention_that_cannot_be_drawn(matrix: Any, text: str, words_: str) -> None:
    with pytest.raises(UserError, match=words_):
        viz.attention(matrix, text)
