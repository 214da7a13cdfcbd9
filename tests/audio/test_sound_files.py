"""Sounds as people have them: stereo, other rates, silent, short, long, broken; and tables that name them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from factory import tiny_speech_folder, tiny_spoken

from ftkit.backbones import load_backbone
from ftkit.backbones.sound import SoundPreprocess, read_sound
from ftkit.data import load_data
from ftkit.errors import DataError, UnknownName
from ftkit.tasks import AudioClassification
from ftkit.training import fit, predict


def tone(seconds: float, rate: int, hertz: float = 440) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_every_rate_and_format_comes_out_as_the_same_tone(tmp_path: Path, rate: int, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    soundfile.write(file, tone(1, rate), rate)
    sound = read_sound(file, 16_000)
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(16_000, rel=0.15 if suffix == ".mp3" else 0.01)  # mp3 pads with silence
    spectrum = np.abs(np.fft.rfft(sound[2000:14_000] * np.hanning(12_000)))
    assert spectrum.argmax() * 16_000 / 12_000 == pytest.approx(440, abs=3)


def test_what_lies_above_the_new_rate_is_filtered_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "high.wav", tone(1, 48_000, 11_000), 48_000)
    assert np.abs(read_sound(tmp_path / "high.wav", 16_000)[1000:-1000]).max() < 0.01, "it would be heard as 5,000 Hz"


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([tone(0.1, 16_000), np.zeros(1600, dtype=np.float32)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, 16_000, subtype="FLOAT")
    assert np.allclose(read_sound(tmp_path / "s.wav", 16_000), stereo.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("content", "message"), [
    (b"", "Cannot read the sound"), (b"not a sound", "Cannot read the sound"), (None, "has no samples")])
def test_broken_and_empty_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "x.wav"
    if content is None:
        soundfile.write(file, np.zeros(0), 16_000)
    else:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message) as got:
        SoundPreprocess().decode(file)
    assert "x.wav" in str(got.value)


def test_a_file_of_an_hour_is_refused_before_it_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(3600 * 100, dtype=np.int16), 100)
    with pytest.raises(DataError, match=r"lasts 60 minutes; ftkit reads at most 30 of one file\. Cut it"):
        read_sound(tmp_path / "long.wav", 16_000)


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((2, 100), dtype=np.float32), r"samples \(T,\), not of shape \(2, 100\). Average the channels"),
    (np.array([0.1, np.nan], dtype=np.float32), "1 of the 2 samples are no numbers"),
    (np.zeros(0, dtype=np.float32), r"not of shape \(0,\)")])
def test_arrays_that_are_no_sound(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        SoundPreprocess().decode(array)


def test_whole_numbers_are_sixteen_bit_sound() -> None:
    found = SoundPreprocess(kernels=(1,), strides=(1,)).decode(np.array([0, 16_384, -32_767], dtype=np.int16))
    assert found.tolist() == pytest.approx([0, 0.5, -1], abs=1e-3)


def test_frames_are_those_of_the_network() -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    preprocess = SoundPreprocess()
    net = Wav2Vec2Model(Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, conv_dim=[8] * 7,
                                       intermediate_size=16, num_conv_pos_embedding_groups=2))
    assert (preprocess.hop, preprocess.least) == (320, 400)
    assert preprocess.frames(preprocess.least) == 1
    assert preprocess.frames(preprocess.least - 1) == 0
    for samples in (400, 719, 720, 16_000, 12_345):
        assert preprocess.frames(samples) == int(net._get_feat_extract_output_lengths(samples))


def test_silence_and_a_click_are_classified_without_a_fuss(tmp_path: Path) -> None:
    model = load_backbone(tiny_speech_folder(tmp_path / "net"), AudioClassification(("no", "yes")))
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 16_000)
    click = np.zeros(3, dtype=np.float32)
    click[1] = 1
    found = predict(model, [tmp_path / "silence.wav", click])
    assert all(0 <= answer.probability <= 1 for answer in found)
    assert predict(model, click).label in ("no", "yes"), "an array is one sound"
    assert predict(model, str(tmp_path / "silence.wav")) == found[0]


def test_batches_are_normalised_before_they_are_padded() -> None:
    short, long = tone(0.1, 16_000) + 0.3, 0.1 * tone(0.2, 16_000)
    batch = SoundPreprocess().batch([short, long])
    assert batch["attention_mask"].sum(1).tolist() == [1600, 3200]
    assert batch["input_values"][0, 1600:].abs().max() == 0
    for row, count in zip(batch["input_values"], (1600, 3200), strict=True):
        assert row[:count].mean().item() == pytest.approx(0, abs=1e-5)
        assert row[:count].std(correction=0).item() == pytest.approx(1, abs=2e-3)


# --- tables -----------------------------------------------------------------------------------------------------------


def rewrite(folder: Path, header: list[str], rows: list[list[str]]) -> None:
    with (folder / "metadata.csv").open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    return tiny_spoken(tmp_path / "spoken", 12)


def test_by_folder_and_by_table(spoken: Path) -> None:
    data, same = load_data(spoken), load_data(spoken / "metadata.csv")
    assert data.task.name == "ctc"
    assert data.train.fingerprint() == same.train.fingerprint()
    assert [len(split) for split in (data.train, data.valid, data.test)] == [8, 2, 2]
    assert any("small letters and apostrophes" in note for note in data.report.notes)
    assert data.report.lengths["unit"] == "seconds"


def test_missing_broken_and_wordless_sounds_are_reported(spoken: Path) -> None:
    (spoken / "1.wav").write_bytes(b"")
    rows = [[f"{i}.wav", "ab"] for i in range(10)] + [["gone.wav", "a"], ["10.wav", ""], ["11.wav", "7"],
                                                     ["metadata.csv", "a"]]
    rewrite(spoken, ["file_name", "text"], rows)
    report = load_data(spoken).report
    assert {place.partition(": ")[2]: reason for place, reason in report.broken} == {
        "1.wav": "empty file", "gone.wav": "no such file", "metadata.csv": "ftkit reads .wav, .flac, .ogg, .mp3"}
    assert [reason for _, reason in report.dropped] == ["no 'text'", "no letters in its text"]
    assert sum(report.examples.values()) == 9
    assert any("1 text with figures" in warning for warning in report.warnings)


def test_other_names_of_columns_and_a_split_column(spoken: Path) -> None:
    rewrite(spoken, ["path", "Sentence", "split"],
            [[f"{i}.wav", f"{'ab'[i % 2] * (i + 1)}", ("train", "dev", "test")[i % 3]] for i in range(12)])
    data = load_data(spoken)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [4, 4, 4]
    rewrite(spoken, ["file_name", "said", "who"], [[f"{i}.wav", "ab", "xy"[i % 2]] for i in range(12)])
    with pytest.raises(DataError, match=r"has no column of texts: it has 'file_name', 'said', 'who'\. Call it 'text'"):
        load_data(spoken)
    assert load_data(spoken, text="said").task.name == "ctc"
    classes = load_data(spoken, label="who")
    assert classes.task == AudioClassification(("x", "y"))
    with pytest.raises(UnknownName, match="Did you mean 'said'"):
        load_data(spoken, text="sayd")
    with pytest.raises(DataError, match=r"task='ctc' needs a text for each sound, and spoken has classes"):
        load_data(spoken, label="who", task="ctc")
    with pytest.raises(DataError, match="task='audio-classification' needs a class for each sound"):
        load_data(spoken, text="said", task="audio-classification")


def test_tables_in_the_folders_of_splits(tmp_path: Path) -> None:
    for split, n in (("train", 8), ("valid", 3), ("test", 4)):
        tiny_spoken(tmp_path / "all" / split, n, seed=n)
    data = load_data(tmp_path / "all")
    assert [len(part) for part in (data.train, data.valid, data.test)] == [8, 3, 4]


def test_a_table_that_names_no_sounds(spoken: Path) -> None:
    rewrite(spoken, ["name", "text"], [["0.wav", "a"]])
    with pytest.raises(DataError, match="does not say which sound a row is about: it has the columns 'name', 'text'"):
        load_data(spoken)
    rewrite(spoken, ["file_name", "text"], [["nowhere.wav", "a"]] * 3)
    with pytest.raises(DataError, match=r"None of the sounds that spoken names can be used: .*no such file"):
        load_data(spoken)


def test_classes_by_folder_are_learned(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, hertz in (("low", 400), ("high", 1600)):
        (tmp_path / "tones" / label).mkdir(parents=True)
        for i in range(12):
            sound = tone(rng.uniform(0.06, 0.15), 22_050, hertz) + rng.normal(0, 0.1, 1)
            soundfile.write(tmp_path / "tones" / label / f"{i}.flac", sound, 22_050)
    data = load_data(tmp_path / "tones")
    model = load_backbone(tiny_speech_folder(tmp_path / "net"), data.task)
    history = fit(model, data, epochs=12, lr=3e-3, batch_size=6, progress=False)
    assert history.epochs[-1]["accuracy"] == 1.0
    assert predict(model, data.test.inputs[0]).label == data.test.labels[data.test.targets[0]]
