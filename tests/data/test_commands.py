"""The bundled sounds and the speakers that made them. No program that speaks is needed here."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from ftkit.bundle import bundled_root
from ftkit.data import Data, list_data, load_data
from ftkit.data.sounds import read_sounds
from ftkit.errors import DataError, UnknownName, UserError
from ftkit.pretraining.vary import RATE, change_voice, echo, level, noise, stretch, telephone, vary
from ftkit.pretraining.voices import VOICES, Voice, speak
from ftkit.speech.recorded import trim

WORDS = {"yes", "no", "up", "down", "left", "right", "stop", "go", "on", "off", "red", "green", "blue", "one", "two",
         "three"}
FOLDER = bundled_root() / "commands"


@pytest.fixture(scope="module")
def commands() -> Data:
    return load_data("commands")


@pytest.fixture
def tone() -> np.ndarray:
    """Half a second that swells and fades, of 200 Hz and its overtones."""
    times = np.arange(RATE // 2) / RATE
    wave = sum(np.sin(2 * np.pi * 200 * k * times) / k for k in range(1, 6))
    return (0.2 * wave * np.hanning(len(times))).astype(np.float32)


def pitch_of(audio: np.ndarray) -> float:
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(audio, 4 * RATE))
    return float(spectrum.argmax() / 4)


def test_loads_by_name(commands: Data) -> None:
    assert commands.modality == "audio"
    assert set(commands.train.labels) == WORDS
    assert commands.task.name == "audio-classification"
    sound, target = commands.test[0]
    assert sound.dtype == np.float32
    assert commands.test.labels[target] in WORDS
    assert not commands.report.leaks
    assert sum(commands.report.duplicates.values()) == 0
    row = next(row for row in list_data() if row["name"] == "commands")
    assert row["modality"] == "audio"
    assert row["examples"] == sum(map(len, (commands.train, commands.valid, commands.test)))


def test_as_many_of_every_word(commands: Data) -> None:
    for split, speakers in ((commands.train, 30), (commands.valid, 5), (commands.test, 8)):
        counts = set(split.counts().values())
        assert len(counts) == 1
        assert counts.pop() >= 2 * speakers


def test_no_speaker_in_two_splits() -> None:
    by_name = {voice.name: voice for voice in VOICES}
    persons, engines = {}, {}
    for split in ("train", "valid", "test"):
        names = set(pq.read_table(FOLDER / f"{split}.parquet", columns=["speaker"])["speaker"].to_pylist())
        assert names <= set(by_name)
        persons[split] = {by_name[name].person for name in names}
        engines[split] = {by_name[name].engine for name in names}
    assert not persons["train"] & persons["valid"]
    assert not persons["train"] & persons["test"]
    assert not persons["valid"] & persons["test"]
    assert engines["train"] == {"espeak", "flite", "festival"} == engines["test"]


def test_every_clip_is_one_second_and_neither_silent_nor_clipped(commands: Data) -> None:
    for split in (commands.train, commands.valid, commands.test):
        for sound, _ in split:
            assert sound.shape == (RATE,)
            assert np.isfinite(sound).all()
            assert level(sound) > 0.003
            assert 0.02 < np.abs(sound).max() < 1.0


def test_every_word_lies_within_its_second(commands: Data) -> None:
    """Cut off, a word would be loud in the first or last hundredth; a rare one is, in a babble."""
    sounds = np.stack(commands.train.inputs)
    loudest = np.square(sounds).reshape(len(sounds), 100, -1).mean(axis=2).max(axis=1)
    for edge in (sounds[:, :160], sounds[:, -160:]):
        cut = np.square(edge).mean(axis=1) > 0.25 * loudest
        assert cut.mean() < 0.01


def test_small_enough_to_bundle() -> None:
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) <= 8e6


def write_split(path: Path, sounds: list[bytes]) -> None:
    columns = {"audio": pa.array(sounds, pa.binary()), "label": ["yes"] * len(sounds), "speaker": ["a"] * len(sounds)}
    pq.write_table(pa.table(columns), path)


def flac(rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100), rate, format="FLAC")
    return file.getvalue()


def test_a_damaged_bundle_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.parquet of the bundled data set .* not there"):
        read_sounds(tmp_path, "commands")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match=r"train\.parquet .* is damaged"):
        read_sounds(tmp_path, "commands")
    write_split(tmp_path / "train.parquet", [flac(RATE), b"fLaC?"])
    with pytest.raises(DataError, match=r"train\.parquet row 1 is damaged"):
        read_sounds(tmp_path, "commands")
    write_split(tmp_path / "train.parquet", [flac(8000)])
    with pytest.raises(DataError, match="8,000 samples a second, not 16,000"):
        read_sounds(tmp_path, "commands")


def test_columns_cannot_be_chosen() -> None:
    with pytest.raises(DataError, match="'commands' has no columns"):
        load_data("commands", label="speaker")


def test_vary_follows_its_seed(tone: np.ndarray) -> None:
    def once(seed: int) -> np.ndarray:
        return vary(tone, np.random.default_rng(seed), others=[tone, tone[::-1]], length=RATE)

    made = [once(seed) for seed in range(40)]  # enough to meet every noise, echoes and telephones
    for seed, sound in enumerate(made):
        assert np.array_equal(sound, once(seed))
        assert sound.shape == (RATE,)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0 < np.abs(sound).max() <= 0.99
    assert not np.array_equal(made[0], made[1])


def test_vary_changes_the_length_unless_told(tone: np.ndarray) -> None:
    lengths = [len(vary(tone, np.random.default_rng(seed))) / len(tone) for seed in range(20)]
    assert 0.9 < min(lengths) < 0.97
    assert 1.03 < max(lengths) < 1.12


def test_vary_refuses_silence_and_speech_that_does_not_fit(tone: np.ndarray) -> None:
    with pytest.raises(DataError, match="silent"):
        vary(np.zeros(RATE, dtype=np.float32), np.random.default_rng(0))
    with pytest.raises(DataError, match="more than length=1,000"):
        vary(tone, np.random.default_rng(0), length=1000)


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.3])
def test_stretch_keeps_the_pitch(tone: np.ndarray, speed: float) -> None:
    changed = stretch(tone, speed)
    assert len(changed) == round(len(tone) / speed)
    assert pitch_of(changed) == pytest.approx(200, rel=0.02)
    assert level(changed) == pytest.approx(level(tone), rel=0.1)


def test_change_voice_changes_pitch_and_speed_apart(tone: np.ndarray) -> None:
    higher = change_voice(tone, 1.0, 12)
    assert pitch_of(higher) == pytest.approx(400, rel=0.02)
    assert len(higher) == pytest.approx(len(tone), rel=0.01)


@pytest.mark.parametrize("kind", ["white", "pink", "hum", "babble"])
def test_noise_has_level_one(kind: str, tone: np.ndarray) -> None:
    made = noise(kind, RATE, np.random.default_rng(0), [tone])
    assert made.shape == (RATE,)
    assert level(made) == pytest.approx(1)


def test_noises_differ_in_colour() -> None:
    def share_below(kind: str, hertz: int) -> float:
        power = np.abs(np.fft.rfft(noise(kind, RATE, np.random.default_rng(0)))) ** 2
        return float(power[:hertz].sum() / power.sum())

    assert share_below("white", 500) < 0.1 < share_below("pink", 500) < share_below("hum", 500)


def test_telephone_and_echo(tone: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    hiss = noise("white", RATE, rng)
    power = np.abs(np.fft.rfft(telephone(hiss))) ** 2
    assert power[:150].mean() < 0.01 * power[500:3000].mean()
    assert power[6000:].mean() < 0.01 * power[500:3000].mean()
    click = np.zeros(RATE)
    click[100] = 1.0
    rings = np.abs(echo(click, 0.3, rng))
    assert rings[:100].max() < 1e-9  # nothing sounds before its cause
    assert rings[100] == pytest.approx(1)
    assert rings[200:1000].max() > 10 * rings[4000:4800].max() > 0


def test_trim() -> None:
    sound = np.zeros(RATE, dtype=np.float32)
    sound[4000:8000] = 0.5
    assert len(trim(sound)) == pytest.approx(4000, abs=800)
    assert not len(trim(np.zeros(RATE, dtype=np.float32)))


def test_the_speakers() -> None:
    assert len(VOICES) >= 40
    assert len({voice.name for voice in VOICES}) == len(VOICES)
    assert Counter(voice.gender for voice in VOICES)["f"] >= 12
    espeak = [voice.person for voice in VOICES if voice.engine == "espeak"]
    assert len(set(espeak)) == len(espeak)
    by_name = {voice.name: voice for voice in VOICES}
    assert by_name["kal"].person == by_name["kal16"].person == by_name["kal-festival"].person
    assert by_name["slt"].person == by_name["slt-festival"].person != by_name["rms"].person


@pytest.mark.parametrize("engine", ["espeak", "flite", "festival"])
def test_a_missing_program_says_what_to_install(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"needs the program .*, which is not installed.*apt-get install espeak-ng"):
        speak(Voice("someone", engine, "x", 0, 1, "f"), "hello")


def fake_program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that knows two voices and otherwise does what `script` says."""
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$1" = -lv ] && echo "Voices available: tom anna" && exit\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_program_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Voice("someone", "flite", "anna", 0, 1, "f")
    fake_program(tmp_path, "flite", "echo no such voice >&2; exit 3", monkeypatch)
    with pytest.raises(UserError, match="flite failed for the voice 'someone': no such voice"):
        speak(voice, "hello")
    fake_program(tmp_path, "flite", "exit 0", monkeypatch)
    with pytest.raises(UserError, match="made no sound of 'hello'"):
        speak(voice, "hello")
    with pytest.raises(UnknownName, match=r"voice of flite 'ann'\. Did you mean 'anna'"):
        speak(replace(voice, voice="ann"), "hello")


def test_speak_trims_resamples_and_evens_out(tmp_path: Path, tone: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that always plays the tone, at 32 kHz, with silence around it."""
    padded = np.repeat(np.pad(tone, RATE), 2)
    soundfile.write(tmp_path / "tone.wav", padded, 2 * RATE)
    fake_program(tmp_path, "flite", f'for last; do :; done; cp "{tmp_path}/tone.wav" "$last"', monkeypatch)
    plain = speak(Voice("someone", "flite", "tom", 0, 1, "f"), "hello")
    assert plain.dtype == np.float32
    assert len(plain) == pytest.approx(len(tone), rel=0.15)
    assert pitch_of(plain) == pytest.approx(200, rel=0.02)
    assert level(plain) == pytest.approx(0.08, rel=0.01)
    assert pitch_of(speak(Voice("someone", "flite", "tom", 12, 1, "f"), "hello")) == pytest.approx(400, rel=0.02)
