"""Recognition by CTC: spelling, decoding, loss, vocabularies, saving, training."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from factory import tiny_speech_folder, tiny_spoken

import ftkit as ft
from ftkit.backbones import Model, load_backbone
from ftkit.data import Data, load_data
from ftkit.errors import DataError, UserError, WeightsError
from ftkit.tasks import CTC
from ftkit.tasks.decoding import align, beam_search, collapse
from ftkit.tasks.sounds import SPEEDS, at_speed
from ftkit.tasks.spelling import error_rates, spell
from ftkit.training import TrainSession, evaluate, fit, predict


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return load_data(tiny_spoken(tmp_path_factory.mktemp("spoken"), 40))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_speech_folder(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def model(spoken: Data, folder: Path) -> Model:
    return load_backbone(folder, spoken.task)


# --- spelling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "spelt"), [
    ("It's late, isn’t it?", "it's late isn't it"), ("  Two\n lines ", "two lines"),
    ("'Quoted' words'", "quoted words"),
    ("Émile's café", "émile's café"), ("5 & 6", ""), ("rock 'n' roll", "rock n roll"), ("", "")])
def test_spelling(text: str, spelt: str) -> None:
    assert spell(text) == spelt


def distance(one: Any, other: Any) -> int:
    """Levenshtein's, written as its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(distance(one[1:], other) + 1, distance(one, other[1:]) + 1,
               distance(one[1:], other[1:]) + (one[0] != other[0]))


def test_error_rates_are_those_of_the_definition() -> None:
    said, heard = ["a cat", "no"], ["the cat", "now on"]
    rates = error_rates(heard, said)
    letters = sum(distance(h, s) for h, s in zip(heard, said, strict=True)) / sum(map(len, said))
    words = sum(distance(h.split(), s.split()) for h, s in zip(heard, said, strict=True)) / 3
    assert rates == {"cer": pytest.approx(letters), "wer": pytest.approx(words)}
    assert error_rates(["A CAT!"], ["a cat"]) == {"cer": 0.0, "wer": 0.0}


def test_what_is_heard_in_silence_counts_as_an_error() -> None:
    assert error_rates(["cat", "dog"], ["cat", ""])["cer"] == pytest.approx(1.0)
    with pytest.raises(DataError, match="No transcript has a letter"):
        error_rates(["cat"], ["7"])


# --- decoding ---------------------------------------------------------------------------------------------------------


def scores(frames: int, letters: int, seed: int) -> np.ndarray:
    return torch.randn(frames, letters, generator=torch.Generator().manual_seed(seed)).mul(2).log_softmax(-1).numpy()


def test_repeats_and_blanks_fall_out() -> None:
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0], blank=0) == [1, 1, 2]
    assert collapse([3, 3, 3], blank=3) == []


@pytest.mark.parametrize("seed", range(12))
def test_beam_search_finds_the_text_whose_paths_are_together_most_probable(seed: int) -> None:
    found = scores(5, 3, seed)
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=5):
        text = tuple(collapse(path, 0))
        texts[text] = texts.get(text, 0.0) + math.exp(sum(found[t, i] for t, i in enumerate(path)))
    assert tuple(beam_search(found, 0, width=50)) == max(texts, key=texts.__getitem__)


def test_beam_search_differs_from_greedy_where_it_should() -> None:
    found = np.log([[0.6, 0.4], [0.6, 0.4]])  # the best path says nothing (0.36), all others together "a" (0.64)
    assert collapse(found.argmax(1).tolist(), 0) == []
    assert beam_search(found, 0) == [1]


@pytest.mark.parametrize(("seed", "text"), [(0, [1, 2]), (1, [1, 1]), (2, [2]), (3, [2, 1, 2])])
def test_alignment_is_the_best_path_that_spells_the_text(seed: int, text: list[int]) -> None:
    found = scores(6, 3, seed)
    paths = [p for p in itertools.product(range(3), repeat=6) if collapse(p, 0) == text]
    best = max(paths, key=lambda path: sum(found[t, i] for t, i in enumerate(path)))
    places = align(found, text, 0)
    assert [0 if place < 0 else text[place] for place in places] == list(best)
    assert [place for place, _ in itertools.groupby(p for p in places if p >= 0)] == list(range(len(text)))


def test_too_few_frames_cannot_spell() -> None:
    with pytest.raises(ValueError, match="2 frames cannot spell 2 letters with 1 repeated"):
        align(scores(2, 3, 0), [1, 1], 0)


