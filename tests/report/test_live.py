"""Facts of an open run, against what the audit says afterwards and what can be worked out by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from nets import data_for, tiny

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.report import audit, live, probing
from ftkit.report.costs import cost
from ftkit.report.flow import gradient_flow, group_states
from ftkit.report.live import LiveFacts, Origin, Pace, distances
from ftkit.report.probing import activation_bytes, full_step_seconds, typical_batch
from ftkit.strategies import Custom, Full
from ftkit.training import TrainSession, memory
from ftkit.training.memory import saved_bytes

_OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "precision": "fp32", "lr": 1e-3, "cache": "off"}


def make(family: str = "bert", strategy: Any = "probe", **settings: Any) -> tuple[TrainSession, LiveFacts]:
    model = tiny(family)
    session = TrainSession(model, data_for(model.task.modality), strategy, keep_best=False, **{**_OPTIONS, **settings})
    facts = LiveFacts(session)
    facts.begin(session.plan_of(0))
    return session, facts


def watched(session: TrainSession, facts: LiveFacts) -> None:
    """Look at each step, as a view that is never satisfied would."""
    plans: list[Any] = [session.plan_of(0)]

    def on_gradients(_: int) -> None:
        if session.plan != plans[-1]:
            plans.append(session.plan)
            facts.begin(session.plan)
        facts.look_at_gradients()

    session.on_gradients, session.on_step = on_gradients, lambda _: facts.look_at_weights(session.plan)


# --- what a plan means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scales", "states", "flow"), [
    ({"head": 1}, "frozen frozen frozen frozen trains", "none none none none stored"),
    ({"block 0": 1}, "frozen trains frozen frozen frozen", "none stored passes passes passes"),
    ({"stem": 1, "block 1": 1, "head": 1}, "trains frozen trains frozen trains", "stored passes stored passes stored"),
    ({"bert.encoder.layer.2.output.dense.bias": 1}, "frozen frozen frozen partly frozen",
     "none none none stored passes"),
])
def test_states_and_flow(scales: dict[str, float], states: str, flow: str) -> None:
    layers = tiny("bert").layers
    plan = Custom(scales).plan(layers, 0)
    assert group_states(layers, plan) == states.split()
    assert gradient_flow(layers, plan) == flow.split()


def test_the_flow_is_where_gradients_really_go() -> None:
    """A gradient arrives at a group's output exactly if it is stored in the group or passes through it."""
    session, _ = make(strategy=Custom({"block 1": 1}))
    crossed: dict[str, bool] = {}
    for group in session.layers:
        module = session.net.get_submodule(group.modules[0])
        module.register_forward_hook(lambda _, __, out, name=group.name: crossed.update(
            {name: (out[0] if isinstance(out, tuple) else out).requires_grad}))
    session.step()
    flow = dict(zip(session.layers.names, gradient_flow(session.layers, session.plan), strict=True))
    assert {name: way != "none" for name, way in flow.items()} == crossed


# --- norms, drift, memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "resnet"])
def test_gradient_norms_are_those_before_clipping(family: str) -> None:
    session, facts = make(family, Custom({"block 1": 1, "head": 1}), clip=1e-6)
    expected: list[float] = []

    def on_gradients(_: int) -> None:
        facts.look_at_gradients()
        for group in session.layers:
            found = [dict(session.net.named_parameters())[name].grad for name in group.parameters]
            flat = [gradient.flatten().double() for gradient in found if gradient is not None]
            expected.append(torch.cat(flat).norm().item() if flat else 0.0)

    session.on_gradients = on_gradients
    session.step()
    facts.look_at_weights(session.plan)
    norms = [row.grad_norm for row in facts.rows]
    assert [norm or 0.0 for norm in norms] == pytest.approx(expected, rel=1e-5)
    assert [norm is None for norm in norms] == [True, True, False, True, False]
    assert expected[2] > 1e-4


@pytest.mark.parametrize(("family", "strategy"), [("bert", "full"), ("bert", "bitfit"), ("resnet", "bn_only"),
                                                  ("bert", "gradual:step=2")])
def test_drift_is_what_the_audit_finds(family: str, strategy: str) -> None:
    session, facts = make(family, strategy)
    watched(session, facts)
    session.run()
    facts.look_at_weights(session.plan, thorough=True)
    rows = audit(session.model, session.history, session.optimizer).rows
    assert [row.drift for row in facts.rows] == pytest.approx([row["drift"] for row in rows], rel=1e-4)
    assert any(row.drift for row in facts.rows)
    assert not any(row.warnings for row in facts.rows)


def test_drift_stays_known_when_a_group_is_frozen_again() -> None:
    session, facts = make(strategy="full")
    watched(session, facts)
    session.run(4)
    before = facts.rows[1].drift
    session.apply({"head": 1})
    session.run(5)
    assert facts.rows[1].drift == before > 0
    assert facts.rows[1].grad_norm is None
    assert facts.rows[1].optimizer_bytes == 0
    row = audit(session.model, session.history).rows[1]
    assert row["drift"] == pytest.approx(before, rel=1e-4)


