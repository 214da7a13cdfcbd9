"""Adapters on disk: peft opens what ftkit writes, ftkit opens what peft writes, and merging changes no answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from factory import tiny_csv, tiny_image_folder, tiny_images, tiny_speech_folder, tiny_spoken, tiny_text_folder
from nets import data_for, tiny
from torch import nn

from ftkit.backbones import Model, load_backbone
from ftkit.backbones.adapters import digest
from ftkit.data import Data, load_data
from ftkit.errors import UserError, WeightsError
from ftkit.strategies import IA3, LoRA, PromptTuning, Strategy
from ftkit.training import TrainSession, evaluate, fit, predict

_STRATEGIES = [LoRA(r=2, alpha=64, last=2), IA3(), PromptTuning(3)]
_SETTINGS: dict[str, Any] = {"epochs": 1, "lr": 0.05, "batch_size": 8, "precision": "fp32", "progress": False}


def texts(tmp_path: Path, family: str = "bert") -> tuple[Path, Data]:
    return tiny_text_folder(tmp_path / "base", family), load_data(tiny_csv(tmp_path / "texts.csv"))


def trained(folder: Path, data: Data, strategy: Strategy) -> Model:
    model = load_backbone(folder, data.task)
    fit(model, data, strategy, **_SETTINGS)
    return model


def logits(model: Model, data: Data, net: Any = None) -> torch.Tensor:
    """Of all test examples, one at a time, so that padding plays no part."""
    encoded = model.task.encode(data.test.inputs, data.test.targets, model.processor)
    with torch.no_grad():
        rows = [model.task.forward(net or model.net, model.task.collate(encoded, [i], model.processor))
                for i in range(min(6, len(encoded)))]
    return torch.cat([row.flatten(1) for row in rows]) if rows[0].dim() == 2 else torch.cat(
        [row.flatten() for row in rows])


@pytest.mark.parametrize("strategy", _STRATEGIES, ids=lambda s: s.name)
@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta"])
def test_peft_opens_what_is_saved_and_gives_the_same_logits(tmp_path: Path, family: str, strategy: Strategy) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    folder, data = texts(tmp_path, family)
    model = trained(folder, data, strategy)
    base = logits(load_backbone(folder, data.task), data)
    tuned = logits(model, data)
    assert not torch.allclose(base, tuned, atol=1e-3), "training has changed nothing: the test would prove nothing"
    model.save(tmp_path / "saved", merge=False)
    files = {file.name for file in (tmp_path / "saved").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "ftkit.json"} <= files
    assert "model.safetensors" not in files
    whole = sum(p.numel() for p in model.net.parameters()) * 4
    assert (tmp_path / "saved" / "adapter_model.safetensors").stat().st_size < whole / 2

    again = load_backbone(tmp_path / "saved")
    assert torch.equal(logits(again, data), tuned)
    assert again.layers.parameters == model.layers.parameters
    assert predict(again, data.test.inputs[0]).label == predict(model, data.test.inputs[0]).label
    net = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    net.config.pad_token_id = model.net.config.pad_token_id
    opened = PeftModel.from_pretrained(net, str(tmp_path / "saved")).eval()
    torch.testing.assert_close(logits(model, data, opened), tuned, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", _STRATEGIES[:2], ids=lambda s: s.name)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_merged_and_unmerged_give_the_same_logits(tmp_path: Path, family: str, strategy: Strategy) -> None:
    from transformers import AutoModelForSequenceClassification

    folder, data = texts(tmp_path, family)
    model = trained(folder, data, strategy)
    tuned, parameters = logits(model, data), [p.detach().clone() for p in model.net.parameters()]
    merged = model.merged()
    torch.testing.assert_close(logits(merged, data), tuned, rtol=1e-4, atol=1e-5)
    assert merged.parameters == load_backbone(folder, data.task).parameters
    assert all(torch.equal(a, b) for a, b in zip(parameters, model.net.parameters(), strict=True)), "model as it was"
    model.save(tmp_path / "saved", merge=False)
    model.save(tmp_path / "saved", merge=True)  # over the other kind: only one may be left
    assert not list((tmp_path / "saved").glob("adapter*"))
    for opened in (load_backbone(tmp_path / "saved").net,
                   AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")):
        torch.testing.assert_close(logits(model, data, opened.eval()), tuned, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "model.safetensors").exists()
    assert torch.equal(logits(load_backbone(tmp_path / "saved"), data), tuned)


@pytest.mark.parametrize("family", ["resnet18", "vgg11"])
def test_merging_convolutions(family: str) -> None:
    data, model = data_for("image"), tiny(family)
    fit(model, data, LoRA(r=2, alpha=16), **_SETTINGS)
    torch.testing.assert_close(logits(model.merged(), data), logits(model, data), rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name, _ in model.merged().net.named_modules())


def test_pictures_and_sounds(tmp_path: Path) -> None:
    tiny_images(tmp_path / "pictures")
    pictures = load_data(tmp_path / "pictures")
    model = trained(tiny_image_folder(tmp_path / "vision", "vit"), pictures, LoRA(r=2))
    model.save(tmp_path / "a", merge=False)
    assert torch.equal(logits(load_backbone(tmp_path / "a"), pictures), logits(model, pictures))

    spoken = load_data(tiny_spoken(tmp_path / "spoken", 16))
    heard = load_backbone(tiny_speech_folder(tmp_path / "net"), spoken.task)
    fit(heard, spoken, LoRA(r=2), **{**_SETTINGS, "batch_size": 4})
    heard.save(tmp_path / "b", merge=False)
    again = load_backbone(tmp_path / "b")
    assert torch.equal(logits(again, spoken), logits(heard, spoken))
    assert again.task == heard.task


def test_what_peft_saved_by_itself(tmp_path: Path) -> None:
    """A folder without a word of ftkit: the base is named in peft's configuration, the tokenizer is the base's."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    folder, data = texts(tmp_path)
    torch.manual_seed(0)
    net = get_peft_model(AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2), LoraConfig(
        task_type="SEQ_CLS", r=2, target_modules=["query"], init_lora_weights=False)).eval()
    net.save_pretrained(str(tmp_path / "peft"))
    model = load_backbone(tmp_path / "peft", data.task)
    torch.testing.assert_close(logits(model, data), logits(model, data, net), rtol=1e-5, atol=1e-6)
    assert "adapter" in model.layers.kinds.values()
    with pytest.raises(UserError, match=r"without a trained head: pass a task"):
        load_backbone(tmp_path / "peft")