# --- the task ---------------------------------------------------------------------------------------------------------


def test_the_data_define_the_task(spoken: Data) -> None:
    assert spoken.task == CTC((), letters="ab")
    assert repr(spoken).startswith(f"Data '{spoken.name}': ctc, sounds and their texts")
    assert set("".join(spoken.train.targets)) == {"a", "b"}
    assert spoken.train.frame().columns.tolist() == ["input", "text"]


def test_the_loss_is_that_of_transformers(model: Model, spoken: Data) -> None:
    data = model.task.encode(spoken.train.inputs[:5], spoken.train.targets[:5], model.processor)
    batch = model.task.collate(data, [3, 0, 1], model.processor)
    sums = model.task.loss(model.net, batch)
    labels = batch["labels"].masked_fill(batch["labels"] < 0, -100)
    whole = model.net(input_values=batch["input_values"], attention_mask=batch["attention_mask"], labels=labels)
    each = [model.net(input_values=batch["input_values"][i : i + 1], attention_mask=batch["attention_mask"][i : i + 1],
                      labels=labels[i : i + 1]).loss.item() / int((labels[i] >= 0).sum()) for i in range(3)]
    assert model.net.config.ctc_loss_reduction == "sum"
    assert whole.logits.shape == sums.logits.shape
    assert (sums.total / sums.n).item() == pytest.approx(np.mean(each), rel=1e-4)
    assert sums.n == 3


def test_padding_changes_nothing(model: Model, spoken: Data) -> None:
    data = model.task.encode(spoken.train.inputs[:6], spoken.train.targets[:6], model.processor)
    assert len(set(data.lengths.tolist())) > 1
    together = model.task.losses(model.task.forward(model.net, batch := model.task.collate(
        data, range(6), model.processor)), batch)
    for i in range(6):
        one = model.task.collate(data, [i], model.processor)
        assert model.task.losses(model.task.forward(model.net, one), one).item() == pytest.approx(
            together[i].item(), rel=1e-3)


def test_known_letters_keep_their_head(folder: Path, spoken: Data) -> None:
    from safetensors.torch import load_file

    saved = load_file(folder / "model.safetensors")["lm_head.weight"]
    assert torch.equal(load_backbone(folder, spoken.task).net.lm_head.weight, saved)
    other = load_backbone(folder, replace(spoken.task, letters="äb"))
    assert other.task.vocabulary == ("<pad>", "<unk>", "|", "b", "ä")
    assert other.net.lm_head.weight.shape == (5, 32)
    same_size = load_backbone(folder, replace(spoken.task, letters="äbcdefghijklmnopqrstuvwxyz'"))
    assert same_size.net.lm_head.weight.shape == saved.shape
    assert not torch.equal(same_size.net.lm_head.weight, saved), "a head for other letters is of no use"


def test_a_body_without_letters_takes_those_of_the_data(tmp_path: Path, spoken: Data) -> None:
    body = tiny_speech_folder(tmp_path / "body", letters=None)
    assert load_backbone(body, spoken.task).task.vocabulary == ("<pad>", "<unk>", "|", "a", "b")
    with pytest.raises(DataError, match="brings no letters: load your transcripts first"):
        load_backbone(body, CTC(()))


def test_recognisers_that_write_capitals(tmp_path: Path, spoken: Data) -> None:
    model = load_backbone(tiny_speech_folder(tmp_path / "loud", letters="ABCDEFGHIJKLMNOPQRSTUVWXYZ'"), spoken.task)
    assert "A" in model.task.vocabulary
    encoded = model.task.encode(spoken.train.inputs[:1], ["Ab"], model.processor)
    assert [model.task.vocabulary[i] for i in encoded.targets[0]] == ["A", "B"]
    assert set(predict(model, spoken.test.inputs[0]).text) <= set("abcdefghijklmnopqrstuvwxyz' ")


def test_letters_that_nobody_knows_are_named(model: Model, spoken: Data) -> None:
    with pytest.raises(DataError, match=r"cannot write é, ø \(in 'aéø'\). It knows "):
        model.task.encode(spoken.train.inputs[:1], ["aéø"], model.processor)


def test_a_sound_that_is_too_long_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match=r"lasts 61 seconds .* takes 60 at most. Cut it where the speaker pauses"):
        model.task.encode([np.zeros(61 * 16_000, dtype=np.float32)], ["a"], model.processor)


