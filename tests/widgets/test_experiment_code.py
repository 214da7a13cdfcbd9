"""Show code: both programs are executed, on a model loaded afresh, and give the losses of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import tiny_speech_folder, tiny_spoken
from nets import data_for, tiny

from ftkit.backbones import load_backbone
from ftkit.data import load_data
from ftkit.strategies import Custom, GradualUnfreeze, LastK, LoRA
from ftkit.widgets.experiment import Experiment

_OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "precision": "fp32", "cache": "off"}


def make(family: str, strategy: Any = "probe", **settings: Any) -> Experiment:
    model = tiny(family)
    return Experiment(model, data_for(model.task.modality), strategy, **{**_OPTIONS, **settings})


def execute(source: str, family: str) -> list[float]:
    """Run a program as a student would, in a fresh notebook."""
    model = tiny(family)
    names: dict[str, Any] = {"model": model, "data": data_for(model.task.modality), "__name__": "__main__"}
    exec(compile(source, "<show code>", "exec"), names)
    found: list[float] = names["losses"]
    return found


def losses(experiment: Experiment) -> list[float]:
    return [row["loss"] for row in experiment.session.history.steps]


def check(experiment: Experiment, family: str) -> None:
    code = experiment.code()
    assert execute(code["ftkit"], family) == losses(experiment)
    assert execute(code["torch"], family) == pytest.approx(losses(experiment), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2", "distilbert", "vit", "resnet", "resnet18", "vgg11", "wav2vec2"])
def test_a_run_with_switches(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make(family)
    experiment.train(steps=3)
    experiment.toggle("block 1")
    experiment.train(steps=2)
    experiment.scale("block 1", 0.3)
    experiment.train(steps=2)
    experiment.train({"block 0": 0.5, "head": 1}, 3)
    check(experiment, family)
    assert len(losses(experiment)) == 10
    assert capsys.readouterr().out  # the programs say how they ended


@pytest.mark.parametrize(("strategy", "settings"), [
    ("probe", {}), ("full", {}), ("gradual", {}), ("bitfit", {}), ("discriminative:factor=0.5,decay=cosine", {}),
    (LastK(k=1), {}), (Custom([{"head": 1}, {"head": 1, "stem": 0.2}]), {}),
    (Custom(lambda layers, epoch: {"head": 1, f"block {epoch}": 0.5}), {}),
    ("full", {"accumulate": 2}), ("full", {"accumulate": 4, "clip": None}), ("full", {"clip": None}),
    ("full", {"optimizer": "sgd", "lr": 0.01}),
    ("half", {}), ("lora:r=2,last=2", {}), (LoRA(r=2, dropout=0.1, inner=GradualUnfreeze()), {}), ("ia3", {}),
    ("prompt:n=3", {}), ("drop_layers:k=1", {}),
    ("full", {"class_weights": [1.0, 3.0]}), ("last_k:k=1", {"seed": 5, "weight_decay": 0.3}),
], ids=str)
def test_strategies_and_settings(strategy: Any, settings: dict[str, Any]) -> None:
    experiment = make("bert", strategy, **settings)
    code = experiment.code()  # before the first step: the run to come
    experiment.train()
    assert execute(code["ftkit"], "bert") == losses(experiment)
    assert execute(code["torch"], "bert") == pytest.approx(losses(experiment), rel=1e-4, abs=1e-5)
    assert experiment.code() == code  # and afterwards the same program


@pytest.mark.parametrize("augment", [False, True])
def test_a_recogniser(tmp_path: Path, augment: bool) -> None:
    data, folder = load_data(tiny_spoken(tmp_path / "spoken", 24)), tiny_speech_folder(tmp_path / "net")
    model = load_backbone(folder, data.task)
    experiment = Experiment(model, data, "frozen_stem", epochs=2, batch_seconds=0.6, precision="fp32", cache="off",
                            augment=augment)
    experiment.train(steps=5)
    code = experiment.code()
    for program in (code["ftkit"], code["torch"]):
        np.random.seed(7)  # masking uses NumPy's global numbers: what they were before must not matter
        names: dict[str, Any] = {"model": load_backbone(folder, data.task), "data": data, "__name__": "__main__"}
        exec(compile(program, "<show code>", "exec"), names)
        assert names["losses"] == pytest.approx(losses(experiment), rel=1e-4)
        assert len(names["losses"]) == 5
        assert np.random.random() == np.random.RandomState(7).random() or program is code["torch"], "put back"


@pytest.mark.parametrize("family", ["gpt2", "resnet18", "wav2vec2"])
def test_adapters(family: str) -> None:
    experiment = make(family, "lora:r=2")
    experiment.train(steps=4)
    experiment.toggle("block 0")  # the block's own weights as well, from here on
    experiment.train(steps=3)
    assert "inject_adapter_in_model(LoraConfig(r=2, " in experiment.code()["torch"]
    check(experiment, family)


def test_batchnorm() -> None:
    experiment = make("resnet", "bn_only")
    experiment.train(steps=4)
    experiment.train("gradual", 10)
    check(experiment, "resnet")


def test_augmented_pictures() -> None:
    experiment = make("vit", "full", augment=True)
    experiment.train(steps=7)
    check(experiment, "vit")


def test_bf16() -> None:
    experiment = make("bert", "full", precision="bf16")
    experiment.train(steps=5)
    code = experiment.code()
    assert "torch.autocast('cpu', dtype=torch.bfloat16)" in code["torch"]
    assert execute(code["torch"], "bert") == pytest.approx(losses(experiment), abs=0.01)


def test_a_switch_that_waits_belongs_to_the_run_to_come() -> None:
    experiment = make("bert")
    experiment.preset("all")
    code = experiment.code()
    assert "session.apply({'stem': 0.1, " in code["ftkit"]
    experiment.train()
    assert execute(code["ftkit"], "bert") == losses(experiment)


def test_a_branch_is_written_as_the_way_that_leads_there() -> None:
    experiment = make("bert")
    experiment.train(steps=4)
    experiment.toggle("block 0")
    experiment.train(steps=3)
    mark = experiment.checkpoint()
    experiment.train("all", 4)
    experiment.branch(mark, "gradual")
    experiment.train(steps=2)
    mark = experiment.checkpoint()
    experiment.branch(mark)
    experiment.train(steps=6)
    assert len(losses(experiment)) == 15
    check(experiment, "bert")
    experiment.branch("start")
    experiment.train(steps=2)
    check(experiment, "bert")
