"""The report: layer table, measured cost, audit. Its figures are checked against ones worked out by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from factory import tiny_text_folder

import ftkit as ft
from ftkit.data import Split
from ftkit.errors import UserError

TEXTS = ["a good film", "a bad film", "the soup was cold and bad", "the soup was hot and good"] * 6
TARGETS = [1, 0, 0, 1] * 6


class Data:
    """Train and valid for a session."""

    def __init__(self) -> None:
        self.train = Split("train", TEXTS, TARGETS, ("bad", "good"))
        self.valid = Split("valid", TEXTS[:8], TARGETS[:8], ("bad", "good"))
        self.task = ft.tasks.make_task("text-classification", ("bad", "good"))


@pytest.fixture
def data() -> Data:
    return Data()


@pytest.fixture
def model(tmp_path: object, data: Data) -> ft.Model:
    return ft.load_backbone(tiny_text_folder(tmp_path / "bert", "bert"), data.task)  # type: ignore[operator]


def test_layer_table_adds_up(model: ft.Model) -> None:
    rows = ft.report.layers(model)
    assert [row["group"] for row in rows] == model.layers.names
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in model.net.parameters())
    probe = ft.report.layers(model, "probe")
    assert [row["trains"] for row in probe] == ["no"] * (len(rows) - 1) + ["yes"]
    assert ft.report.layers(model, "bitfit")[0]["trains"] == "partly"


def test_cost_matches_what_can_be_worked_out(model: ft.Model, data: Data) -> None:
    full = ft.report.cost(model, data.train, "full")
    probe = ft.report.cost(model, data.train, "probe")
    assert full.trainable == model.parameters
    assert full.gradient_bytes == 4 * model.parameters
    # AdamW keeps two numbers per parameter, and a step counter (one float) per tensor.
    tensors = len(list(model.net.parameters()))
    assert full.optimizer_bytes == 8 * model.parameters + 4 * tensors
    assert probe.forward_flops == full.forward_flops
    assert probe.backward_flops < full.backward_flops / 5
    assert probe.activation_bytes < full.activation_bytes / 5
    assert 1.5 < full.backward_flops / full.forward_flops < 2.5


def test_which_layers_train_costs_more_than_how_many(model: ft.Model, data: Data) -> None:
    """Trap 4: gradients must cross the frozen layers above a thawed one."""
    first = ft.report.cost(model, data.train, "custom:block_0=1,head=1")
    last = ft.report.cost(model, data.train, "custom:block_2=1,head=1")
    assert first.trainable == last.trainable
    assert first.backward_flops > 1.3 * last.backward_flops
    assert first.activation_bytes > 1.3 * last.activation_bytes


def test_cost_leaves_the_model_as_it_was(data: Data) -> None:
    task = ft.tasks.make_task("image-classification", ("a", "b"))
    model = ft.load_backbone("resnet18", task, pretrained=False, image_size=32)
    pictures = [torch.randint(0, 255, (32, 32, 3), dtype=torch.uint8).numpy() for _ in range(8)]
    model.net.conv1.weight.requires_grad_(False)
    before, random = copy.deepcopy(model.net.state_dict()), torch.get_rng_state()
    ft.report.cost(model, Split("train", pictures, [0, 1] * 4, ("a", "b")), "full")
    after = model.net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # running statistics too
    assert not model.net.conv1.weight.requires_grad
    assert model.net.fc.weight.requires_grad
    assert not model.net.training
    assert all(p.grad is None for p in model.net.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_cost_of_no_split_is_refused(model: ft.Model, data: Data) -> None:
    with pytest.raises(UserError, match=r"data\.train"):
        ft.report.cost(model, data, "full")


def test_audit_of_an_honest_run(model: ft.Model, data: Data) -> None:
    history = ft.fit(model, data, "last_k:k=1", epochs=2, progress=False)
    audit = ft.audit(model, history)
    moved = {row["group"]: row["moved"] for row in audit.rows}
    assert not audit.warnings
    assert moved["stem"] == moved["block 0"] == moved["block 1"] == 0
    assert moved["block 2"] > 0
    assert moved["head"] > 0
    by_group = {row["group"]: row for row in audit.rows}
    assert by_group["head"]["drift"] > 0
    assert by_group["stem"]["drift"] == 0
    assert "planned" in str(audit)
    assert list(audit.frame()["group"]) == model.layers.names


def test_audit_finds_a_frozen_weight_that_moved(model: ft.Model, data: Data) -> None:
    history = ft.fit(model, data, "probe", epochs=1, progress=False)
    with torch.no_grad():
        next(model.net.parameters())[0, 0] += 1e-6
    assert any("moved while frozen" in warning and "stem" in warning for warning in ft.audit(model, history).warnings)


def test_audit_finds_what_was_to_train_and_did_not(model: ft.Model, data: Data) -> None:
    history = ft.fit(model, data, "probe", epochs=1, progress=False)
    history.start.planned.add(model.layers["block 0"].parameters[0])
    history.start.names.append(model.layers["block 1"].parameters[0])
    history.start.names.pop()
    assert any("did not move" in warning and "block 0" in warning for warning in ft.audit(model, history).warnings)


def test_audit_finds_statistics_of_a_frozen_batchnorm_that_moved() -> None:
    task = ft.tasks.make_task("image-classification", ("a", "b"))
    model = ft.load_backbone("resnet18", task, pretrained=False, image_size=32)
    pictures = [torch.randint(0, 255, (32, 32, 3), dtype=torch.uint8).numpy() for _ in range(8)]

    class Pictures:
        train = valid = Split("train", pictures, [0, 1] * 4, ("a", "b"))

    history = ft.fit(model, Pictures, "probe", epochs=1, progress=False)
    assert not ft.audit(model, history).warnings
    model.net.train()
    model.task.forward(model.net, {"pixel_values": torch.randn(4, 3, 32, 32)})  # what a careless loop does
    warnings = ft.audit(model, history).warnings
    assert any("running statistics" in warning for warning in warnings)


def test_audit_looks_into_the_optimizer(model: ft.Model, data: Data) -> None:
    session = ft.TrainSession(model, data, "last_k:k=1", epochs=2)
    session.run(2)
    assert not ft.audit(model, session.history, session.optimizer).warnings
    model.net.requires_grad_(True)  # thawed behind the session's back
    warnings = ft.audit(model, session.history, session.optimizer).warnings
    assert any("not in the optimizer" in warning for warning in warnings)


def test_audit_needs_the_first_weights(model: ft.Model, data: Data) -> None:
    history = ft.History.from_json(ft.fit(model, data, "probe", epochs=1, progress=False).to_json())
    with pytest.raises(UserError, match="first weights"):
        ft.audit(model, history)
