"""Tasks: heads, batches, losses, predictions, scores."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import data_for, pictures, sounds, texts, tiny, tokenizer
from PIL import Image
from sklearn import metrics as skm
from torch import nn

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.backbones.voice import VoicePreprocess
from ftkit.errors import DataError, UnknownName
from ftkit.tasks import TASKS, ImageClassification, TextClassification, image_classification, make_task
from ftkit.tasks.base import Encoded, Task, example_losses
from ftkit.tasks.image_classification import LazyImages, mirror, replace_last_linear, shift
from ftkit.tasks.metrics import classification_metrics

MAKE = {"text": texts, "image": pictures, "audio": sounds}
FAMILY = {"text": "bert", "image": "vit", "audio": "wav2vec2"}
CLASSIFIERS = [name for name in TASKS if name.endswith("classification")]


def encoded(task: Task, n: int = 6) -> Encoded:
    return task.encode(*MAKE[task.modality](n), processor_of(task))


def processor_of(task: Task) -> Any:
    return VoicePreprocess() if task.modality == "voice" else tiny(FAMILY[task.modality]).processor


def test_every_task_is_under_contract() -> None:
    others = {"ctc", "speech-to-text", "text-to-speech", "causal-lm", "dpo", "ipo", "reward"}
    assert {*CLASSIFIERS, *others} == set(TASKS), "these have tests of their own"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_contract(name: str) -> None:
    """What the loop, the cache and inference count on, for every task in the table."""
    task = make_task(name, ["bad", "good"])
    assert (task.name, task.n_out, task.random) == (name, 2, False)
    assert hash(task) == hash(make_task(name, ["bad", "good"]))
    data = encoded(task)
    assert len(data) == len(data.lengths) == 6
    batch = task.collate(data, [4, 1], processor_of(task))
    assert batch["labels"].tolist() == [data.targets[4], data.targets[1]]
    assert all(len(tensor) == 2 for tensor in batch.values())
    model = tiny(FAMILY[task.modality])
    sums = task.loss(model.net, batch)
    assert sums.n == 2
    assert sums.logits.shape == (2, 2)
    assert sums.total.requires_grad
    assert sums.total.dtype == torch.float32
    expected = nn.functional.cross_entropy(sums.logits, batch["labels"], reduction="sum")
    assert sums.total.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(task.predict(model.net, batch), sums.logits.softmax(-1))
    said = task.answers(sums.logits.detach(), batch, model.net, model.processor)
    assert said == pytest.approx(sums.logits.detach().softmax(-1).numpy())
    assert task.encode(MAKE[task.modality](1)[0], [task.blank()], processor_of(task)).targets == [0]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_contract_with_several_labels(name: str) -> None:
    task = make_task(name, ("a", "b", "c"), multilabel=True)
    model = tiny(FAMILY[task.modality], labels=("a", "b", "c"), multilabel=True)
    inputs, _ = MAKE[task.modality](2)
    data = task.encode(inputs, [[1, 0, 1], [0, 0, 0]], processor_of(task))
    batch = task.collate(data, [0, 1], processor_of(task))
    assert batch["labels"].shape == (2, 3)
    sums = task.loss(model.net, batch)
    assert sums.n == 2
    by_hand = nn.functional.binary_cross_entropy_with_logits(sums.logits, batch["labels"].float(), reduction="none")
    assert sums.total.item() == pytest.approx(by_hand.mean(1).sum().item(), abs=1e-5)
    assert torch.allclose(task.predict(model.net, batch), sums.logits.sigmoid())


def test_unknown_task() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'text-classification'"):
        make_task("text-clasification", ["a", "b"])


@pytest.mark.parametrize("name", TASKS)
def test_an_empty_split_can_be_encoded(name: str) -> None:
    task = make_task(name, ["a", "b"])
    assert len(task.encode([], [], processor_of(task))) == 0


# --- text -----------------------------------------------------------------------------------------------------------


def test_texts_are_padded_on_the_right_to_the_longest_of_the_batch() -> None:
    task = TextClassification(("bad", "good"))
    data = task.encode(["film", "the film was really great", "book"], [0, 1, 0], tokenizer())
    assert data.lengths.tolist() == [3, 7, 3]
    batch = task.collate(data, [0, 1], tokenizer())
    assert batch["input_ids"].shape == (2, 7)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0], [1] * 7]
    assert batch["input_ids"][0, 3:].tolist() == [tokenizer().pad_token_id] * 4
    assert task.collate(data, [0, 2], tokenizer())["input_ids"].shape == (2, 3)
    whole = tokenizer()(["film", "the film was really great"], padding=True)["input_ids"]
    assert batch["input_ids"].tolist() == whole


def test_long_texts_are_cut_at_the_task_s_length_or_the_tokenizer_s() -> None:
    text = "film " * 500
    assert TextClassification(("a", "b"), max_length=10).encode([text], [0], tokenizer()).lengths.tolist() == [10]
    assert TextClassification(("a", "b")).encode([text], [0], tokenizer()).lengths.tolist() == [64]


def test_a_text_without_any_token_still_has_one() -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, pad_token="[PAD]",
                                   unk_token="[UNK]", model_max_length=64)
    from tokenizers.processors import Sequence

    bare.backend_tokenizer.post_processor = Sequence([])  # as GPT-2: nothing is added around a text
    try:
        data = TextClassification(("a", "b")).encode(["", "film"], [0, 1], bare)
    finally:
        tokenizer.cache_clear()  # the two share their inside
    assert data.lengths.tolist() == [1, 1]
    assert data.features[0].tolist() == [bare.pad_token_id]


def test_what_is_not_text() -> None:
    with pytest.raises(DataError, match="A text must be a string, not float: nan"):
        TextClassification(("a", "b")).encode(["film", math.nan], [0, 1], tokenizer())


# --- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_are_decoded_once_and_normalised_in_the_batch() -> None:
    task = ImageClassification(("bad", "good"))
    data = encoded(task)
    assert data.features.dtype == torch.uint8
    assert data.features.shape == (6, 3, 32, 32)
    batch = task.collate(data, [0, 3], processor_of(task))
    assert batch["pixel_values"].dtype == torch.float32
    assert batch["pixel_values"].is_contiguous(memory_format=torch.channels_last)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = (torch.from_numpy(pictures(6)[0][3]).permute(2, 0, 1) / 255 - mean) / std
    assert torch.allclose(batch["pixel_values"][1], expected, atol=1e-5)


def test_pictures_that_do_not_fit_into_memory_are_decoded_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    task = ImageClassification(("bad", "good"))
    whole = encoded(task)
    monkeypatch.setattr(image_classification, "memory_available", lambda: 1000)
    lazy = encoded(task)
    assert isinstance(lazy.features, LazyImages)
    assert len(lazy.features) == 6
    a, b = (task.collate(data, [5, 0], processor_of(task))["pixel_values"] for data in (whole, lazy))
    assert torch.equal(a, b)


def test_a_broken_picture_among_many_is_named(tmp_path: Path) -> None:
    Image.fromarray(pictures(1)[0][0]).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"bad\.png"):
        ImageClassification(("a", "b")).encode([tmp_path / "good.png", tmp_path / "bad.png"], [0, 1],
                                               ImagePreprocess(32, 32))


def test_augmentation_is_for_training_batches_only() -> None:
    task = ImageClassification(("bad", "good"), augment=True)
    assert task.random
    data = encoded(task)
    plain = [task.collate(data, [0, 1], processor_of(task))["pixel_values"] for _ in range(2)]
    assert torch.equal(*plain)
    random = [task.collate(data, [0, 1], processor_of(task), train=True)["pixel_values"] for _ in range(2)]
    assert not torch.equal(*random)


def test_mirror_and_shift() -> None:
    torch.manual_seed(0)
    images = torch.arange(64 * 3 * 16 * 16).view(64, 3, 16, 16).remainder(251).to(torch.uint8)
    moved = shift(mirror(images))
    assert moved.dtype == torch.uint8
    assert moved.shape == images.shape
    padded = nn.functional.pad(images.float(), (2,) * 4, mode="replicate").to(torch.uint8)
    mirrored = nn.functional.pad(images.flip(-1).float(), (2,) * 4, mode="replicate").to(torch.uint8)
    kinds = set()
    for i, image in enumerate(moved):
        places = [(name, y, x) for name, source in (("as it was", padded), ("mirrored", mirrored))
                  for y in range(5) for x in range(5) if torch.equal(source[i, :, y : y + 16, x : x + 16], image)]
        assert len(places) == 1, "each picture is one of 2 x 25 pictures"
        kinds.add(places[0])
    assert len(kinds) > 25


def test_what_changes_its_meaning_in_a_mirror_is_only_shifted() -> None:
    """An arrow to the left is no arrow to the right: a picture that is dark on its left stays so."""
    images = torch.full((64, 3, 16, 16), 200, dtype=torch.uint8)
    images[..., :8] = 0
    data = Encoded(images, [0] * 64, np.ones(64, dtype=int))
    for allowed in (False, True):
        task = ImageClassification(("left", "right"), augment=True, mirror=allowed)
        torch.manual_seed(0)
        seen = task.collate(data, range(64), ImagePreprocess(16, 16), train=True)["pixel_values"]
        dark_on_the_left = seen[..., 0].mean((1, 2)) < seen[..., -1].mean((1, 2))
        assert bool(dark_on_the_left.all()) is not allowed


@pytest.mark.parametrize(("family", "name"), [("resnet18", "fc"), ("vgg11", "classifier.6")])
def test_the_last_linear_layer_is_replaced(family: str, name: str) -> None:
    model = tiny(family, labels=[str(i) for i in range(7)])
    assert model.net.get_submodule(name).out_features == 7
    assert replace_last_linear(model.net, 3) == name
    assert model.net.get_submodule(name).out_features == 3
    assert model.net.get_submodule(name).bias.eq(0).all()


def test_a_fresh_head_starts_at_the_logarithm_of_the_classes() -> None:
    model, data = tiny("resnet18"), data_for("image")
    batch = model.task.collate(encoded(model.task), range(6), processor_of(model.task))
    assert len(data.train) == 24
    with torch.no_grad():
        assert model.task.loss(model.net, batch).total.item() / 6 == pytest.approx(math.log(2), abs=0.3)


# --- losses and scores ----------------------------------------------------------------------------------------------


def test_class_weights_multiply() -> None:
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    weights = torch.tensor([1.0, 2.0, 0.5])
    assert torch.allclose(example_losses(logits, labels, False, weights),
                          example_losses(logits, labels, False) * weights[labels])


def test_scores_of_one_label() -> None:
    probabilities = np.eye(3)[[0, 0, 1, 1, 2, 0]]
    scores = classification_metrics(probabilities, np.array([0, 0, 0, 1, 2, 2]), False)
    assert next(iter(scores)) == "accuracy"
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert scores["f1_macro"] == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)


def test_always_the_same_answer_looks_good_until_it_is_balanced() -> None:
    scores = classification_metrics(np.eye(2)[[0] * 10], np.array([0] * 9 + [1]), False)
    assert scores["accuracy"] == 0.9
    assert scores["balanced_accuracy"] == 0.5


def test_a_class_that_the_split_lacks_does_not_count() -> None:
    scores = classification_metrics(np.eye(3)[[0, 1]], np.array([0, 1]), False)
    assert set(scores.values()) == {1.0}


def test_scores_of_several_labels() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 0]])
    scores = classification_metrics(np.array([[0.9, 0.1], [0.9, 0.4], [0.1, 0.2]]), targets, True)
    assert scores["accuracy"] == pytest.approx(2 / 3)  # an example counts when all its labels are right
    assert scores["f1_micro"] == pytest.approx(0.8)
    assert scores["f1_macro"] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    """Few examples of many classes: some are never there, some are never named, some neither."""
    rng = np.random.default_rng(seed)
    probabilities, targets = rng.random((12, 9)), rng.integers(0, 9, 12)
    named, there = probabilities.argmax(1), np.unique(targets)
    recall = skm.recall_score(targets, named, labels=there, average="macro", zero_division=0)
    assert classification_metrics(probabilities, targets, False) == pytest.approx(
        {"accuracy": skm.accuracy_score(targets, named), "balanced_accuracy": recall,
         "f1_macro": skm.f1_score(targets, named, labels=there, average="macro", zero_division=0)})
    several = (rng.random((12, 9)) < rng.random(9) * 0.3).astype(int)
    guessed = (probabilities >= 0.5).astype(int)
    assert classification_metrics(probabilities, several, True) == pytest.approx(
        {"accuracy": skm.accuracy_score(several, guessed),
         **{f"f1_{how}": skm.f1_score(several, guessed, average=how, zero_division=0) for how in ("micro", "macro")}})


def test_to_train_needs_neither_scikit_learn_nor_pandas() -> None:
    """Together they take 100 MB: much on a machine with 2 GB."""
    code = ("import sys, ftkit as ft; data = ft.load_data('reviews', limit=8)\n"
            "ft.fit(ft.load_backbone('bert-mini', data.task), data, 'probe', epochs=1, progress=False)\n"
            "print([name for name in ('sklearn', 'pandas') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
