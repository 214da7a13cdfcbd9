"""The six ways in which freezing goes wrong: each is first walked into with plain PyTorch, then shown to be avoided."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from nets import data_for, tiny
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ftkit.errors import UnknownName, UserError
from ftkit.layers import LayerMap
from ftkit.strategies import Custom
from ftkit.training import TrainSession
from ftkit.training.freezing import apply_plan, make_optimizer, optimizer_state, restore_optimizer, set_rate

_LAYOUT = [("stem", ["0"]), ("block 0", ["1"]), ("head", ["2"])]
_GRADUAL = Custom([{"head": 1}, {"head": 1, "block 2": 1}])


def three_layers() -> tuple[Any, LayerMap]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    return net, LayerMap(net, _LAYOUT)


def one_step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    net(torch.ones(3, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def session_for(family: str, strategy: object, **settings: object) -> TrainSession:
    model = tiny(family)
    options = {"batch_size": 8, "precision": "fp32", "epochs": 2, "lr": 1e-2, "keep_best": False, **settings}
    return TrainSession(model, data_for(model.task.modality), strategy, **options)  # type: ignore[arg-type]


def weights(session: TrainSession, group: str) -> dict[str, torch.Tensor]:
    return {name: session.net.get_parameter(name).detach().clone() for name in session.layers[group].parameters}


def moved(session: TrainSession, before: dict[str, torch.Tensor]) -> list[bool]:
    return [not torch.equal(session.net.get_parameter(name), value) for name, value in before.items()]


# --- 1. thawed, but the optimizer does not know ---------------------------------------------------------------------


def test_trap_1_is_real_a_thawed_layer_outside_the_optimizer_never_moves() -> None:
    net, _ = three_layers()
    net[1].requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1)  # the usual filter
    net[1].requires_grad_(True)  # thawed, and forgotten
    before = net[1].weight.detach().clone()
    net(torch.ones(3, 4)).sum().backward()
    assert net[1].weight.grad is not None
    assert net[1].weight.grad.abs().sum() > 0
    optimizer.step()
    assert torch.equal(net[1].weight, before)


def test_trap_1_is_avoided_what_thaws_enters_the_optimizer() -> None:
    session = session_for("bert", _GRADUAL)
    before = weights(session, "block 2")
    session.run(steps=3)  # epoch 0: the head
    assert not any(moved(session, before))
    session.run(steps=2)  # epoch 1: the last block too
    assert all(moved(session, before))


def test_trap_1_is_avoided_with_plain_layers_too() -> None:
    net, layers = three_layers()
    optimizer = make_optimizer("adamw", net, 0.0)
    apply_plan(net, layers, {"2.weight": 1.0}, optimizer)
    set_rate(optimizer, 0.1)
    one_step(net, optimizer)
    before = net[1].weight.detach().clone()
    apply_plan(net, layers, {"2.weight": 1.0, "1.weight": 0.5}, optimizer)
    set_rate(optimizer, 0.1)
    one_step(net, optimizer)
    assert not torch.equal(net[1].weight, before)
    assert sorted(g["lr"] for g in optimizer.param_groups if g["params"]) == pytest.approx([0.05, 0.1])


# --- 2. frozen, with an old gradient --------------------------------------------------------------------------------


def test_trap_2_is_real_a_frozen_layer_with_a_stale_gradient_still_moves_under_adamw() -> None:
    net, _ = three_layers()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(torch.ones(3, 4)).sum().backward()
    net[1].requires_grad_(False)  # frozen after backward: its gradient lies there, and so does its momentum
    before = net[1].weight.detach().clone()
    optimizer.step()
    assert not torch.equal(net[1].weight, before)
    optimizer.zero_grad(set_to_none=False)  # gradients of zero are gradients: decay and momentum still move it
    before = net[1].weight.detach().clone()
    optimizer.step()
    assert not torch.equal(net[1].weight, before)


def test_trap_2_is_avoided_freezing_clears_gradient_and_momentum() -> None:
    net, layers = three_layers()
    optimizer = make_optimizer("adamw", net, 0.01)
    apply_plan(net, layers, dict.fromkeys(layers.parameters, 1.0), optimizer)
    set_rate(optimizer, 0.1)
    one_step(net, optimizer)
    net(torch.ones(3, 4)).sum().backward()  # a gradient is waiting when the plan changes
    apply_plan(net, layers, {"2.weight": 1.0, "2.bias": 1.0}, optimizer)
    set_rate(optimizer, 0.1)
    assert net[1].weight.grad is None
    assert net[1].weight not in optimizer.state
    assert net[2].weight in optimizer.state  # what goes on training keeps its momentum
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer.step()
    assert {n for n, p in net.named_parameters() if not torch.equal(p, before[n])} == {"2.weight", "2.bias"}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_trap_2_is_avoided_in_a_session_that_freezes_again(optimizer: str) -> None:
    session = session_for("bert", Custom([{"head": 1, "block 2": 1, "stem": 1}, {"head": 1}]), optimizer=optimizer)
    session.run(steps=3)
    before = weights(session, "block 2") | weights(session, "stem")
    session.run()
    assert not any(moved(session, before))


# --- 3. frozen BatchNorm in train mode ------------------------------------------------------------------------------


def test_trap_3_is_real_a_frozen_batchnorm_drifts_in_train_mode() -> None:
    net: Any = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    net(torch.ones(2, 3, 2, 2))
    for parameter in net[1].parameters():
        parameter.requires_grad_(False)
    before = net[1].running_mean.clone()
    net.train()
    net(torch.randn(8, 3, 2, 2) + 5)
    assert not torch.equal(net[1].running_mean, before)


@pytest.mark.parametrize("family", ["resnet18", "resnet"])
def test_trap_3_is_avoided_frozen_groups_are_in_eval_mode(family: str) -> None:
    session = session_for(family, "last_k:k=1")
    buffers = {name: b.clone() for name, b in session.net.named_buffers()}
    session.run(steps=2)
    changed = {name for name, b in session.net.named_buffers() if not torch.equal(b, buffers[name])}
    last = session.layers.blocks[-1].modules
    assert changed
    assert all(name.startswith(last) for name in changed)
    for group in session.layers:
        for path in group.modules:
            assert session.net.get_submodule(path).training == (group in session.layers.groups[-2:])


def test_trap_3_is_avoided_inside_a_group_that_trains_in_part() -> None:
    chosen = "layer4.1.conv2.weight"  # its neighbour, the BatchNorm of the same block, is frozen
    session = session_for("resnet18", Custom({"head": 1, chosen: 1}))
    buffers = {name: b.clone() for name, b in session.net.named_buffers()}
    session.run(steps=2)
    assert all(torch.equal(b, buffers[name]) for name, b in session.net.named_buffers())


def test_trap_3_is_avoided_after_the_validation_pass_too() -> None:
    session = session_for("resnet18", "last_k:k=1")
    session.run(steps=3)  # one epoch with its validation, which puts everything in eval mode
    assert session.net.layer4[1].bn1.training
    assert not session.net.layer1[0].bn1.training
    session.step()
    assert session.net.layer4[1].bn1.training
    assert not session.net.layer1[0].bn1.training


def test_frozen_dropout_is_off_and_thawed_dropout_is_on() -> None:
    session = session_for("bert", "last_k:k=1")
    session.step()
    assert session.net.bert.encoder.layer[2].attention.self.dropout.training
    assert not session.net.bert.encoder.layer[0].attention.self.dropout.training
    assert not session.net.bert.embeddings.dropout.training


# --- 4. which layers train costs more than how many -----------------------------------------------------------------


def flops(net: nn.Module, chosen: nn.Module) -> int:
    net.requires_grad_(False)
    chosen.requires_grad_(True)
    with FlopCounterMode(display=False) as counter:
        net(torch.ones(8, 64)).sum().backward()
    return counter.get_total_flops()


def test_trap_4_is_real_gradients_must_cross_the_frozen_layers_above() -> None:
    net = nn.Sequential(*(nn.Linear(64, 64) for _ in range(6)))
    first, last = flops(net, net[0]), flops(net, net[-1])
    forward = 6 * 2 * 8 * 64 * 64
    assert last == forward + forward // 6  # one weight gradient
    assert first == forward + forward // 6 + 5 * forward // 6  # the same, and the way back through five frozen layers


@pytest.mark.parametrize("family", ["bert", "gpt2", "resnet18"])
def test_trap_4_is_measured_in_a_session(family: str) -> None:
    """As many parameters train in both runs; the one that is nearer to the input costs more."""
    costs, trained = {}, {}
    for block in ("block 0", "block 1"):
        session = session_for(family, Custom({block: 1}), cache="off")
        with FlopCounterMode(display=False) as counter:
            session.step()
        costs[block] = counter.get_total_flops()
        trained[block] = sum(p.numel() for p in session.net.parameters() if p.requires_grad)
    assert trained["block 0"] == trained["block 1"]
    assert costs["block 0"] > 1.05 * costs["block 1"]


# --- 5. by identity, never by value ---------------------------------------------------------------------------------


def test_trap_5_is_real_equal_zero_biases_look_the_same() -> None:
    net, _ = three_layers()
    nn.init.zeros_(net[0].bias), nn.init.zeros_(net[1].bias)
    wanted = [net[1].bias]  # train this one only …
    chosen = [name for name, p in net.named_parameters() if any(p.shape == w.shape and torch.equal(p, w)
                                                                for w in wanted)]
    assert chosen == ["0.bias", "1.bias"]  # … and the comparison by value takes the other one as well


def test_trap_5_is_avoided_two_equal_biases_are_treated_apart() -> None:
    net, layers = three_layers()
    nn.init.zeros_(net[0].bias), nn.init.zeros_(net[1].bias)
    optimizer = make_optimizer("adamw", net, 0.0)
    apply_plan(net, layers, {"1.bias": 1.0}, optimizer)
    set_rate(optimizer, 0.1)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(net[1].bias)]
    one_step(net, optimizer)
    assert not net[1].bias.eq(0).any()
    assert net[0].bias.eq(0).all()


def test_trap_5_is_avoided_by_the_record_of_first_weights() -> None:
    session = session_for("bert", Custom({"bert.encoder.layer.1.output.dense.bias": 1, "head": 1}))
    first, second = (f"bert.encoder.layer.{i}.output.dense.bias" for i in (0, 1))
    assert torch.equal(session.net.get_parameter(first), session.net.get_parameter(second))  # both all zeros
    session.run(steps=2)
    moved = session.history.start.moved(session.net)
    assert (moved[first], moved[second]) == (False, True)


# --- 6. gradient mode belongs to a thread ---------------------------------------------------------------------------


def test_trap_6_is_real_gradient_mode_is_per_thread() -> None:
    seen: list[bool] = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not torch.is_grad_enabled()
    assert seen == [True]  # switched off by the caller, on in the worker; the other way round fails in silence
    net, _ = three_layers()
    with torch.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
        net(torch.ones(1, 4)).sum().backward()


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("where", ["caller", "worker"])
def test_trap_6_is_avoided_a_step_switches_gradients_on_itself(thread: bool, where: str) -> None:
    session = session_for("bert", "full")
    before = weights(session, "stem")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            if where == "worker":
                with torch.no_grad():
                    session.step()
                    assert not torch.is_grad_enabled()  # and puts things back
            else:
                session.step()
        except BaseException as error:
            errors.append(error)

    with torch.no_grad():
        if thread:
            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
        else:
            work()
    assert not errors
    assert any(moved(session, before))


# --- the three together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "resnet18"])
def test_requires_grad_optimizer_and_mode_always_agree(family: str) -> None:
    model = tiny(family)
    optimizer = make_optimizer("adamw", model.net, 0.01)
    layers = model.layers
    for chosen in (["head"], ["block 0", "head"], layers.names, ["stem"], ["block 1"]):
        plan = {name: 1.0 if layers.group_of(name) in chosen else 0.0 for name in layers.parameters}
        apply_plan(model.net, layers, plan, optimizer)
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, parameter in model.net.named_parameters():
            trains = layers.group_of(name) in chosen
            assert parameter.requires_grad == trains
            assert (id(parameter) in held) == trains
        for group in layers:
            for path in group.modules:
                assert {m.training for m in model.net.get_submodule(path).modules()} == {group.name in chosen}


def test_decay_is_for_matrices_only_and_outlives_every_plan() -> None:
    net, layers = three_layers()
    optimizer = make_optimizer("adamw", net, 0.05)
    for plan in ({"2.bias": 1.0}, {"2.bias": 1.0, "2.weight": 1.0}):
        apply_plan(net, layers, plan, optimizer)
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays == {id(net[2].weight): 0.05, id(net[2].bias): 0.0}


def test_a_plan_that_freezes_everything_or_names_nothing_is_refused() -> None:
    net, layers = three_layers()
    optimizer = make_optimizer("sgd", net, 0.0)
    with pytest.raises(UserError, match="freezes everything"):
        apply_plan(net, layers, {"0.weight": 0.0}, optimizer)
    with pytest.raises(UnknownName, match=r"Did you mean '0\.weight'"):
        apply_plan(net, layers, {"0.weigth": 1.0}, optimizer)
    with pytest.raises(UnknownName, match=r"Unknown optimizer 'adam'\. Did you mean 'adamw'"):
        make_optimizer("adam", net, 0.0)


def test_the_memory_of_frozen_parameters_is_not_brought_back() -> None:
    net, layers = three_layers()
    optimizer = make_optimizer("adamw", net, 0.0)
    apply_plan(net, layers, dict.fromkeys(layers.parameters, 1.0), optimizer)
    one_step(net, optimizer)
    memory = optimizer_state(optimizer, net)
    assert set(memory) == set(layers.parameters)
    apply_plan(net, layers, {"2.weight": 1.0}, optimizer)
    restore_optimizer(optimizer, net, memory)
    assert list(optimizer.state) == [net[2].weight]
