"""The speech recipes, made tiny: they train, are resumed exactly, and what they write opens again and speaks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from ftkit.errors import DataError
from ftkit.pretraining import tacotron_mini, wavenet_mini
from ftkit.pretraining.__main__ import make, recipe_class
from ftkit.pretraining.loop import Run
from ftkit.pretraining.tacotron_mini import TacotronMini, choose_phrases, of_like_length, voice_called
from ftkit.pretraining.voices import split_of
from ftkit.pretraining.wavenet_mini import WaveNetMini, make_sounds, stretches
from ftkit.speech.mel import MelSettings, log_mel
from ftkit.speech.pairs import Pair, load_synthesiser
from ftkit.speech.text import encode
from ftkit.speech.wavenet import WaveNet, WaveNetConfig

LINES = [f"The old fox {verb} over the {colour} hill, and nine {colour} boats {verb} home; it was 1847."
         for verb in ("ran", "crept", "looked", "hopped") for colour in ("red", "blue", "grey", "green")]


def hum(_: Any, text: str) -> np.ndarray:
    """A voice that hums the longer the more letters there are."""
    return (0.1 * np.sin(np.arange(80 * len(text)) / 20)).astype(np.float32)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sentences and ten clips of noise; the voice only hums."""
    (tmp_path / "ljspeech-transcripts.txt").write_text("\n".join(LINES))
    rng, rows = np.random.default_rng(0), []
    for _ in range(10):
        file = io.BytesIO()
        soundfile.write(file, rng.normal(0, 0.1, 8_000).astype(np.float32), 16_000, format="FLAC")
        rows.append(file.getvalue())
    pq.write_table(pa.table({"audio": rows, "text": ["noise"] * 10}), tmp_path / "ljspeech-42min.parquet")
    monkeypatch.setattr(tacotron_mini, "speak", hum)
    monkeypatch.setattr(tacotron_mini, "PHRASES", 14)
    monkeypatch.setattr(tacotron_mini, "HELD_OUT", 2)
    monkeypatch.setattr(wavenet_mini, "PHRASES", 10)
    monkeypatch.setattr(wavenet_mini, "HELD_OUT", 2)
    monkeypatch.setattr(TacotronMini, "batch_frames", 200)
    monkeypatch.setattr(WaveNetMini, "batch_size", 2)
    monkeypatch.setattr(WaveNetMini, "frames", 6)
    return tmp_path


@pytest.mark.parametrize(("name", "score"), [("tacotron-mini", "stopped"), ("wavenet-mini", "real bits")])
def test_a_recipe_writes_a_synthesiser_that_opens(corpus: Path, name: str, score: str) -> None:
    assert make(name, corpus, corpus / "out", steps=2, bar=False)
    card = (corpus / "out" / "README.md").read_text()
    assert score in card
    assert "distortion dB" in card
    assert (corpus / "out" / "model.safetensors").stat().st_size < 12e6
    state = load_file(corpus / "out" / "model.safetensors")
    net, settings = load_synthesiser(corpus / "out")
    assert settings == MelSettings()
    assert {tensor.dtype for name, tensor in state.items() if tensor.dim() > 1} == {torch.float16}
    if name == "tacotron-mini":
        assert net.generate(torch.tensor(encode("hello")), max_frames=30, threshold=0).mel.shape == (3, 80)
        with np.load(corpus / "out" / "attention.npz") as kept:
            assert kept["steps"].tolist() == [0, 1]
            assert kept["weights"].shape[0::2] == (2, len(encode(str(kept["text"]))))
            assert kept["weights"].sum(-1, dtype=float) == pytest.approx(255, abs=len(encode(str(kept["text"]))) / 2)
    else:
        assert np.isfinite(net.generate(torch.zeros(2, 80))).all()


@pytest.mark.parametrize("name", ["tacotron-mini", "wavenet-mini"])
def test_a_run_in_parts_gives_the_weights_of_a_run_in_one(corpus: Path, name: str) -> None:
    ends = []
    for minutes, folder in ((None, "whole"), (0.0, "in parts")):
        (corpus / folder).mkdir()
        for _ in range(4):
            recipe = recipe_class(name)(corpus, seed=3, steps=3)
            recipe.bar = False
            recipe.prepare(corpus)
            run = Run(recipe, corpus / folder)
            if run.train(minutes):
                break
        assert run.step == 3
        ends.append((run.net.state_dict(), [{**row, "seconds": 0, "loss": 0} for row in run.rows]))
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0].values(), ends[1][0].values(), strict=True))
    assert ends[0][1] == ends[1][1]


def test_phrases_are_short_different_and_can_be_read(corpus: Path) -> None:
    phrases = choose_phrases(corpus / "ljspeech-transcripts.txt", 100, np.random.default_rng(0))
    assert len(phrases) == len(set(phrases)) == 32  # the third phrase of each line has digits
    assert all(10 <= len(phrase) <= 60 for phrase in phrases)
    assert "The old fox ran over the red hill," in phrases
    assert phrases == choose_phrases(corpus / "ljspeech-transcripts.txt", 100, np.random.default_rng(0))
    with pytest.raises(DataError, match="There is no"):
        choose_phrases(corpus / "nothing.txt", 1, np.random.default_rng(0))


def test_the_reader_is_a_voice_to_train_on() -> None:
    assert split_of(voice_called(tacotron_mini.READER)) == "train"


def test_a_batch_is_of_like_length() -> None:
    pool = [Pair(torch.ones(5), torch.zeros(50 + i // 20, 80)) for i in range(2_000)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        batch = of_like_length(pool, 3_000, rng)
        lengths = [len(pair.mel) for pair in batch]
        assert 1_900 < sum(lengths) < 3_500
        assert len({id(pair) for pair in batch}) == len(batch)
        assert max(lengths) - min(lengths) <= 17


def test_a_stretch_of_sound_has_its_own_picture() -> None:
    net, settings = WaveNet(WaveNetConfig.mini()), MelSettings()
    sound = np.random.default_rng(0).normal(0, 0.08, 20_050)
    sounds = make_sounds([sound, sound[:900], np.zeros(20_000)], net, settings, frames=6)
    assert len(sounds) == 1  # one is too short, one is silent
    levels, mel = stretches([sounds, sounds], 6, 200, np.random.default_rng(1))
    assert levels.shape == (2, 1200)
    assert mel.shape == (2, 7, 80)
    whole = sounds[0][0].long()
    start = next(i for i in range(0, 20_000, 200) if torch.equal(whole[i : i + 1200], levels[0]))
    assert torch.equal(mel[0], sounds[0][1][start // 200 : start // 200 + 7])
    again = log_mel(net.to_audio(whole.numpy()), settings)  # the picture is that of the sound of these levels
    assert (again - sounds[0][1]).abs().mean() < 0.1
