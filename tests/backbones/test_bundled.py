"""A backbone that comes with ftkit: checked, loaded without a connection, refused when it is not what was published.

The networks here are of the bundled kind and size, with random weights, exported as the recipes do it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from factory import tiny_text_folder
from nets import pictures, texts

from ftkit.backbones import SPECS, BackboneSpec, list_backbones, load_backbone
from ftkit.backbones.small import SMALL, build_small
from ftkit.disk import file_sha256
from ftkit.errors import WeightsError
from ftkit.pretraining.recipe import half
from ftkit.pretraining.resnet_mini import ResNetMini
from ftkit.tasks import Task, make_task

NAMES = ("tiny-bert", *SMALL)


@pytest.fixture(params=NAMES)
def bundled(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackboneSpec:
    """The row of a backbone that lies in a bundled folder of its own."""
    name, folder = request.param, tmp_path / "backbones" / request.param
    if name in SMALL:
        folder.mkdir(parents=True)
        recipe = ResNetMini(tmp_path)
        recipe.classes = ["thing"]
        recipe.write(build_small(name, 200), folder)
    else:
        _export_text(tiny_text_folder(tmp_path / "made"), folder)
    spec = BackboneSpec(name, "image" if name in SMALL else "text", "torchvision" if name in SMALL else "transformers",
                        name, 1.0, "CC0", "For a test.", bundled=True, classes=200,
                        sha256=file_sha256(folder / "model.safetensors"))
    monkeypatch.setitem(SPECS, name, spec)
    monkeypatch.setattr("ftkit.backbones.sources.bundled_root", lambda: tmp_path)
    return spec


def _export_text(made: Path, folder: Path) -> None:
    """The body of a small BERT in 16 bits, with its tokenizer."""
    from transformers import AutoModel, AutoTokenizer

    net = AutoModel.from_pretrained(made, dtype=torch.float32)
    net.save_pretrained(folder, state_dict=half(net.state_dict()))
    AutoTokenizer.from_pretrained(made).save_pretrained(folder)


def task_for(spec: BackboneSpec) -> Task:
    return make_task(f"{spec.modality}-classification", ("bad", "good"))


def says(model: Any) -> torch.Tensor:
    """The scores of three fixed examples."""
    inputs, targets = texts(3) if model.task.modality == "text" else pictures(3)
    encoded = model.task.encode(inputs, targets, model.processor)
    with torch.no_grad():
        return model.task.forward(model.net, model.task.collate(encoded, range(3), model.processor))


def test_it_loads_in_full_precision_without_a_connection(bundled: BackboneSpec,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **_: Any) -> None:
        raise AssertionError(f"a socket was opened: {args[1:]}")

    for method in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, method, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = load_backbone(bundled.name, task_for(bundled))
    assert model.origin == "pretrained, from ftkit itself"
    assert all(p.dtype == torch.float32 for p in model.net.parameters())
    assert says(model).shape == (3, 2)
    assert {row["name"]: row["offline"] for row in list_backbones()}[bundled.name]


def test_from_scratch_has_other_weights_and_the_same_layers(bundled: BackboneSpec) -> None:
    one, other = (load_backbone(bundled.name, task_for(bundled), pretrained=flag, seed=1) for flag in (True, False))
    weights = [dict(model.net.named_parameters()) for model in (one, other)]
    matrices = [name for name, p in weights[0].items() if p.dim() > 1 and one.layers.group_of(name) != "head"]
    assert matrices
    assert not any(torch.equal(weights[0][name], weights[1][name]) for name in matrices)
    assert one.layers.names == other.layers.names
    assert other.origin == "from scratch, random weights"


def test_a_saved_copy_opens_and_says_the_same(bundled: BackboneSpec, tmp_path: Path) -> None:
    model = load_backbone(bundled.name, task_for(bundled))
    model.save(tmp_path / "mine")
    assert torch.equal(says(model), says(load_backbone(tmp_path / "mine")))


def test_one_wrong_bit_is_refused_with_what_to_do(bundled: BackboneSpec, tmp_path: Path) -> None:
    weights = tmp_path / "backbones" / bundled.name / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-7] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged: sha256 .* Install ftkit again; in a checkout: git checkout"):
        load_backbone(bundled.name, task_for(bundled))


def test_missing_weights_say_what_to_do(bundled: BackboneSpec, tmp_path: Path) -> None:
    (tmp_path / "backbones" / bundled.name / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"should have come with ftkit .* Install ftkit again"):
        load_backbone(bundled.name, task_for(bundled))
    assert not {row["name"]: row["offline"] for row in list_backbones()}[bundled.name]