def test_the_optimizers_memory() -> None:
    session, facts = make(strategy=Custom({"block 2": 1}))
    facts.look_at_weights(session.plan)
    assert [row.optimizer_bytes for row in facts.rows] == [0] * 5
    session.step()
    facts.look_at_weights(session.plan)
    group = session.layers["block 2"]
    numbers = sum(session.layers.sizes[name] for name in group.parameters)
    # AdamW: two numbers per parameter, and a counter of steps per tensor.
    assert [row.optimizer_bytes for row in facts.rows] == [0, 0, 0, 8 * numbers + 4 * len(group.parameters), 0]


def test_first_weights_are_read_from_the_disk_and_kept_only_where_they_had_to_travel() -> None:
    session, _ = make(strategy="full")
    session.run(3)
    names = list(session.layers["block 1"].parameters)
    now = [dict(session.net.named_parameters())[name].detach() for name in names]
    first = session.history.start.values(names)
    origin = Origin(session.history.start)
    assert all(torch.equal(tensor, first[name]) for name, tensor in zip(names, origin.of(names, now), strict=True))
    assert not origin.kept
    away = [tensor.to("meta") for tensor in now]  # stands for a GPU
    for free, kept in ((100, set()), (10**9, set(names))):
        origin = Origin(session.history.start, free=lambda free=free: free)
        for _ in range(2):
            assert [tensor.device.type for tensor in origin.of(names, away)] == ["meta"] * len(names)
        assert set(origin.kept) == kept


def test_large_tensors_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PIECE", 7)
    now, start = ([torch.randn(size, generator=torch.Generator().manual_seed(seed)) for size in (3, 50, 1, 6, 7, 8)]
                  for seed in (0, 1))
    portions = list(live._portions(now))
    assert max(sum(map(torch.numel, portion)) for portion in portions) <= 7
    moved, size = (math.sqrt(sum(pair[i] ** 2 for pair in distances(now, start))) for i in (0, 1))
    assert moved == pytest.approx(torch.cat([a - b for a, b in zip(now, start, strict=True)]).norm().item())
    assert size == pytest.approx(torch.cat(start).norm().item())


