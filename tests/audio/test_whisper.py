"""Recognition by an encoder and a decoder that writes: a Whisper of a few thousand weights, with its real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factory import tiny_spoken

import ftkit as ft
from ftkit.backbones import Model, load_backbone
from ftkit.backbones.quiet import quiet_transformers
from ftkit.data import Data, load_data
from ftkit.errors import DataError, WeightsError
from ftkit.tasks import SpeechToText
from ftkit.training import TrainSession, evaluate, fit, predict


def tiny_whisper(path: Path) -> Path:
    """Random weights; hears one second; writes bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    special = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
    words = [*sorted(ByteLevel.alphabet()), *special]
    tokenizer = WhisperTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:], "pad_token": special[0]})
    end, start = (tokenizer.convert_tokens_to_ids(word) for word in special[:2])
    config = WhisperConfig(
        vocab_size=len(tokenizer), num_mel_bins=20, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48,
        max_source_positions=50, max_target_positions=30, pad_token_id=end, bos_token_id=end, eos_token_id=end,
        decoder_start_token_id=start, suppress_tokens=None, begin_suppress_tokens=None, init_std=0.1)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        net = WhisperForConditionalGeneration(config)
        net.generation_config.update(max_length=None, decoder_start_token_id=start, pad_token_id=end, eos_token_id=end,
                                     bos_token_id=end, suppress_tokens=None, begin_suppress_tokens=None,
                                     is_multilingual=False, no_timestamps_token_id=start + 1)
        net.save_pretrained(path)
        WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(path)
        tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper(tmp_path_factory.mktemp("whisper") / "net")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return load_data(tiny_spoken(tmp_path_factory.mktemp("spoken"), 40), task="speech-to-text")


@pytest.fixture
def model(folder: Path, spoken: Data) -> Model:
    from dataclasses import replace

    return load_backbone(folder, replace(spoken.task, max_tokens=12))


def test_its_layers_are_one_row(model: Model) -> None:
    assert model.layers.names == ["stem", "block 0", "block 1", "block 2", "block 3", "head"]
    assert {name.split(".")[1] for name in model.layers["block 1"].parameters} == {"encoder"}
    assert "model.encoder.layer_norm.weight" in model.layers["block 1"].parameters
    assert {name.split(".")[1] for name in model.layers["block 2"].parameters} == {"decoder"}
    assert "model.decoder.embed_tokens.weight" in model.layers["stem"].parameters, "also the way out: one weight"
    assert all(group.parameters for group in model.layers)


def test_the_loss_is_that_of_transformers(model: Model, spoken: Data) -> None:
    data = model.task.encode(spoken.train.inputs[:4], spoken.train.targets[:4], model.processor)
    for i in range(4):
        batch = model.task.collate(data, [i], model.processor)
        whole = model.net(input_features=batch["input_features"], labels=batch["labels"])
        assert model.task.loss(model.net, batch).total.item() == pytest.approx(whole.loss.item(), rel=1e-4)
    together = model.task.collate(data, range(4), model.processor)
    assert (together["labels"] == -100).any(), "texts of different lengths"
    each = [model.task.loss(model.net, model.task.collate(data, [i], model.processor)).total.item() for i in range(4)]
    assert model.task.loss(model.net, together).total.item() == pytest.approx(sum(each), rel=1e-4)


def test_it_learns_to_write_and_is_opened_again(model: Model, spoken: Data, tmp_path: Path) -> None:
    before = evaluate(model, spoken.test)
    history = fit(model, spoken, epochs=60, lr=3e-3, batch_size=7, progress=False, precision="fp32")
    after = evaluate(model, spoken.test)
    assert after["cer"] < 0.3 < before["cer"]
    assert history.config["strategy"].startswith("Full(")
    assert history.epochs[-1]["cer"] < history.epochs[0]["cer"]
    assert not ft.audit(model, history).warnings
    again = load_backbone(model.save(tmp_path / "mine"))
    assert again.task == model.task
    assert [answer.text for answer in predict(again, spoken.test.inputs)] == list(after.answers)


def test_frozen_layers_stay_and_no_wrong_cache_is_used(folder: Path, spoken: Data) -> None:
    def run(cache: str) -> tuple[Any, Any]:
        model = load_backbone(folder, spoken.task)
        plan = ft.strategies.Custom({"block 2": 1, "block 3": 1, "head": 1})
        history = fit(model, spoken, plan, epochs=3, lr=3e-3, batch_size=8, cache=cache, precision="fp32",
                      progress=False)
        return history, ft.audit(model, history)

    (plain, _), (cached, audit) = run("off"), run("auto")
    assert [row["loss"] for row in cached.steps] == pytest.approx([row["loss"] for row in plain.steps], rel=1e-5)
    assert not audit.warnings


def test_what_does_not_fit_is_named(folder: Path, spoken: Data, model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lasts 2 seconds .* the network hears 1 at most"):
        model.task.encode([np.zeros(32_000, dtype=np.float32)], ["a"], model.processor)
    with pytest.raises(DataError, match="A text has more than 12 tokens: 'aaaa"):
        model.task.encode(spoken.train.inputs[:1], ["a" * 20], model.processor)
    with pytest.raises(WeightsError, match=r"it is a whisper\). For recognition by it: load_data\(…, task='speech-to"):
        load_backbone(folder, load_data(tiny_spoken(tmp_path / "s", 12)).task)
    from factory import tiny_speech_folder

    with pytest.raises(WeightsError, match=r"does not write texts as Whisper does \(it is a wav2vec2\)"):
        load_backbone(tiny_speech_folder(tmp_path / "w"), SpeechToText(()))


def test_a_long_sound_is_heard_in_pieces(model: Model) -> None:
    long = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    pieces = model.task.cut([long], model.processor)[0]
    assert max(map(len, pieces)) <= 16_000
    assert predict(model, long).text == " ".join(filter(None, (one.text for one in predict(model, pieces))))


def test_batches_are_by_number_not_by_seconds(model: Model, spoken: Data) -> None:
    session = TrainSession(model, spoken, epochs=1, batch_size=9, batch_seconds=0.1)
    assert max(map(len, session._batches(0))) == 9, "each sound is padded to the same length anyway"
