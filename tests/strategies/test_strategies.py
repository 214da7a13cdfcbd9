"""Strategies are pure plans: which groups, which scales, which epoch; and their written forms."""

from __future__ import annotations

import copy
import dataclasses
import math
from functools import lru_cache
from typing import Any

import pytest
from nets import tiny

from ftkit.backbones import Model
from ftkit.errors import UnknownName, UserError
from ftkit.layers import LayerMap
from ftkit.strategies import (
    IA3,
    STRATEGIES,
    BatchNormOnly,
    BitFit,
    Custom,
    Discriminative,
    DropLayers,
    FrozenStem,
    Full,
    GradualUnfreeze,
    HalfFineTuning,
    LastK,
    LinearProbe,
    LoRA,
    Plan,
    PromptTuning,
    Strategy,
    make_strategy,
    map_for,
    scale_groups,
    thawed,
)

_FAMILIES = ("bert", "gpt2", "llama", "albert", "vit", "resnet", "resnet18", "vgg11", "wav2vec2")
# One of each, by name, so that a strategy added later cannot escape the contract below.
_EXAMPLES: dict[str, list[Strategy]] = {
    "probe": [LinearProbe()], "full": [Full()], "frozen_stem": [FrozenStem()], "last_k": [LastK(0), LastK(1)],
    "gradual": [GradualUnfreeze(), GradualUnfreeze(every=2, step=2)], "discriminative": [Discriminative(0.5)],
    "bn_only": [BatchNormOnly()], "bitfit": [BitFit()],
    "half": [HalfFineTuning(), HalfFineTuning(level="layer", every=2), HalfFineTuning(level="model", seed=1)],
    "lora": [LoRA(), LoRA(r=2, last=1, inner="gradual")], "ia3": [IA3(), IA3(last=1)],
    "prompt": [PromptTuning(4)], "drop_layers": [DropLayers(1), DropLayers(2, inner="gradual")],
    "custom": [Custom({"head": 1, "block 0": 0.1}), Custom([{"head": 1}, {"stem": 1}]),
               Custom(lambda layers, epoch: {layers.names[-1 - epoch % 2]: 0.5})],
}


@lru_cache
def model_of(family: str) -> Model:
    """One model per family for all strategies: a plan must not change it, and the contract checks that."""
    return tiny(family)


def groups_of(layers: LayerMap, plan: Plan) -> list[str]:
    """The groups in which something trains."""
    return [group.name for group in layers if any(plan.get(name, 0) > 0 for name in group.parameters)]


def test_every_strategy_is_under_contract() -> None:
    assert set(_EXAMPLES) == set(STRATEGIES)


def _fits(strategy: Strategy, family: str) -> bool:
    misfits = {"bn_only": {"bert", "gpt2", "llama", "albert", "vit", "vgg11", "wav2vec2"}, "bitfit": {"llama"},
               "prompt": {"vit", "resnet", "resnet18", "vgg11", "wav2vec2"},
               "drop_layers": {"albert", "resnet", "resnet18", "vgg11"}}
    return family not in misfits.get(strategy.name, set())


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize("strategy", [s for examples in _EXAMPLES.values() for s in examples],
                         ids=lambda s: f"{s.name}-{s}"[:40])
def test_contract(strategy: Strategy, family: str) -> None:
    if not _fits(strategy, family):
        return  # refusing is tested below
    model = model_of(family)
    before = {name: (p.requires_grad, p.detach().clone(), p.grad) for name, p in model.net.named_parameters()}
    modes = [module.training for module in model.net.modules()]
    known = copy.deepcopy(dataclasses.asdict(strategy)) if not isinstance(strategy, Custom) else None
    layers = map_for(model, strategy)  # of a copy, if the strategy changes the network
    assert (layers is model.layers) == (type(strategy).adapt is Strategy.adapt)
    for epoch in (3, 0, 1, 0):  # in any order: a plan may not depend on which one was asked for before
        plan = strategy.plan(layers, epoch)
        assert plan == strategy.plan(layers, epoch)
        assert set(plan) == set(layers.parameters)
        assert all(isinstance(scale, float) and 0 <= scale < math.inf for scale in plan.values())
        assert any(plan.values())
    assert known is None or known == dataclasses.asdict(strategy)
    assert list(before) == [name for name, _ in model.net.named_parameters()]
    for name, parameter in model.net.named_parameters():
        flag, value, grad = before[name]
        assert parameter.requires_grad == flag
        assert parameter.grad is grad
        assert (parameter == value).all()
    assert modes == [module.training for module in model.net.modules()]