def test_training_goes_on_from_saved_adapters(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    strategy = LoRA(r=2, last=1)
    trained(folder, data, strategy).save(tmp_path / "saved")
    again = load_backbone(tmp_path / "saved", data.task)
    before = logits(again, data)
    session = TrainSession(again, data, strategy, epochs=1, precision="fp32")
    assert torch.equal(logits(again, data), before), "the adapters that are there are those that go on"
    session.run()
    again.save(tmp_path / "further", merge=False)
    assert torch.equal(logits(load_backbone(tmp_path / "further"), data), logits(again, data))
    with pytest.raises(UserError, match=r"other adapters already: alpha_pattern|other adapters already: .*r=2, not 4"):
        TrainSession(again, data, LoRA(r=4, last=1), epochs=1)


def test_another_task_gets_the_adapters_and_a_fresh_head(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    model = trained(folder, data, LoRA(r=2))
    model.save(tmp_path / "saved")
    other = load_backbone(tmp_path / "saved", replace(data.task, labels=("one", "two", "three")))
    tensors, tuned = dict(other.net.named_parameters()), dict(model.net.named_parameters())
    assert tensors["classifier.weight"].shape == (3, 32)
    inside = [name for name in tuned if "lora_B" in name]
    assert inside
    assert all(torch.equal(tensors[name], tuned[name]) for name in inside)


def test_adapters_alone_are_refused_where_they_would_be_useless(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    model = tiny("bert")
    LoRA(r=2).adapt(model)
    with pytest.raises(UserError, match="cannot be saved: their base is not what load_backbone opens"):
        model.save(tmp_path / "a", merge=False)
    scratch = load_backbone(folder, data.task, pretrained=False)
    LoRA(r=2).adapt(scratch)
    with pytest.raises(UserError, match="cannot be saved: their base is not what"):
        scratch.save(tmp_path / "a", merge=False)
    tuned = load_backbone(folder, data.task)
    fit(tuned, data, "full", **_SETTINGS)
    fit(tuned, data, LoRA(r=2), **_SETTINGS)
    with pytest.raises(UserError, match=r"their base has itself been trained or changed. Use merge=True"):
        tuned.save(tmp_path / "a", merge=False)
    assert not (tmp_path / "a").exists()
    tuned.save(tmp_path / "a")  # nothing is lost: then the whole model is written
    torch.testing.assert_close(logits(load_backbone(tmp_path / "a"), data), logits(tuned, data), rtol=1e-4, atol=1e-5)


def test_a_prompt_cannot_be_merged(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    model = trained(folder, data, PromptTuning(3))
    with pytest.raises(UserError, match="A prompt is no change of weights"):
        model.save(tmp_path / "a", merge=True)


def test_damage_is_named(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    trained(folder, data, LoRA(r=2)).save(tmp_path / "saved")
    tiny_text_folder(tmp_path / "base", seed=5)  # the base's folder now holds other weights
    with pytest.raises(WeightsError, match=r"were trained on another .*base"):
        load_backbone(tmp_path / "saved")
    tiny_text_folder(tmp_path / "base")
    load_backbone(tmp_path / "saved")
    weights = tmp_path / "saved" / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(WeightsError, match="cannot be put into"):
        load_backbone(tmp_path / "saved")
    weights.write_bytes(whole)
    config = json.loads((tmp_path / "saved" / "adapter_config.json").read_text(encoding="utf8"))
    (tmp_path / "saved" / "adapter_config.json").write_text(json.dumps(config | {"r": 4}), encoding="utf8")
    with pytest.raises(WeightsError, match=r"size mismatch|cannot be put into"):
        load_backbone(tmp_path / "saved")
    (tmp_path / "base" / "config.json").unlink()
    with pytest.raises(UserError):
        load_backbone(tmp_path / "saved")


def test_the_digest_sees_the_body_and_nothing_else() -> None:
    model = tiny("resnet18")
    before = digest(model)
    LoRA(r=2).adapt(model)
    assert digest(model) == before
    with torch.no_grad():
        model.net.fc.weight.add_(1)  # type: ignore[union-attr,operator]
    assert digest(model) == before
    norm = next(m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean.add_(1)  # type: ignore[union-attr]
    assert digest(model) != before


def test_fit_saves_the_adapters(tmp_path: Path) -> None:
    folder, data = texts(tmp_path)
    model = load_backbone(folder, data.task)
    fit(model, data, "lora:r=2,last=1", out=tmp_path / "out", **_SETTINGS)
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert evaluate(load_backbone(tmp_path / "out"), data.test)["loss"] == evaluate(model, data.test)["loss"]
