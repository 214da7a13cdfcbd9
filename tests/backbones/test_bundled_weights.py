"""The weights that come with ftkit: whole, small, described by their cards, and worth more than random ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ftkit.backbones import SPECS, BackboneSpec, load_backbone
from ftkit.bundle import bundled_root
from ftkit.data import load_data
from ftkit.pretraining.card import sha256
from ftkit.tasks import make_task
from ftkit.training import evaluate, fit

BUNDLED = [spec for spec in SPECS.values() if spec.bundled]
LIMITS = {"bert-mini": 20e6}  # bytes; the others have 12 million
TEXT = make_task("text-classification", ("bad", "good"))


def folder_of(spec: BackboneSpec) -> Path:
    return bundled_root() / "backbones" / spec.name


def test_each_folder_has_its_row() -> None:
    assert {spec.name for spec in BUNDLED} == {path.name for path in (bundled_root() / "backbones").iterdir()}
    assert {"bert-mini", "gpt2-mini", "resnet-mini", "vgg-mini"} <= {spec.name for spec in BUNDLED}


@pytest.mark.parametrize("spec", BUNDLED, ids=lambda spec: spec.name)
def test_the_file_is_the_one_that_was_published_and_the_card_says_so(spec: BackboneSpec) -> None:
    folder = folder_of(spec)
    digest = sha256(folder / "model.safetensors")
    assert digest == spec.sha256
    card = (folder / "README.md").read_text(encoding="utf8")
    assert digest in card
    for said in ("| parameters |", "| data |", "| licence |", "| recipe | `python -m ftkit.pretraining", "| training |",
                 "## Known weaknesses", "## Measured"):
        assert said in card, said
    assert sum(file.stat().st_size for file in folder.iterdir()) <= LIMITS.get(spec.name, 12e6)
    task = TEXT if spec.modality == "text" else make_task("image-classification", ("bad", "good"))
    model = load_backbone(spec.name, task)
    count = int(re.search(r"\| parameters \| ([\d,]+) \|", card)[1].replace(",", ""))  # type: ignore[index]
    assert spec.parameters == pytest.approx(count / 1e6, abs=0.06)
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


@pytest.mark.parametrize(("name", "data", "epochs"), [("bert-mini", "reviews", 4), ("resnet-mini", "signs", 8),
                                                       ("vgg-mini", "signs", 8)])
def test_the_frozen_body_alone_is_worth_more_than_a_random_one(name: str, data: str, epochs: int) -> None:
    """A head on the pretrained body against a head on a body of random weights, both trained alike."""
    few = load_data(data, limit=300)
    right = {}
    for pretrained in (True, False):
        model = load_backbone(name, few.task, pretrained=pretrained)
        fit(model, few, "probe", epochs=epochs, progress=False)
        right[pretrained] = evaluate(model, few.test.take(300))["accuracy"]
    assert right[True] > right[False] + 0.08


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