@pytest.mark.parametrize("strategy", [s for examples in _EXAMPLES.values() for s in examples],
                         ids=lambda s: f"{s.name}-{s}"[:40])
def test_strategies_are_frozen_and_say_what_they_are(strategy: Strategy) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.warmup = 0.5  # type: ignore[misc]
    assert type(strategy).__name__ in repr(strategy)
    assert " at 0x" not in repr(strategy), "an address would differ in each process, and no run could be resumed"
    if type(strategy).adapt is Strategy.adapt:
        assert strategy.adapt(None) is None


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize("strategy", [s for examples in _EXAMPLES.values() for s in examples
                                      if type(s).adapt is not Strategy.adapt], ids=lambda s: f"{s.name}-{s}"[:40])
def test_contract_of_those_that_change_the_network(strategy: Strategy, family: str) -> None:
    if not _fits(strategy, family):
        with pytest.raises(UserError, match=strategy.name):
            strategy.adapt(tiny(family))
        return
    model = tiny(family, dropout=False)
    kind, expected = type(model.net), map_for(model, strategy)
    for _ in range(2):  # the second time nothing is left to do
        strategy.adapt(model)
        assert type(model.net) is kind
        assert model.layers.parameters == expected.parameters
        assert model.layers.sizes == expected.sizes, "the copy without numbers has the shapes of the real one"
        names = [name for name, _ in model.net.named_parameters()]
        assert sorted(names) == sorted(model.layers.parameters), "every parameter in one group"
    assert map_for(model, strategy).parameters == model.layers.parameters


def test_probe_trains_the_head_alone() -> None:
    layers = model_of("bert").layers
    plan = LinearProbe().plan(layers, 5)
    assert groups_of(layers, plan) == ["head"]
    assert all(plan[name] == 1 for name in layers["head"].parameters)


def test_full_trains_everything_at_one_rate() -> None:
    assert set(Full().plan(model_of("resnet18").layers, 0).values()) == {1.0}


@pytest.mark.parametrize(("family", "first"), [("wav2vec2", "projection"), ("bert", "block 0"),
                                               ("resnet18", "block 0")])
def test_frozen_stem_trains_all_but_the_stem(family: str, first: str) -> None:
    layers = model_of(family).layers
    plan = FrozenStem().plan(layers, 0)
    assert groups_of(layers, plan) == layers.names[1:]
    assert groups_of(layers, plan)[0] == first
    assert set(plan.values()) == {0.0, 1.0}


@pytest.mark.parametrize(("k", "expected"), [(0, ["head"]), (1, ["block 2", "head"]),
                                             (3, ["block 0", "block 1", "block 2", "head"])])
def test_last_k(k: int, expected: list[str]) -> None:
    layers = model_of("bert").layers
    assert groups_of(layers, LastK(k).plan(layers, 0)) == expected


def test_last_k_of_more_blocks_than_there_are() -> None:
    with pytest.raises(UserError, match="last_k:k=4, but this model has 3 blocks"):
        LastK(4).plan(model_of("bert").layers, 0)


@pytest.mark.parametrize("k", [-1, 1.5, "2"])
def test_last_k_wants_a_count(k: Any) -> None:
    with pytest.raises(UserError, match="k counts blocks"):
        LastK(k)


def test_gradual_thaws_from_the_head_down_and_stays_at_the_stem() -> None:
    layers = model_of("bert").layers
    names = layers.names
    for epoch in range(8):
        assert groups_of(layers, GradualUnfreeze().plan(layers, epoch)) == names[max(0, 4 - epoch):]
    assert groups_of(layers, GradualUnfreeze(every=3).plan(layers, 2)) == ["head"]
    assert groups_of(layers, GradualUnfreeze(every=3).plan(layers, 3)) == ["block 2", "head"]
    assert groups_of(layers, GradualUnfreeze(step=2).plan(layers, 1)) == ["block 1", "block 2", "head"]


@pytest.mark.parametrize("options", [{"every": 0}, {"step": 0}, {"every": -1}, {"every": 1.5}])
def test_gradual_refuses_steps_of_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="at least 1"):
        GradualUnfreeze(**options)


def test_discriminative_falls_by_a_factor_from_the_head() -> None:
    layers = model_of("bert").layers
    plan = Discriminative(0.5).plan(layers, 0)
    for depth, name in enumerate(reversed(layers.names)):
        assert {plan[p] for p in layers[name].parameters} == {0.5**depth}