def test_a_long_recording_is_cut_at_its_pauses_and_heard_in_pieces(model: Model, tmp_path: Path) -> None:
    assert len(model.task.cut([np.zeros(59 * 16_000, np.float32)], model.processor)[0]) == 1
    assert max(map(len, model.task.cut([np.zeros(70 * 16_000, np.float32)], model.processor)[0])) <= 30 * 16_000
    model.task = replace(model.task, max_seconds=3.0)
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, 0.2, int(16_000 * seconds)) for seconds in (1.8, 0.8, 2.5, 1.4)]
    long = np.concatenate([np.concatenate([part, np.zeros(8_000)]) for part in parts]).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", long, 16_000, subtype="FLOAT")
    short = long[:9_000]
    pieces = model.task.cut([long], model.processor)[0]
    assert len(pieces) > 2
    both = predict(model, [tmp_path / "long.wav", short])
    each = predict(model, [*pieces, short])
    assert len(both) == 2
    assert both[1] == each[-1]
    assert both[0].text == " ".join(filter(None, (one.text for one in each[:-1])))
    assert predict(model, short) == each[-1]


def test_class_weights_and_modalities_are_refused(model: Model, spoken: Data) -> None:
    with pytest.raises(UserError, match="class_weights are for classes, and the task here is ctc"):
        TrainSession(model, spoken, class_weights="balanced")
    with pytest.raises(UserError, match=r"'bert-mini' is a backbone for text and the task is ctc"):
        load_backbone("bert-mini", spoken.task)
    with pytest.raises(UserError, match="batch_seconds is for sounds"):
        TrainSession(load_backbone("bert-mini", load_data("reviews").task), load_data("reviews", limit=16),
                     batch_seconds=3)


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(spoken: Data, folder: Path) -> tuple[Model, Any]:
    model = load_backbone(folder, spoken.task)
    return model, fit(model, spoken, "full", epochs=80, lr=4e-3, batch_size=7, progress=False, precision="fp32")


def test_it_learns_to_spell_tones(trained: tuple[Model, Any], spoken: Data) -> None:
    model, history = trained
    scores = evaluate(model, spoken.test)
    assert scores["cer"] < 0.15, "guessing a or b gets about one half wrong"
    assert list(scores) == ["accuracy", "cer", "wer", "loss"]
    assert scores["accuracy"] == pytest.approx(1 - scores["cer"])
    assert history.epochs[-1]["cer"] < history.epochs[0]["cer"]
    assert scores.answers == [answer.text for answer in predict(model, spoken.test.inputs)]
    assert scores.probabilities.shape == (len(spoken.test), 0)


