"""VITS and SpeechT5 of transformers, tiny and with random weights: they speak through the same call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ftkit as ft
from ftkit.backbones import load_backbone
from ftkit.backbones.quiet import quiet_transformers
from ftkit.data import load_data
from ftkit.errors import DataError, UserError, WeightsError
from ftkit.training import fit, speak

LETTERS = "abcdefghijklmnopqrstuvwxyz '"


def tiny_vits(path: Path, speakers: int = 1) -> Path:
    """A VITS that reads letters, as MMS does; 16 samples to a frame."""
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    words = {"<pad>": 0, **{letter: i + 1 for i, letter in enumerate(LETTERS)}, "<unk>": len(LETTERS) + 1}
    path.mkdir(parents=True)
    (path / "vocab.json").write_text(json.dumps(words))
    config = VitsConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], duration_predictor_filter_channels=16,
        prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=2, posterior_encoder_num_wavenet_layers=2,
        duration_predictor_num_flows=2, num_speakers=speakers, speaker_embedding_size=8 if speakers > 1 else 0)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        VitsModel(config).save_pretrained(path)
        VitsTokenizer(str(path / "vocab.json"), phonemize=False).save_pretrained(path)
    return path


def test_vits_speaks(tmp_path: Path) -> None:
    model = load_backbone(tiny_vits(tmp_path / "vits"))
    assert (model.task.name, model.spec.modality, model.processor.kind) == ("text-to-speech", "voice", "vits")
    said, again, other = (speak(model, "hello there", seed=seed) for seed in (1, 1, 2))
    assert said.rate == 16_000
    assert said.samples.dtype == np.float32
    assert len(said) % 16 == 0
    assert len(said) > 0
    assert np.array_equal(said.samples, again.samples)
    assert not np.array_equal(said.samples[: len(other)], other.samples[: len(said)])
    assert "<audio" in said._repr_mimebundle_()["text/html"]
    with pytest.raises(UserError, match="no use for a vocoder"):
        speak(model, "hello", vocoder="wavenet-mini")
    with pytest.raises(UserError, match="knows 1 speaker: speaker is left out"):
        speak(model, "hello", speaker=1)
    with pytest.raises(DataError, match="knows none of the signs in '77'"):
        speak(model, "77")
    with pytest.raises(DataError, match="nothing to read"):
        speak(model, " ")


def test_vits_with_several_speakers(tmp_path: Path) -> None:
    model = load_backbone(tiny_vits(tmp_path / "vits", speakers=3))
    one, other = (speak(model, "hello", speaker=number).samples for number in (0, 2))
    assert one.shape != other.shape or not np.allclose(one, other)
    with pytest.raises(UserError, match="knows 3 speakers: speaker is a number from 0 to 2, not 3"):
        speak(model, "hello", speaker=3)
    assert model.layers.group_of("embed_speaker.weight") == "stem"


def test_vits_has_a_map_and_is_not_trained(tmp_path: Path) -> None:
    model = load_backbone(tiny_vits(tmp_path / "vits"), ft.tasks.TextToSpeech())
    assert model.layers.names == ["stem", "block 0", "block 1", "durations", "flow", "head"]
    assert sum(model.layers.sizes.values()) == model.parameters
    with pytest.raises(UserError, match="ftkit trains Tacotrons"):
        fit(model, load_data("readings", task="text-to-speech"), progress=False)
    model.save(tmp_path / "again")
    same = load_backbone(tmp_path / "again")
    assert np.array_equal(speak(model, "hello").samples, speak(same, "hello").samples)


class Letters:
    """Stands in for SpeechT5's tokenizer, whose sentencepiece model cannot be made here."""

    pad_token_id, unk_token_id, eos_token_id = 0, 1, 2

    def __call__(self, text: str, **_: Any) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor([[3 + LETTERS.index(letter) for letter in text] + [2]])}


def tiny_speecht5(path: Path) -> Path:
    from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5HifiGanConfig

    config = SpeechT5Config(
        vocab_size=40, hidden_size=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8, speaker_embedding_dim=6,
        speech_decoder_prenet_units=8, speech_decoder_postnet_units=8, speech_decoder_postnet_layers=2,
        reduction_factor=2, positional_dropout=0.0, max_text_positions=50, max_speech_positions=200)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        SpeechT5ForTextToSpeech(config).save_pretrained(path)
        SpeechT5HifiGan(SpeechT5HifiGanConfig(
            model_in_dim=8, upsample_initial_channel=8, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
            resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]])).save_pretrained(path / "hifigan")
    return path


def test_speecht5_speaks_with_a_speaker_and_a_vocoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    folder = tiny_speecht5(tmp_path / "speecht5")
    with pytest.raises(WeightsError, match="No tokenizer for"):
        load_backbone(folder)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *args, **options: Letters())
    model = load_backbone(folder)
    assert model.processor.kind == "speecht5"
    assert model.layers.names == ["stem", *(f"block {i}" for i in range(4)), "head"]
    assert model.layers.group_of("speecht5.decoder.prenet.final_layer.weight") == "block 2"
    who = np.linspace(-1, 1, 6)
    said, other = (speak(model, "hello", vocoder=folder / "hifigan", speaker=one) for one in (who, -who))
    assert len(said) > 0
    assert len(said) % 16 == 0
    assert not np.array_equal(said.samples, other.samples)
    with pytest.raises(UserError, match="needs speaker=, 6 numbers"):
        speak(model, "hello", vocoder=folder / "hifigan")
    with pytest.raises(UserError, match=r"not \(2,\)"):
        speak(model, "hello", speaker=[1, 2])
    with pytest.raises(WeightsError, match="vocoder 'nowhere' that makes sound of it cannot be loaded"):
        speak(model, "hello", vocoder="nowhere", speaker=who)