@pytest.mark.parametrize("factor", [0, -0.5, 1.01])
def test_discriminative_refuses_factors_outside_its_range(factor: float) -> None:
    with pytest.raises(UserError, match="factor must be above 0 and at most 1"):
        Discriminative(factor)


def test_bn_only_trains_the_norms_and_the_head() -> None:
    layers = model_of("resnet18").layers
    plan = BatchNormOnly().plan(layers, 0)
    chosen = {name for name, scale in plan.items() if scale}
    assert chosen == {n for n, k in layers.kinds.items() if k == "batchnorm"} | set(layers["head"].parameters)


@pytest.mark.parametrize("family", ["bert", "vgg11"])
def test_bn_only_without_batchnorm_says_what_to_try(family: str) -> None:
    with pytest.raises(UserError, match="bn_only needs BatchNorm layers"):
        BatchNormOnly().plan(model_of(family).layers, 0)


def test_bitfit_trains_the_biases_and_the_head() -> None:
    layers = model_of("bert").layers
    plan = BitFit().plan(layers, 0)
    chosen = {name for name, scale in plan.items() if scale}
    assert chosen == {n for n in layers.parameters if n.endswith("bias")} | set(layers["head"].parameters)
    body = sum(layers.sizes[n] for n in chosen if layers.group_of(n) != "head")
    assert body < 0.05 * sum(layers.sizes.values())


def test_bitfit_without_biases_says_what_to_try() -> None:
    with pytest.raises(UserError, match="bitfit needs biases"):
        BitFit().plan(model_of("llama").layers, 0)


def test_custom_dict_by_groups_and_parameters() -> None:
    layers = model_of("bert").layers
    plan = Custom({"head": 1, "block 1": 0.25, "bert.embeddings.LayerNorm.bias": 2}).plan(layers, 9)
    assert plan["bert.embeddings.LayerNorm.bias"] == 2.0
    assert {plan[n] for n in layers["block 1"].parameters} == {0.25}
    assert groups_of(layers, plan) == ["stem", "block 1", "head"]


def test_custom_parameter_overrules_its_group_when_named_later() -> None:
    layers = model_of("bert").layers
    plan = Custom({"head": 1, "classifier.bias": 0}).plan(layers, 0)
    assert plan["classifier.bias"] == 0.0
    assert plan["classifier.weight"] == 1.0


def test_custom_list_repeats_its_last_epoch() -> None:
    layers = model_of("bert").layers
    strategy = Custom([{"head": 1}, {"head": 0.5, "block 2": 1}])
    assert groups_of(layers, strategy.plan(layers, 0)) == ["head"]
    assert strategy.plan(layers, 1) == strategy.plan(layers, 7)
    assert groups_of(layers, strategy.plan(layers, 7)) == ["block 2", "head"]


def test_custom_function_sees_the_map_and_the_epoch() -> None:
    layers = model_of("bert").layers
    strategy = Custom(lambda layers, epoch: {layers.names[epoch]: 1})
    assert groups_of(layers, strategy.plan(layers, 2)) == ["block 1"]


