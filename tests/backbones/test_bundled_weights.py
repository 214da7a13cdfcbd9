"""The weights that come with ftkit: whole, small, described by their cards, and worth more than random ones."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ftkit.backbones import SPECS, BackboneSpec, load_backbone
from ftkit.backbones.voice import open_vocoder
from ftkit.bundle import bundled_root
from ftkit.data import load_data
from ftkit.disk import file_sha256
from ftkit.errors import WeightsError
from ftkit.speech import log_mel, mel_cepstral_distortion
from ftkit.speech.wavenet import WaveNet
from ftkit.tasks import make_task
from ftkit.training import evaluate, fit, speak

BUNDLED = [spec for spec in SPECS.values() if spec.bundled]
LIMITS = {"bert-mini": 20e6}  # bytes; the others have 12 million
TEXT = make_task("text-classification", ("bad", "good"))


def folder_of(spec: BackboneSpec) -> Path:
    return bundled_root() / "backbones" / spec.name


def test_each_folder_has_its_row() -> None:
    assert {spec.name for spec in BUNDLED} == {path.name for path in (bundled_root() / "backbones").iterdir()}
    assert {"bert-mini", "gpt2-mini", "resnet-mini", "tacotron-mini", "vgg-mini", "wav2vec2-mini", "wavenet-mini"} <= {
        spec.name for spec in BUNDLED}


@pytest.mark.parametrize("spec", BUNDLED, ids=lambda spec: spec.name)
def test_the_file_is_the_one_that_was_published_and_the_card_says_so(spec: BackboneSpec) -> None:
    folder = folder_of(spec)
    digest = file_sha256(folder / "model.safetensors")
    assert digest == spec.sha256
    card = (folder / "README.md").read_text(encoding="utf8")
    assert digest in card
    for said in ("| parameters |", "| data |", "| licence |", "| recipe | `python -m ftkit.pretraining", "| training |",
                 "## Known weaknesses", "## Measured"):
        assert said in card, said
    assert sum(file.stat().st_size for file in folder.iterdir()) <= LIMITS.get(spec.name, 12e6)
    count = int(re.search(r"\| parameters \| ([\d,]+) \|", card)[1].replace(",", ""))  # type: ignore[index]
    assert spec.parameters == pytest.approx(count / 1e6, abs=0.06)
    if spec.name == "wavenet-mini":  # no model of its own: what a synthesiser speaks through
        net, _ = open_vocoder(spec.name)
        assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in net.parameters())
        return
    voice = spec.modality == "voice"
    task = make_task("text-to-speech", ()) if voice else make_task(f"{spec.modality}-classification", ("bad", "good"))
    model = load_backbone(spec.name, task)
    assert model.origin == "pretrained, from ftkit itself"
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in model.net.parameters())


def test_together_they_are_small() -> None:
    files = [file for spec in BUNDLED for file in folder_of(spec).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 70e6


def test_bert_mini_knows_what_sentences_mean() -> None:
    """Its pooled vector, which the head reads, is alike for two ways of saying one thing."""
    model = load_backbone("bert-mini", TEXT)
    said = ["A man is eating some food.", "Someone is having a meal.", "The stock market fell sharply on Monday.",
            "Shares dropped a lot at the start of the week."]
    batch = model.processor(said, padding=True, return_tensors="pt")
    with torch.no_grad():
        pooled = torch.nn.functional.normalize(model.net.bert(**batch).pooler_output, dim=-1)
    alike = pooled @ pooled.T
    assert min(alike[0, 1], alike[2, 3]) > 0.4
    assert max(alike[0, 2], alike[0, 3], alike[1, 2], alike[1, 3]) < 0.2


def test_bert_mini_can_spell_any_word() -> None:
    tokenizer = load_backbone("bert-mini", TEXT).processor
    ids = tokenizer("Zxqj's 37 unputdownable floccinaucinihilipilifications @ home; #1!")["input_ids"]
    assert tokenizer.unk_token_id not in ids


def test_tacotron_mini_reads_from_left_to_right_and_stops() -> None:
    """Sentences of the logbook, which it never read: where it looks goes on letter by letter, to the last one."""
    model = load_backbone("tacotron-mini", make_task("text-to-speech", ()))
    for said in speak(model, ["Crew in good heart.", "The cook served soup, and nobody asked what was in it."]):
        assert said.stopped
        assert said.alignment is not None
        looked = said.alignment.argmax(axis=0)
        assert looked[0] <= 1
        assert looked[-1] >= len(said.symbols) - 3
        assert (abs(looked[1:] - looked[:-1]) <= 3).mean() > 0.95
        assert (looked[1:] >= looked[:-1]).mean() > 0.95
        assert 0.03 < said.seconds / len(said.text) < 0.12


def test_wavenet_mini_says_what_the_picture_shows() -> None:
    """The voice that it learnt, half a second: nearer to the picture than a WaveNet of random weights comes."""
    voice = load_backbone("tacotron-mini", make_task("text-to-speech", ()))
    said = speak(voice, "Crew in good heart.")
    picture = torch.as_tensor(said.mel[10:50])
    net, settings = open_vocoder("wavenet-mini")
    torch.manual_seed(0)
    far = {name: mel_cepstral_distortion(log_mel(one.generate(picture, seed=1), settings), picture)
           for name, one in {"trained": net, "random": WaveNet(net.config)}.items()}
    assert far["trained"] < 4 < far["random"], far


def test_wavenet_mini_is_a_vocoder_and_no_model_to_fit() -> None:
    with pytest.raises(WeightsError, match="vocoder='wavenet-mini'"):
        load_backbone("wavenet-mini", make_task("text-to-speech", ()))


@pytest.mark.parametrize("name", ["wavenet-min", "tacotron-mini/", "resnet-mini"])
def test_what_is_no_vocoder_is_refused(name: str) -> None:
    with pytest.raises(WeightsError):
        open_vocoder(name)


def test_a_damaged_vocoder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "backbones" / "wavenet-mini"
    shutil.copytree(bundled_root() / "backbones" / "wavenet-mini", folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    monkeypatch.setattr("ftkit.backbones.voice.bundled_root", lambda: tmp_path)
    with pytest.raises(WeightsError, match="damaged"):
        open_vocoder("wavenet-mini")


@pytest.mark.parametrize(("name", "data", "epochs", "limit"), [
    ("bert-mini", "reviews", 4, 300),  # two classes and a gain of a sixth: fewer texts would leave it to chance
    ("resnet-mini", "signs", 8, 200), ("vgg-mini", "signs", 8, 200), ("wav2vec2-mini", "commands", 8, 200)])
def test_the_frozen_body_alone_is_worth_more_than_a_random_one(name: str, data: str, epochs: int, limit: int) -> None:
    """A head on the pretrained body against a head on a body of random weights, both trained alike."""
    few = load_data(data, limit=limit)
    few = replace(few, valid=few.valid.take(limit // 2))
    right = {}
    for pretrained in (True, False):
        model = load_backbone(name, few.task, pretrained=pretrained)
        fit(model, few, "probe", epochs=epochs, progress=False)
        right[pretrained] = evaluate(model, few.test.take(limit // 2))["accuracy"]
    assert right[True] > right[False] + 0.08


def test_wav2vec2_mini_spells_what_it_hears() -> None:
    """A voice that it never heard, and sentences that it never read: far from perfect, and far from chance."""
    data = load_data("readings")
    scores = evaluate(load_backbone("wav2vec2-mini", data.task), data.test)
    assert scores["cer"] < 0.7
    untrained = evaluate(load_backbone("wav2vec2-mini", data.task, pretrained=False), data.test.take(8))
    assert untrained["cer"] > 0.9


def test_gpt2_mini_has_read_english() -> None:
    """The next token of an English sentence is far less of a surprise to it than that of the same words shuffled."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = bundled_root() / "backbones" / "gpt2-mini"
    net, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    def surprise(text: str) -> float:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            return float(net(input_ids=ids, labels=ids).loss)

    told = surprise("Once upon a time there was a little girl who lived with her mother in a house near the wood.")
    shuffled = surprise("Wood time a with near there who girl her house little the once upon was mother lived in a.")
    assert told < 4 < shuffled - 1