def test_pace() -> None:
    now = [10.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.due()
    pace.took(0.001)
    now[0] += 0.19
    assert not pace.due()  # five times a second
    now[0] += 0.02
    assert pace.due()
    pace.took(0.1)
    now[0] += 4.9
    assert not pace.due()  # a look that takes long comes seldom: 2 % of the time
    now[0] += 0.2
    assert pace.due()


@pytest.mark.parametrize(("family", "strategy"), [("bert", "gradual:step=2"), ("resnet", "full")])
def test_looking_changes_nothing(family: str, strategy: str) -> None:
    session, facts = make(family, strategy)
    plain, _ = make(family, strategy)
    watched(session, facts)
    random = torch.get_rng_state()
    session.run()
    activation_bytes(session, Full().plan(session.layers, 0))
    full_step_seconds(session)
    assert torch.equal(random, torch.get_rng_state())
    plain.run()
    assert [row["loss"] for row in session.history.steps] == [row["loss"] for row in plain.history.steps]
    ends = [each.net.state_dict() for each in (session, plain)]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


# --- what the audit would say ---------------------------------------------------------------------------------------


def warnings(facts: LiveFacts) -> dict[str, tuple[str, ...]]:
    return {group.name: row.warnings for group, row in zip(facts.layers, facts.rows, strict=True) if row.warnings}


def test_thawed_behind_the_sessions_back() -> None:
    session, facts = make()
    watched(session, facts)
    session.step()
    assert not warnings(facts)
    session.net.get_submodule("bert.encoder.layer.1").requires_grad_(True)
    session.step()
    found = warnings(facts)
    assert list(found) == ["block 1"]
    assert "wants gradients but is not in the optimizer" in found["block 1"][0]
    assert facts.rows[2].grad_norm  # it gets one, and never moves
    session.apply({"head": 1, "stem": 1})  # the session puts it right
    session.step()
    assert not warnings(facts)


def test_moved_while_frozen_is_found_in_turn_or_at_once() -> None:
    session, facts = make()
    watched(session, facts)
    session.step()
    with torch.no_grad():
        next(iter(session.net.bert.encoder.layer[2].parameters()))[0] += 1e-6
    looks = 0
    while not warnings(facts):
        session.step()
        looks += 1
        assert looks <= len(session.layers)
    assert list(warnings(facts)) == ["block 2"]
    assert "moved while frozen" in warnings(facts)["block 2"][0]
    other, fresh = make()
    other.step()
    with torch.no_grad():
        next(iter(other.net.bert.encoder.layer[0].parameters()))[0] += 1e-6
    fresh.look_at_weights(other.plan, thorough=True)
    assert list(warnings(fresh)) == ["block 0"]
    fresh.begin(other.plan)  # another switch elsewhere does not wash it off
    fresh.look_at_weights(other.plan)
    assert list(warnings(fresh)) == ["block 0"]


def test_statistics_that_move_in_a_frozen_group() -> None:
    session, facts = make("resnet", Custom({"head": 1}))
    watched(session, facts)
    session.run(2)
    session.net.train()  # what a careless loop does before each epoch
    session.step()
    facts.look_at_weights(session.plan, thorough=True)
    found = warnings(facts)
    assert list(found) == ["stem", "block 0", "block 1", "block 2"]
    assert "frozen, but the running statistics of" in found["block 1"][0]


def test_statistics_of_a_group_that_trained_before_may_have_moved() -> None:
    session, facts = make("resnet", "full")
    watched(session, facts)
    session.run(2)
    session.apply({"head": 1})
    session.run(3)
    facts.look_at_weights(session.plan, thorough=True)
    assert not warnings(facts)
    session.net.train()
    session.step()
    facts.look_at_weights(session.plan, thorough=True)
    assert list(warnings(facts)) == ["stem", "block 0", "block 1", "block 2"]


def test_a_frozen_batchnorm_in_a_group_that_trains() -> None:
    chosen = next(n for n, kind in tiny("resnet").layers.kinds.items() if kind == "weight" and "stages.1" in n)
    session, facts = make("resnet", Custom({chosen: 1}))
    watched(session, facts)
    session.run(2)
    facts.look_at_weights(session.plan, thorough=True)
    assert not warnings(facts)
    session.net.train()
    session.step()
    facts.look_at_weights(session.plan, thorough=True)
    assert tiny("resnet").layers.group_of(chosen) in warnings(facts)


# --- measured on a batch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "albert", "gpt2", "vit", "resnet", "vgg11"])
def test_activations_by_group_add_up(family: str) -> None:
    session, _ = make(family, "full")
    whole = saved_bytes(session.net, session.task, typical_batch(session))
    before = copy.deepcopy(session.net.state_dict())
    modes = [module.training for module in session.net.modules()]
    everything = Full().plan(session.layers, 0)
    by_group = activation_bytes(session, everything)
    assert sum(by_group) == pytest.approx(whole, rel=0.02)
    assert all(kept > 0 for kept in by_group)
    head = activation_bytes(session, Custom({"head": 1}).plan(session.layers, 0))
    assert head[:-1] == [0] * (len(head) - 1)
    assert head[-1] > 0
    after = session.net.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert modes == [module.training for module in session.net.modules()]
    assert all(p.requires_grad and p.grad is None for p in session.net.parameters())


def test_the_wrong_way_keeps_activations_all_the_way_up() -> None:
    session, _ = make()
    first = activation_bytes(session, Custom({"block 0": 1}).plan(session.layers, 0))
    last = activation_bytes(session, Custom({"block 2": 1}).plan(session.layers, 0))
    assert first[0] == last[0] == last[1] == last[2] == 0
    assert all(first[1:])
    assert sum(first) > 2 * sum(last)


def test_a_step_of_full_fine_tuning_is_measured_and_leaves_no_trace() -> None:
    session, _ = make("resnet")
    session.run(2)
    before = copy.deepcopy(session.net.state_dict())
    state = copy.deepcopy(session.optimizer.state_dict())
    assert full_step_seconds(session) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in session.net.state_dict().items())
    assert str(session.optimizer.state_dict()) == str(state)
    assert full_step_seconds(session, going_on=lambda: False) is None


def test_where_memory_is_short_full_fine_tuning_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    session, _ = make()
    monkeypatch.setattr(memory, "memory_available", lambda: 1000)
    monkeypatch.setattr(probing, "step_seconds", lambda *_: pytest.fail("it would be killed"))
    assert full_step_seconds(session) is None


@pytest.mark.parametrize("measure", ["full step", "cost"])
def test_an_example_that_is_no_number_does_not_spoil_the_weights(measure: str) -> None:
    """An optimizer at rate 0 multiplies the gradient by 0, and 0 times NaN is NaN."""
    model = tiny("vit")
    data = data_for("image", n=4)

    class Broken(ImagePreprocess):
        def normalise(self, images: torch.Tensor) -> torch.Tensor:
            return super().normalise(images) * math.nan

    model.processor = Broken(size=32, resize=32)
    session = TrainSession(model, data, "full", **_OPTIONS)
    if measure == "cost":
        cost(model, data.train, "full")
    else:
        full_step_seconds(session)
    assert all(bool(p.isfinite().all()) for p in model.net.parameters())