def test_saved_and_opened_again(trained: tuple[Model, Any], spoken: Data, tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor, Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC

    model, _ = trained
    folder = model.save(tmp_path / "mine")
    again = load_backbone(folder)
    assert again.task == model.task
    said = predict(model, spoken.test.inputs[:4])
    assert predict(again, spoken.test.inputs[:4]) == said
    net, extractor = Wav2Vec2ForCTC.from_pretrained(folder), AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
    sound = model.processor.decode(spoken.test.inputs[0])
    with torch.no_grad():
        logits = net(**extractor(sound, sampling_rate=16_000, return_tensors="pt")).logits
    assert tokenizer.batch_decode(logits.argmax(-1))[0] == said[0].text


def losses(history: Any) -> list[float]:
    return [row["loss"] for row in history.steps] + [row["valid_loss"] for row in history.epochs]


@pytest.mark.parametrize("groups", [["projection"], ["block 1"], ["head"]])
def test_cached_and_uncached_losses_agree(folder: Path, spoken: Data, groups: list[str]) -> None:
    def run(cache: str) -> Any:
        model = load_backbone(folder, spoken.task)
        first = model.layers.names.index(groups[0])
        plan = ft.strategies.Custom(dict.fromkeys(model.layers.names[first:], 1))
        return fit(model, spoken, plan, epochs=3, lr=3e-3, batch_size=8, cache=cache, precision="fp32", progress=False)

    plain, cached = run("off"), run("auto")
    assert all(row["cached"] for row in cached.epochs)
    assert losses(cached) == pytest.approx(losses(plain), rel=1e-5)
    assert len({round(loss, 4) for loss in losses(plain)}) > 3


def test_the_stem_stays_frozen_unless_told_otherwise(folder: Path, spoken: Data) -> None:
    model = load_backbone(folder, spoken.task)
    history = fit(model, spoken, epochs=2, progress=False)
    assert history.config["strategy"].startswith("FrozenStem(")
    facts = {row["group"]: row for row in ft.audit(model, history).rows}
    assert facts["stem"]["moved"] == 0
    assert all(facts[name]["moved"] for name in model.layers.names[1:])
    assert not ft.audit(model, history).warnings


def test_masking_is_augmentation(folder: Path, spoken: Data) -> None:
    model = load_backbone(folder, spoken.task)
    assert model.net.config.mask_time_prob > 0
    plain = TrainSession(model, spoken, epochs=2, batch_size=8)
    assert (model.net.config.apply_spec_augment, model.net.config.layerdrop) == (False, 0.0)
    plain.run(steps=1)
    assert plain.cut == 1
    masked = TrainSession(load_backbone(folder, spoken.task), spoken, epochs=2, batch_size=8, augment=True)
    assert masked.net.config.apply_spec_augment
    masked.run(steps=1)
    assert masked.cut == 0
    assert any("augmentation makes every epoch differ" in event["note"] for event in masked.history.events)


def test_batches_are_limited_by_seconds(folder: Path, spoken: Data) -> None:
    session = TrainSession(load_backbone(folder, spoken.task), spoken, epochs=3, batch_seconds=1.0, batch_size=5)
    seconds = session.train.lengths / session.train.per_second
    history = session.run()
    assert history.status == "finished"
    assert session.step_count == session.total_steps == len(history.steps)
    for epoch in range(3):
        batches = session._batches(epoch)
        assert sorted(i for batch in batches for i in batch) == list(range(len(session.train)))
        assert all(len(batch) * seconds[batch].max() <= 1.0 + 1e-9 and len(batch) <= 5 for batch in batches)
        assert any(len(batch) > 1 for batch in batches)


@pytest.mark.parametrize("augment", [False, True])
def test_stopped_and_resumed_as_if_nothing_had_happened(folder: Path, spoken: Data, tmp_path: Path,
                                                        augment: bool) -> None:
    def session() -> TrainSession:
        return TrainSession(load_backbone(folder, spoken.task), spoken, epochs=2, batch_seconds=1.5, precision="fp32",
                            augment=augment)

    whole = session().run()
    half = session()
    half.run(steps=half.total_steps // 2)
    half.save(tmp_path / "checkpoint")
    rest = session().resume(tmp_path / "checkpoint").run()
    assert losses(rest) == pytest.approx(losses(whole), abs=1e-6)


def test_another_kind_of_network_is_no_recogniser(tmp_path: Path, spoken: Data) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                           decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60,
                           pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
                           begin_suppress_tokens=None, suppress_tokens=None)
    WhisperForConditionalGeneration(config).save_pretrained(tmp_path)
    WhisperFeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"is no speech network of the Wav2Vec2 family \(it is a whisper\)"):
        load_backbone(tmp_path, spoken.task)


def test_augmentation_plays_at_other_speeds(model: Model, spoken: Data) -> None:
    task = replace(model.task, augment=True)
    data = task.encode(spoken.train.inputs[:8], spoken.train.targets[:8], model.processor)
    np.random.seed(0)
    varied = task.collate(data, range(8), model.processor, train=True)
    ratios = varied["frames"].numpy() / data.lengths
    assert len({round(float(ratio), 1) for ratio in ratios}) > 1
    assert all(min(abs(ratio - 1 / speed) for speed in SPEEDS) < 0.06 for ratio in ratios)
    for row, frames in zip(varied["attention_mask"], varied["frames"], strict=True):
        assert model.processor.frames(int(row.sum())) == frames
    np.random.seed(0)
    again = task.collate(data, range(8), model.processor, train=True)
    assert torch.equal(varied["input_values"], again["input_values"])
    judged = task.collate(data, range(8), model.processor)
    assert judged["frames"].tolist() == data.lengths.tolist()


def test_faster_is_shorter_and_higher(model: Model) -> None:
    rate = model.processor.rate
    tone = np.sin(2 * np.pi * 400 * np.arange(rate) / rate).astype(np.float32)
    for speed in (0.9, 1.1):
        changed = at_speed(tone, speed, model.processor)
        assert len(changed) == pytest.approx(rate / speed, abs=2)
        peak = np.abs(np.fft.rfft(changed)).argmax() * rate / len(changed)
        assert peak == pytest.approx(400 * speed, abs=2)
    assert at_speed(tone, 1.0, model.processor) is tone
    short = tone[: model.processor.least]
    assert at_speed(short, 1.1, model.processor) is short
