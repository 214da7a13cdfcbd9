"""Letters to numbers, sentences to batches, and networks that are saved and opened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ftkit.errors import DataError, WeightsError
from ftkit.speech.mel import MelSettings, log_mel
from ftkit.speech.pairs import SILENCE, collate, load_synthesiser, make_pair, save_synthesiser
from ftkit.speech.tacotron import Tacotron, TacotronConfig
from ftkit.speech.text import SYMBOLS, encode
from ftkit.speech.wavenet import WaveNet, WaveNetConfig

SOUND = np.random.default_rng(0).normal(0, 0.1, 4_000).astype(np.float32)


def test_letters_become_numbers_and_an_end() -> None:
    assert "".join(SYMBOLS[i] for i in encode("  Café,\nsaid “Zoë” – it’s  open!")) == "cafe, said zoe - it's open!~"
    with pytest.raises(DataError, match="cannot read 7 in 'at 7'"):
        encode("at 7")
    with pytest.raises(DataError, match="cannot read _ ~"):
        encode("a_b~")
    with pytest.raises(DataError, match="nothing to read"):
        encode(" ...!")


def test_a_pair_ends_in_silence_and_a_batch_is_filled_up() -> None:
    short, long = make_pair("a b", SOUND[:2_000]), make_pair("hello there", SOUND)
    assert torch.equal(long.mel[: -SILENCE], log_mel(SOUND))
    assert torch.allclose(long.mel[-SILENCE:], torch.tensor(np.log(0.01), dtype=torch.float32))
    batch = collate([short, long])
    assert batch["text"].shape == (2, 12)
    assert batch["text"][0].tolist() == [*encode("a b"), *[0] * 8]
    assert batch["text_lengths"].tolist() == [4, 12]
    assert batch["mel_lengths"].tolist() == [11 + SILENCE, 21 + SILENCE]
    assert torch.allclose(batch["mel"][0, 11:], torch.tensor(np.log(0.01), dtype=torch.float32))
    with pytest.raises(DataError, match="no sentences"):
        collate([])


def test_a_voice_is_saved_and_opened(tmp_path: Path) -> None:
    settings = MelSettings(fmax=7000)
    for net in (Tacotron(TacotronConfig.mini()), WaveNet(WaveNetConfig.mini())):
        save_synthesiser(net, tmp_path, settings)
        again, same = load_synthesiser(tmp_path)
        assert type(again) is type(net)
        assert again.config == net.config
        assert same == settings
        assert not again.training
        new, old = again.state_dict(), net.state_dict()
        assert all(torch.equal(new[name], old[name]) for name in old)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"No synthesiser can be opened.*config\.json"):
        load_synthesiser(tmp_path)
    save_synthesiser(WaveNet(WaveNetConfig.mini()), tmp_path, MelSettings())
    told = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(told | {"model": "Wavenet"}))
    with pytest.raises(ValueError, match="Did you mean 'WaveNet'"):
        load_synthesiser(tmp_path)
    told["config"]["residual"] = 32
    (tmp_path / "config.json").write_text(json.dumps(told))
    with pytest.raises(WeightsError, match="state_dict"):
        load_synthesiser(tmp_path)
