"""Mixed weights: what lies at the ends, in the middle, beyond; whose head it is; and with adapters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from nets import data_for, tiny
from writers import log_data, writer

import ftkit as ft
from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.report import WiseFT, interpolate, wise_ft
from ftkit.report.wise import falls
from ftkit.strategies import DropLayers, LoRA
from ftkit.training import History, evaluate, fit

_SETTINGS: dict[str, Any] = {"epochs": 2, "lr": 1e-2, "batch_size": 8, "precision": "fp32", "progress": False}


def tuned(family: str = "bert", strategy: Any = "full") -> tuple[Model, Model, History]:
    """The model before, a copy of it after training, and the run."""
    before, after = tiny(family), tiny(family)
    return before, after, fit(after, data_for(after.task.modality), strategy, **_SETTINGS)


def tensors(model: Model) -> dict[str, torch.Tensor]:
    return {**dict(model.net.named_parameters()), **dict(model.net.named_buffers())}


@pytest.mark.parametrize("family", ["bert", "resnet18"])
def test_every_weight_and_statistic_lies_on_the_line(family: str) -> None:
    before, after, _ = tuned(family)
    kept = {name: tensor.clone() for name, tensor in tensors(after).items()}
    for alpha in (0.0, 0.25, 1.0, 1.5):
        mixed = tensors(interpolate(before, after, alpha))
        for name, start in tensors(before).items():
            wanted = (1 - alpha) * start + alpha * kept[name] if start.is_floating_point() else kept[name]
            torch.testing.assert_close(mixed[name], wanted, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in tensors(after).items()), "after is as it was"


def test_a_history_holds_the_start_and_the_head_stays_that_of_after() -> None:
    before, after, history = tuned()
    mixed, whole = tensors(interpolate(history, after, 0.0)), tensors(after)
    for name, start in tensors(before).items():
        head = after.layers.group_of(name) == "head" if name in after.layers.parameters else False
        assert torch.equal(mixed[name], whole[name] if head else start), name
    both = tensors(interpolate(history, after, 0.0, head=True))
    assert all(torch.equal(both[name], start) for name, start in tensors(before).items())
    assert torch.equal(tensors(interpolate(before, after, 0.0))["classifier.weight"], before.net.classifier.weight)  # type: ignore[union-attr]


def test_half_the_way_with_adapters_is_half_their_change() -> None:
    before, after, history = tuned("bert", LoRA(r=2, alpha=64))
    full = tensors(after.merged())
    name = "bert.encoder.layer.1.attention.self.query.weight"
    change = full[name] - tensors(before)[name]
    assert change.norm() > 0.01 * full[name].norm()
    for start in (before, history):
        mixed = interpolate(start, after, 0.5)
        assert mixed.adapters is None
        torch.testing.assert_close(tensors(mixed)[name], tensors(before)[name] + change / 2, rtol=1e-4, atol=1e-5)
    assert after.adapters is not None


def test_dropped_layers_from_their_own_start() -> None:
    before, after, history = tuned("bert", DropLayers(1))
    assert torch.equal(tensors(interpolate(history, after, 0.0))["bert.encoder.layer.1.output.dense.weight"],
                       tensors(before)["bert.encoder.layer.1.output.dense.weight"])
    with pytest.raises(UserError, match=r"same architecture can be mixed: bert.encoder.layer.2"):
        interpolate(before, after, 0.5)


def test_the_curve_of_a_classifier() -> None:
    before, after, history = tuned()
    data = data_for("text")
    topics = tiny("bert", labels=("a", "b", "c"))

    def drift(model: Model) -> float:
        pairs = zip(model.net.parameters(), before.net.parameters(), strict=True)
        return sum((p - q).detach().norm().item() for p, q in pairs)

    found = wise_ft(history, after, data.test, drift, alphas=(1, 0, 0.5))
    assert [row["alpha"] for row in found.rows] == [0, 0.5, 1]
    assert (found.new, found.old) == ("accuracy", "drift")
    assert found.rows[-1]["new"] == evaluate(after, data.test)["accuracy"]
    assert found.rows[2]["old"] > found.rows[1]["old"] > found.rows[0]["old"]
    assert list(found.frame()["alpha"]) == [0, 0.5, 1]
    forgetting = wise_ft(history, after, data.test, lambda m: ft.report.forgetting(topics, m, topics_split())["after"])
    assert (len(forgetting.rows), forgetting.old) == (11, "score")


def topics_split() -> Any:
    split = data_for("text").test
    split.labels, split.targets = ("a", "b", "c"), [i % 3 for i in range(len(split.targets))]
    return split


def test_the_curve_of_a_text_generator_is_one_of_losses() -> None:
    model, data = writer("gpt2"), log_data()
    start = writer("gpt2")
    fit(model, data, "full", **_SETTINGS)
    found = wise_ft(start, model, data.test, data.train, alphas=(0, 1))
    assert (found.new, found.old) == ("loss", "loss")
    assert found.rows[0]["new"] == pytest.approx(evaluate(start, data.test)["loss"])
    assert found.rows[1]["new"] == pytest.approx(evaluate(model, data.test)["loss"])
    assert found.rows[1]["new"] < found.rows[0]["new"]


def test_the_best_point_keeps_what_it_must() -> None:
    rows = [{"alpha": a, "new": n, "old": o} for a, n, o in ((0, 0.5, 0.9), (0.5, 0.8, 0.88), (1, 0.85, 0.6))]
    assert WiseFT(rows, "accuracy", "accuracy").best(0.05)["alpha"] == 0.5
    assert WiseFT(rows, "accuracy", "accuracy").best(0.5)["alpha"] == 1
    assert WiseFT(rows, "accuracy", "accuracy").best(0)["alpha"] == 0
    falling = [{"alpha": a, "new": n, "old": o} for a, n, o in ((0, 3.0, 2.0), (0.5, 2.1, 2.1), (1, 2.0, 4.0))]
    assert WiseFT(falling, "loss", "loss").best(0.2)["alpha"] == 0.5


def test_a_change_by_lora_has_its_rank_and_one_by_full_fine_tuning_has_more() -> None:
    before, after, history = tuned("bert", LoRA(r=2, alpha=64))
    changes = ft.report.weight_changes(history, after)
    assert {one.group for one in changes} == {"block 0", "block 1", "block 2"}
    assert len(changes) == 3 * 6
    for one in changes:
        assert one.rank(0.99999) <= 2
        assert one.values[2] < 1e-4 * one.values[0]
        assert len(one.values) == min(one.shape)
        assert one.size == pytest.approx(float(np.linalg.norm(one.values)) / float(
            dict(before.net.named_parameters())[one.name].detach().norm()), rel=1e-3)
    _, full, run = tuned()
    wide = ft.report.weight_changes(run, full)
    assert np.median([one.rank() for one in wide]) > 2
    assert [one.name for one in wide] == [one.name for one in changes]
    picture = ft.viz.weight_changes({"LoRA r=2": changes, "full": wide})
    assert "LoRA r=2: half of the matrices have 90 % of their change in" in picture.alt
    assert len(picture.png()) > 5000
    with pytest.raises(UserError, match="No weight matrix of a block has changed"):
        ft.report.weight_changes(before, tiny("bert"))
    with pytest.raises(UserError, match="draws runs by name"):
        ft.viz.weight_changes({})


@pytest.mark.parametrize(("change", "message"), [
    (lambda b, a, h: interpolate(b, a, "half"), "alpha is a number such as 0.5"),
    (lambda b, a, h: interpolate(b, a, float("nan")), "alpha is a number"),
    (lambda b, a, h: interpolate("bert", a, 0.5), "before is a Model, or the History"),
    (lambda b, a, h: interpolate(History(), a, 0.5), "no longer knows the first weights"),
    (lambda b, a, h: interpolate(h, tiny("gpt2"), 0.5), "This history is of another model"),
    (lambda b, a, h: interpolate(tiny("gpt2"), a, 0.5), "same architecture can be mixed: transformer"),
    (lambda b, a, h: wise_ft(b, a, None, None, alphas=()), "alphas is empty"),
    (lambda b, a, h: ft.viz.wise_ft(h), "draws what ft.report.wise_ft returned, not History"),
    (lambda b, a, h: ft.viz.wise_ft(WiseFT([], "a", "b")), "One point is no curve"),
])
def test_mistakes(change: Any, message: str) -> None:
    before, after = tiny("bert"), tiny("bert")
    history = fit(after, data_for("text"), "probe", **{**_SETTINGS, "epochs": 1})
    with pytest.raises(UserError, match=re.escape(message)):
        change(before, after, history)


def test_the_picture_says_what_it_shows() -> None:
    rows = [{"alpha": a / 4, "new": 0.5 + 0.1 * a, "old": 2 + a**2 / 9} for a in range(5)]
    picture = ft.viz.wise_ft(WiseFT(rows, "accuracy", "loss"))
    assert "alpha 0.5: new 0.7, old 2.44" in picture.alt
    left, right = picture.axes[0], picture.axes[1]
    assert right.xaxis_inverted()
    assert not right.yaxis_inverted()
    assert left.get_ylabel() == "new domain: accuracy"
    assert len(picture.png()) > 5000


@pytest.mark.parametrize(("measure", "less_is_better"), [
    ("loss", True), ("bits_per_byte", True), ("cer", True), ("distortion", True), ("word error", True),
    ("accuracy", False), ("right answers", False), ("certainty", False), ("score", False)])
def test_whole_words_say_which_way_is_better(measure: str, less_is_better: bool) -> None:
    assert falls(measure) is less_is_better
