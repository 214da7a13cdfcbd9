"""Synthesis as a task: roles of text and sound, loss, scores, freezing, saving, and speaking."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from factory import tiny_speech_folder, tiny_spoken, tiny_voice_folder, write_csv

import ftkit as ft
from ftkit.backbones import Model, load_backbone
from ftkit.data import Data, load_data
from ftkit.errors import DataError, UserError, WeightsError
from ftkit.speech.distortion import mel_cepstral_distortion
from ftkit.speech.mel import MelSettings
from ftkit.speech.pairs import save_synthesiser
from ftkit.speech.spoken import Speech
from ftkit.speech.tacotron import tacotron_loss
from ftkit.speech.wavenet import WaveNet, WaveNetConfig
from ftkit.tasks import TextToSpeech
from ftkit.training import TrainSession, evaluate, fit, predict, speak

pytestmark = pytest.mark.filterwarnings("ignore:The voice did not find the end")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return load_data(tiny_spoken(tmp_path_factory.mktemp("spoken"), 30), task="text-to-speech")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voice_folder(tmp_path_factory.mktemp("voice"))


@pytest.fixture
def model(spoken: Data, folder: Path) -> Model:
    return load_backbone(folder, spoken.task)


# --- data ---------------------------------------------------------------------------------------------------------


def test_texts_are_inputs_and_sounds_are_targets(spoken: Data) -> None:
    assert isinstance(spoken.task, TextToSpeech)
    assert all(isinstance(text, str) for text in spoken.train.inputs)
    assert all(isinstance(sound, Path) for sound in spoken.train.targets)
    by_name = dict(zip(spoken.train.targets, spoken.train.inputs, strict=True))
    again = load_data(spoken.train.targets[0].parent)
    assert by_name == dict(again.train)
    assert list(spoken.train[:2].frame()) == ["input", "sound"]
    assert spoken.train.fingerprint() != replace(spoken.train, targets=spoken.train.targets[::-1]).fingerprint()
    assert len(spoken.train.take(3)) == 3


def test_texts_that_cannot_be_read_are_dropped_and_named(tmp_path: Path) -> None:
    tiny_spoken(tmp_path, 12)
    rows = [(f"{i}.wav", "at 7 o'clock" if i == 3 else "ab" if i < 6 else f"{'abcdef'[i % 6]}a") for i in range(12)]
    write_csv(tmp_path / "metadata.csv", rows, ("file_name", "text"))
    data = load_data(tmp_path, task="text-to-speech")
    assert sum(data.report.examples.values()) == 11
    assert any("cannot read 7" in reason for _, reason in data.report.dropped)
    assert any("cannot be read aloud" in line for line in data.report.warnings)
    assert any("measures memory" in line for line in data.report.warnings)  # "ab" stands in all splits
    write_csv(tmp_path / "metadata.csv", [(f"{i}.wav", str(i)) for i in range(12)], ("file_name", "text"))
    with pytest.raises(DataError, match="No text can be read aloud"):
        load_data(tmp_path, task="text-to-speech")


def test_the_bundled_readings_can_be_spoken() -> None:
    data = load_data("readings", task="text-to-speech")
    assert (len(data.train), len(data.valid), len(data.test)) == (150, 30, 60)
    assert isinstance(data.test.inputs[0], str)
    assert data.test.targets[0].dtype == np.float32


# --- the task -----------------------------------------------------------------------------------------------------


def encoded(model: Model, data: Data, n: int = 5) -> Any:
    some = data.train[:n]
    return model.task.encode(some.inputs, some.targets, model.processor)


def test_contract(model: Model, spoken: Data) -> None:
    held = encoded(model, spoken)
    assert len(held) == len(held.lengths) == 5
    assert held.per_second == 80
    batch = model.task.collate(held, [3, 1], model.processor)
    assert batch["labels"].shape == (2, batch["mel_lengths"].max(), 20)
    assert {len(tensor) for tensor in batch.values()} == {2}
    sums = model.task.loss(model.net, batch)
    assert sums.n == batch["mel_lengths"].sum()
    drawn = model.task.forward(model.net, batch)
    parts = tacotron_loss(drawn, batch["labels"], batch["mel_lengths"], batch["text_lengths"], silence=4)
    assert set(parts) == {"mel", "stop"}, "no guide, unless it is asked for"
    assert (sums.total / sums.n).item() == pytest.approx(sum(parts.values()).item(), rel=1e-5)
    assert sums.total.requires_grad
    alone = [model.task.collate(held, [i], model.processor) for i in (3, 1)]
    each = [model.task.loss(model.net, one) for one in alone]
    assert model.task.losses(drawn, batch)[0].item() == pytest.approx((each[0].total / each[0].n).item(), rel=0.2)
    guided = replace(model.task, guide=5.0).loss(model.net, batch).total
    assert guided > sums.total
    assert model.task.encode(["a"], [model.task.blank()], model.processor).lengths[0] > 6


def test_evaluation_does_not_depend_on_chance_or_on_the_batch(model: Model, spoken: Data) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = evaluate(model, spoken.test)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    other = evaluate(model, spoken.test, batch_size=1)
    assert one["distortion"] == pytest.approx(other["distortion"], rel=1e-3)
    assert evaluate(model, spoken.test).losses.tolist() == one.losses.tolist()
    assert set(one) == {"distortion", "stopped", "loss"}
    held = model.task.encode(spoken.test.inputs, spoken.test.targets, model.processor)
    by_hand = [mel_cepstral_distortion(said.mel, true) for said, true in zip(one.answers, held.targets, strict=True)]
    assert one["distortion"] == pytest.approx(np.mean(by_hand))
    assert one["stopped"] == np.mean([answer.stopped for answer in one.answers])


@pytest.mark.parametrize(("text", "words"), [("at 7", "cannot read 7"), ("", "nothing to read"), ("?!", "nothing to"),
                                             ("a" * 161, "161 letters"), (7, "reads texts, not int")])
def test_what_cannot_be_read_is_refused(model: Model, text: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        speak(model, [text])


def test_recordings_that_cannot_be_learnt_from_are_refused(model: Model) -> None:
    with pytest.raises(DataError, match="lasts 16 seconds"):
        model.task.encode(["hello"], [np.ones(16 * 16_000, dtype=np.float32)], model.processor)
    with pytest.raises(DataError, match="silent"):
        model.task.encode(["hello"], [np.zeros(16_000, dtype=np.float32)], model.processor)


def test_recordings_are_made_alike(model: Model) -> None:
    sound = np.sin(np.arange(8_000) / 5).astype(np.float32)
    padded = np.concatenate([np.zeros(4_000, np.float32), 0.1 * sound, np.zeros(6_400, np.float32)])
    assert torch.allclose(model.processor.picture(sound)[5:30], model.processor.picture(padded)[7:32], atol=0.2)


# --- training -----------------------------------------------------------------------------------------------------


def test_it_learns_and_only_what_the_plan_says_moves(model: Model, spoken: Data) -> None:
    plan = ft.strategies.Custom({"block 3": 1.0, "head": 1.0})
    history = fit(model, spoken, plan, epochs=6, lr=2e-2, progress=False, batch_seconds=2)
    assert history.epochs[-1]["train_loss"] < 0.6 * history.epochs[0]["train_loss"]
    assert {"distortion", "stopped", "valid_loss"} <= set(history.epochs[0])
    best = min(range(6), key=lambda i: history.epochs[i]["distortion"])
    assert history.best_epoch == best, "the least distortion makes an epoch the best"
    moved = {row["group"]: row["moved"] for row in ft.audit(model, history).rows}
    assert {name for name, count in moved.items() if count} == {"block 3", "head"}
    assert any("feature cache off" in event["note"] for event in history.events)
    assert history.config["batch_seconds"] == 2


def test_it_computes_in_32_bits_whatever_the_machine_has(model: Model, spoken: Data,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.training.precision.cpu_has_bf16", lambda: True)
    few = replace(spoken, train=spoken.train[:4], valid=spoken.valid[:2])
    history = fit(model, few, epochs=1, progress=False)
    assert history.config["precision"] == "fp32"
    assert "accuracy" not in ft.viz.curves(history).alt
    assert evaluate(model, few.valid)["loss"] > 0
    for ask in (lambda: fit(model, few, precision="bf16", progress=False),
                lambda: evaluate(model, few.valid, precision="bf16")):
        with pytest.raises(UserError, match="computes in fp32"):
            ask()


def test_a_run_in_parts_ends_as_a_run_in_one(folder: Path, spoken: Data, tmp_path: Path) -> None:
    ends = []
    for parts in (1, 2):
        one = load_backbone(folder, spoken.task)
        session = TrainSession(one, spoken, epochs=2, lr=1e-3, batch_seconds=1)
        if parts == 2:
            session.run(3)
            session.save(tmp_path / "half")
            one = load_backbone(folder, spoken.task)
            session = TrainSession(one, spoken, epochs=2, lr=1e-3, batch_seconds=1).resume(tmp_path / "half")
        session.run()
        ends.append(one.net.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ends[0].values(), ends[1].values(), strict=True))


def test_a_voice_has_a_map_and_a_cost(model: Model, spoken: Data) -> None:
    assert model.layers.names == ["stem", "block 0", "block 1", "block 2", "block 3", "head"]
    full, last = (ft.report.cost(model, spoken.train, plan, batch_size=2) for plan in ("full", "last_k:k=1"))
    assert full.trainable > last.trainable > 0
    assert full.backward_flops > last.backward_flops
    assert "block 3" in ft.viz.freeze_map(model, "last_k:k=1", epochs=2).alt
    with pytest.raises(UserError, match="augment=True is for"):
        fit(model, spoken, augment=True, progress=False)


# --- saving and opening -------------------------------------------------------------------------------------------


def test_a_voice_is_saved_and_opened(model: Model, spoken: Data, tmp_path: Path) -> None:
    fit(model, spoken, epochs=1, progress=False, out=tmp_path)
    again = load_backbone(tmp_path)
    assert again.task == model.task
    assert again.processor == model.processor
    assert "voice" in (tmp_path / "ftkit.json").read_text()
    assert np.array_equal(speak(model, "ab").samples, speak(again, "ab").samples)


def test_a_recipe_s_folder_opens_and_scratch_is_random(folder: Path, tmp_path: Path) -> None:
    one, other = load_backbone(folder), load_backbone(folder, pretrained=False, seed=1)
    assert (one.task.name, one.spec.library, one.spec.modality) == ("text-to-speech", "ftkit", "voice")
    assert one.origin.startswith("pretrained, from the folder")
    assert other.origin == "from scratch, random weights"
    assert not torch.equal(one.net.embedding.weight, other.net.embedding.weight)
    save_synthesiser(WaveNet(WaveNetConfig(1, 2, 2, 4, 4, 4, n_mels=20, local=4)), tmp_path, MelSettings(n_mels=20))
    with pytest.raises(WeightsError, match="is a vocoder"):
        load_backbone(tmp_path)


def test_a_voice_is_no_classifier_and_a_classifier_no_voice(folder: Path, spoken: Data, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a backbone for audio and the task is text-to-speech"):
        load_backbone("wav2vec2-mini", spoken.task)
    with pytest.raises(UserError, match="is a backbone for voice and the task is ctc"):
        load_backbone(folder, ft.tasks.CTC(()))
    listener = load_backbone(tiny_speech_folder(tmp_path))
    with pytest.raises(UserError, match="speak needs a synthesiser"):
        speak(listener, "hello")


# --- speaking -----------------------------------------------------------------------------------------------------


def test_speech_plays_and_is_saved(model: Model, tmp_path: Path) -> None:
    said = predict(model, "hello there")
    assert isinstance(said, Speech)
    assert said.rate == 16_000
    assert said.seconds == pytest.approx(len(said.samples) / 16_000)
    assert said.symbols == "hello there~"
    assert said.alignment.shape[0] == 12
    assert said.alignment.sum(0) == pytest.approx(1, abs=1e-4)
    assert len(said.mel) <= said.alignment.shape[1] * 2
    shown = said._repr_mimebundle_()
    assert 'aria-label="Play: hello there"' in shown["text/html"]
    assert shown["text/plain"].startswith("Speech('hello there', ")
    assert np.asarray(said) is said.samples
    for suffix in ("wav", "flac", "ogg", "mp3"):
        samples, rate = soundfile.read(said.save(tmp_path / "new" / f"said.{suffix}"))
        assert rate == 16_000
        assert len(samples) == pytest.approx(len(said.samples), abs=2_400)
    assert sorted(path.suffix for path in (tmp_path / "new").iterdir()) == [".flac", ".mp3", ".ogg", ".wav"]
    with pytest.raises(UserError, match=r"Known: \.wav"):
        said.save(tmp_path / "said.aac")
    assert "spectrogram" in ft.viz.spectrogram(said).alt.lower()
    assert "Attention of" in ft.viz.attention(said.alignment, said.symbols, said.seconds_per_step).alt


def test_several_texts_are_spoken_as_each_alone(model: Model) -> None:
    texts = ["a", "hello there", "so it goes"]
    together = speak(model, texts, seed=3)
    for text, one in zip(texts, together, strict=True):
        alone = speak(model, text, seed=3)
        assert alone.mel == pytest.approx(one.mel, abs=1e-3)
        assert len(alone) == len(one)
    assert speak(model, []) == []


def test_a_voice_without_an_end_is_cut_off_and_says_so(model: Model) -> None:
    with torch.no_grad():
        model.net.stop.bias.fill_(-99)
    with pytest.warns(UserWarning, match="did not find the end of 1 of 2 texts|did not find the end of 2 of 2"):
        said = speak(model, ["a", "bb"])
    assert [one.stopped for one in said] == [False, False]
    assert [len(one.mel) for one in said] == [int((1 + 0.15 * letters) * 80) for letters in (2, 3)]
    assert "found no end" in repr(said[0])


def test_a_wavenet_makes_the_sound_if_one_is_given(model: Model, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = WaveNet(WaveNetConfig(1, 2, 2, 4, 4, 4, levels=16, n_mels=20, local=4))
    with torch.no_grad():
        model.net.stop.bias.fill_(99)
    save_synthesiser(net, tmp_path, MelSettings(n_mels=20))
    plain, made = speak(model, "a"), speak(model, "a", vocoder=tmp_path)
    assert np.array_equal(plain.mel, made.mel)
    assert made.samples.shape == plain.samples.shape
    assert not np.allclose(made.samples, plain.samples)
    assert np.array_equal(made.samples, speak(model, "a", vocoder=net).samples)
    save_synthesiser(net, tmp_path, MelSettings(n_mels=20, hop=100))
    with pytest.raises(UserError, match="hears pictures with"):
        speak(model, "a", vocoder=str(tmp_path))
    with pytest.raises(WeightsError, match="no vocoder 'wavenet-nimi'"):
        speak(model, "a", vocoder="wavenet-nimi")
    with pytest.raises(UserError, match="A vocoder is a WaveNet"):
        speak(model, "a", vocoder=torch.nn.Linear(1, 1))


def test_nobody_speaks_while_it_is_being_trained(model: Model) -> None:
    model.net.train()
    with pytest.raises(UserError, match="being trained"):
        speak(model, "a")


# --- is it understood? --------------------------------------------------------------------------------------------


def test_a_recogniser_listens_to_both(model: Model, spoken: Data, tmp_path: Path) -> None:
    listener = load_backbone(tiny_speech_folder(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ft.report.intelligibility(model, spoken.test, listener)
    heard = [one.text for one in predict(listener, list(spoken.test.targets))]
    from ftkit.tasks.spelling import error_rates

    assert found["recorded_cer"] == error_rates(heard, spoken.test.inputs)["cer"]
    assert set(found) == {"cer", "wer", "recorded_cer", "recorded_wer"}
    assert json.dumps(found)
    with pytest.raises(UserError, match="needs a recogniser"):
        ft.report.intelligibility(model, spoken.test, model)
    with pytest.raises(UserError, match="one split of texts"):
        ft.report.intelligibility(model, spoken, listener)