@pytest.mark.parametrize(("scales", "message"), [
    ({"hed": 1}, "Unknown layer group or parameter 'hed'. Did you mean 'head'"),
    ({"head": -1}, "must be a number of at least 0, not -1"),
    ({"head": math.nan}, "must be a number of at least 0, not nan"),
    ({"head": math.inf}, "must be a number of at least 0, not inf"),
    ({"head": "1"}, "must be a number of at least 0, not '1'"),
    ({"head": 0}, "freezes everything in epoch 0"),
    ({}, "freezes everything in epoch 0"),
    ([], "at least one epoch"),
    (lambda layers, epoch: None, "not NoneType"),
    ([1, 2], "not int"),
    (3, "not int"),
])
def test_custom_mistakes(scales: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Custom(scales).plan(model_of("bert").layers, 0)


def test_scale_groups_and_thawed() -> None:
    layers = model_of("bert").layers
    assert set(scale_groups(layers, {}).values()) == {0.0}
    assert thawed(layers, 1) == ["head"]
    assert thawed(layers, 99) == layers.names
    assert thawed(layers, 0) == []


# --- schedules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_schedule_stays_between_zero_and_one(decay: str, total: int) -> None:
    values = [Full(warmup=0.1, decay=decay).schedule(step, total) for step in range(total)]
    assert all(0 < value <= 1 for value in values)
    assert max(values) == pytest.approx(1)


def test_warm_up_rises_evenly_and_never_starts_at_zero() -> None:
    values = [Full(warmup=0.2).schedule(step, 50) for step in range(50)]
    assert values[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert values[10] == pytest.approx(1.0)
    assert values[10:] == sorted(values[10:], reverse=True)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_decays_end_near_zero(decay: str) -> None:
    values = [Full(warmup=0.1, decay=decay).schedule(step, 200) for step in range(200)]
    assert values[-1] < 0.01
    assert values[110] == pytest.approx(0.5, abs=0.01)  # half way
    assert values[20:] == sorted(values[20:], reverse=True)


def test_cosine_is_flatter_than_linear_at_both_ends() -> None:
    linear, cosine = (Full(warmup=0.0, decay=name) for name in ("linear", "cosine"))
    assert cosine.schedule(5, 100) > linear.schedule(5, 100)
    assert cosine.schedule(95, 100) < linear.schedule(95, 100)


def test_constant_stays_at_one() -> None:
    assert {Full(warmup=0.0, decay="constant").schedule(step, 10) for step in range(10)} == {1.0}


def test_warm_up_over_everything() -> None:
    values = [Full(warmup=1.0).schedule(step, 10) for step in range(10)]
    assert values == pytest.approx([0.1 * (i + 1) for i in range(10)])


@pytest.mark.parametrize("warmup", [-0.1, 1.1, math.nan])
def test_warm_up_is_a_share(warmup: float) -> None:
    with pytest.raises(UserError, match="warmup is a share of the steps"):
        Full(warmup=warmup)


def test_unknown_decay() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cosine'"):
        Full(decay="cosinus")


# --- the written form ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [
    ("probe", LinearProbe()), ("full", Full()), ("full:warmup=0,decay=constant", Full(warmup=0.0, decay="constant")),
    ("last_k:k=3", LastK(3)), ("last_k", LastK()), ("gradual:every=2,step=3", GradualUnfreeze(2, 3)),
    ("gradual: every=2 , decay=cosine", GradualUnfreeze(2, decay="cosine")),
    ("discriminative:factor=0.5", Discriminative(0.5)), ("bn_only", BatchNormOnly()), ("bitfit", BitFit()),
    ("custom:head=1,block_5=0.1", Custom({"head": 1.0, "block 5": 0.1})),
    ("custom:bert.embeddings.word_embeddings.weight=1", Custom({"bert.embeddings.word_embeddings.weight": 1.0})),
    ("custom:head=1,warmup=0.3", Custom({"head": 1.0}, warmup=0.3)), ("probe:", LinearProbe()),
])
def test_written_forms(text: str, expected: Strategy) -> None:
    assert make_strategy(text) == expected


def test_objects_and_classes_pass_through() -> None:
    strategy = LastK(1)
    assert make_strategy(strategy) is strategy
    assert make_strategy(GradualUnfreeze) == GradualUnfreeze()  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "kind", "message"), [
    ("gradul", UnknownName, "Unknown strategy 'gradul'. Did you mean 'gradual'"),
    ("", UnknownName, "Unknown strategy ''"),
    ("last_k:n=2", UnknownName, "Unknown option of strategy last_k 'n'"),
    ("gradual:evry=2", UnknownName, "Did you mean 'every'"),
    ("last_k:k=two", UserError, "k must be a whole number, not 'two'"),
    ("last_k:k=1.5", UserError, "k must be a whole number, not '1.5'"),
    ("discriminative:factor=fast", UserError, "factor must be a number, not 'fast'"),
    ("last_k:2", UserError, "'2' in the strategy last_k must be written key=value"),
    ("last_k:k=", UserError, "must be written key=value"),
    ("full:decay=exponential", UnknownName, "Unknown decay 'exponential'"),
    ("full:warmup=2", UserError, "warmup is a share"),
    ("custom", UserError, "custom needs at least one group"),
    ("custom:warmup=0.1", UserError, "custom needs at least one group"),
    ("custom:head=much", UserError, "head must be a number, not 'much'"),
    ("last_k:k=2,k=3", UserError, "k is given twice"),
])
def test_mistakes_in_written_forms(text: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make_strategy(text)


def test_a_strategy_of_another_type() -> None:
    with pytest.raises(UserError, match="A strategy is a name such as 'gradual'"):
        make_strategy(3)  # type: ignore[arg-type]


def test_a_class_that_needs_something_says_what() -> None:
    with pytest.raises(UserError, match="Custom"):
        make_strategy(Custom)  # type: ignore[arg-type]
