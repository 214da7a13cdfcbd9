"""LoRA, (IA)³, prompts and dropped layers in training: what trains, what stays, what is refused, what is resumed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import data_for, tiny
from torch import Tensor, nn

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.report import audit, cost, layers
from ftkit.strategies import IA3, Custom, DropLayers, Full, GradualUnfreeze, LoRA, PromptTuning, Strategy, make_strategy
from ftkit.training import History, TrainSession, fit
from ftkit.viz import freeze_map

_SETTINGS: dict[str, Any] = {"epochs": 3, "lr": 1e-2, "batch_size": 8, "precision": "fp32"}
_CHANGING: list[Strategy] = [LoRA(r=2), LoRA(r=2, last=1, inner="gradual"), IA3(), PromptTuning(3), DropLayers(1)]


def run(model: Model, strategy: Any, **settings: Any) -> History:
    return fit(model, data_for(model.task.modality), strategy, progress=False, **{**_SETTINGS, **settings})


def trained_groups(model: Model, strategy: Strategy, epoch: int) -> list[str]:
    plan = strategy.plan(model.layers, epoch)
    return [g.name for g in model.layers if any(plan[name] for name in g.parameters)]


def logits(model: Model, net: nn.Module | None = None) -> Tensor:
    data = data_for(model.task.modality)
    encoded = model.task.encode(data.test.inputs, data.test.targets, model.processor)
    with torch.no_grad():
        return model.task.forward(net or model.net, model.task.collate(encoded, [0, 1, 2, 3], model.processor))


@pytest.mark.parametrize("strategy", [LoRA(r=2), IA3()], ids=lambda s: s.name)
@pytest.mark.parametrize("family", ["bert", "gpt2", "albert", "wav2vec2", "vit", "resnet18", "vgg11"])
def test_adapters_begin_as_nothing(family: str, strategy: Strategy) -> None:
    model = tiny(family)
    before = logits(model)
    strategy.adapt(model)
    torch.testing.assert_close(logits(model), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", _CHANGING, ids=lambda s: f"{s.name}-{getattr(s, 'inner', '')}")
@pytest.mark.parametrize("family", ["bert", "gpt2", "wav2vec2", "resnet18"])
def test_what_moves_is_what_was_planned(family: str, strategy: Strategy) -> None:
    if (strategy.name, family) in {("prompt", "wav2vec2"), ("prompt", "resnet18"), ("drop_layers", "resnet18")}:
        return  # refused: see the contract in test_strategies.py
    model = tiny(family)
    planned = layers(model, strategy, epoch=2)
    history = run(model, strategy, epochs=4)
    found = audit(model, history)
    told = [w for w in found.warnings if "masked_spec_embed" not in w]  # nothing is masked here: it gets no gradient
    assert not told
    assert [row["trainable"] for row in planned] == [row["trainable"] for row in layers(model, strategy, epoch=2)]
    assert history.config["strategy"] == repr(strategy)


def test_only_two_thin_matrices_train_in_each_module() -> None:
    model = tiny("bert")
    strategy = LoRA(r=3, alpha=6, where="attention", last=2)
    strategy.adapt(model)
    plan = strategy.plan(model.layers, 0)
    inside = [n for n, scale in plan.items() if scale and model.layers.group_of(n) != "head"]
    assert len(inside) == 2 * 4 * 2  # A and B of query, key, value and output, in two blocks
    shapes = {tuple(dict(model.net.named_parameters())[name].shape) for name in inside}
    assert shapes == {(3, 32), (32, 3)}
    assert all(".attention." in name and "lora_" in name for name in inside)
    assert trained_groups(model, strategy, 0) == ["block 1", "block 2", "head"]
    assert model.adapters.lora_alpha / model.adapters.r == 2.0


@pytest.mark.parametrize(("where", "modules"), [("all", 6), ("attention", 4), ("mlp", 2)])
def test_where(where: str, modules: int) -> None:
    model = tiny("bert")
    LoRA(r=2, where=where, last=1).adapt(model)
    found = [name for name, kind in model.layers.kinds.items() if kind == "adapter"]
    assert len(found) == 2 * modules
    assert all(("attention" in name) == (where == "attention") for name in found) or where == "all"


def test_gradual_thawing_takes_the_upper_adapters_first() -> None:
    model = tiny("bert")
    strategy = LoRA(r=2, inner=GradualUnfreeze(every=2))
    strategy.adapt(model)
    assert [trained_groups(model, strategy, epoch) for epoch in range(7)] == [
        ["head"], ["head"], ["block 2", "head"], ["block 2", "head"], ["block 1", "block 2", "head"],
        ["block 1", "block 2", "head"], ["block 0", "block 1", "block 2", "head"]]
    written = make_strategy("lora:r=2,inner=gradual:every=2;step=1")
    assert [written.plan(model.layers, e) for e in range(7)] == [strategy.plan(model.layers, e) for e in range(7)]
    slower = LoRA(r=2, inner=Custom({"head": 1, "block 1": 0.5}))
    assert set(slower.plan(model.layers, 0).values()) == {0.0, 0.5, 1.0}


def test_a_head_without_weights_of_its_own_is_passed_over() -> None:
    """GPT-2 writes through its word table: were the head alone to train at first, nothing would."""
    model = tiny("bert")
    strategy = LoRA(r=2, inner="gradual")
    strategy.adapt(model)
    map_ = copy.copy(model.layers)
    head = map_.groups[-1]
    map_.groups = (*map_.groups[:-1], type(head)("head", head.modules, ()))
    map_._group_of = {n: g for n, g in map_._group_of.items() if g != "head"}
    trains = [[g.name for g in map_ if any(strategy.plan(map_, epoch)[n] for n in g.parameters)] for epoch in (0, 1)]
    assert trains == [["block 2"], ["block 1", "block 2"]]


@pytest.mark.parametrize("family", ["bert", "gpt2", "wav2vec2"])
def test_the_frozen_prefix_is_cached_and_changes_nothing(family: str) -> None:
    strategy, losses = LoRA(r=2, last=1), []
    for cache in ("auto", "off"):
        model = tiny(family, dropout=False)
        history = run(model, strategy, cache=cache)
        losses.append([row["loss"] for row in history.steps])
        assert bool(history.epochs[-1]["cached"]) == (cache == "auto")
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4, abs=1e-6)
    thawing = run(tiny(family, dropout=False), LoRA(r=2, inner="gradual"), epochs=4)
    cuts = [row["cached"] for row in thawing.epochs]
    assert cuts == sorted(cuts, reverse=True), "an adapter that thaws in a block ends the prefix below it"


@pytest.mark.parametrize("strategy", _CHANGING, ids=lambda s: f"{s.name}-{getattr(s, 'inner', '')}")
def test_a_run_is_resumed_exactly(tmp_path: Path, strategy: Strategy) -> None:
    data, settings = data_for("text"), {**_SETTINGS, "cache": "off"}  # which would differ by rounding
    straight = tiny("bert")
    TrainSession(straight, data, strategy, **settings).run()
    first = TrainSession(tiny("bert"), data, strategy, **settings)
    first.run(4)
    first.save(tmp_path / "checkpoint")
    model = tiny("bert")
    TrainSession(model, data, strategy, **settings).resume(tmp_path / "checkpoint").run()
    for (name, a), (_, b) in zip(straight.net.named_parameters(), model.net.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    again = first.model  # the same model once more, as `fit(…, resume=True)` after an interruption
    TrainSession(again, data, strategy, **settings).resume(tmp_path / "checkpoint").run()
    assert all(torch.equal(a, b) for a, b in zip(straight.net.parameters(), again.net.parameters(), strict=True))


def test_a_checkpoint_of_another_rank(tmp_path: Path) -> None:
    data = data_for("text")
    first = TrainSession(tiny("bert"), data, LoRA(r=2), **_SETTINGS)
    first.run(2)
    first.save(tmp_path / "checkpoint")
    with pytest.raises(UserError, match=r"of another run: strategy was .LoRA\(.*r=2.* is .LoRA\(.*r=4"):
        TrainSession(tiny("bert"), data, LoRA(r=4), **_SETTINGS).resume(tmp_path / "checkpoint")


@pytest.mark.parametrize(("make", "family", "message"), [
    (lambda: LoRA(r=0), "bert", "r must be a whole number of at least 1, not 0"),
    (lambda: LoRA(alpha=-1), "bert", "alpha must be a whole number of at least 1"),
    (lambda: LoRA(dropout=1.0), "bert", "dropout is a share"),
    (lambda: LoRA(where="heads"), "bert", "Unknown where 'heads'"),
    (lambda: LoRA(inner="ia3"), "bert", "lora: inner says when which group trains, and ia3 changes the network itself"),
    (lambda: LoRA(inner="gradul"), "bert", "Did you mean 'gradual'"),
    (lambda: LoRA(last=4), "bert", "lora: last=4, but this model has 3 blocks. 0 takes all"),
    (lambda: LoRA(r=33), "bert", r"r=33 is more than the smallest matrix here has rows or columns \(32\)"),
    (lambda: LoRA(where="attention"), "resnet18", "fits where=attention; it has neither attention nor an MLP"),
    (lambda: LoRA(where="mlp"), "vgg11", "use where=all"),
    (lambda: IA3(last=-1), "bert", "last must be a whole number of at least 0"),
    (lambda: IA3(last=9), "bert", "ia3: last=9, but this model has 3 blocks"),
    (lambda: PromptTuning(0), "bert", "n counts vectors"),
    (lambda: PromptTuning(scale=0), "bert", "scale must be a number above 0"),
    (lambda: PromptTuning(60), "bert", "A prompt of n=60 leaves 4 tokens for the text"),
    (lambda: PromptTuning(), "resnet18", "ResNet reads pictures. lora and ia3 work on every network"),
    (lambda: PromptTuning(), "wav2vec2", "reads sounds. lora and ia3"),
    (lambda: DropLayers(0), "bert", "k counts blocks: a whole number of at least 1"),
    (lambda: DropLayers(3), "bert", "this model has 3 blocks: none would be left"),
    (lambda: DropLayers(1), "resnet18", "one stack of blocks that all have the same width.*To train fewer layers"),
])
def test_mistakes(make: Any, family: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make().adapt(tiny(family))


def test_adapters_on_adapters() -> None:
    model = tiny("bert")
    LoRA(r=2).adapt(model)
    LoRA(r=2, inner="gradual", warmup=0.3).adapt(model)  # another plan for the same adapters
    for other in (LoRA(r=4), LoRA(r=2, last=1), IA3(), PromptTuning(2)):
        with pytest.raises(UserError, match=r"has other adapters already: .* Load the backbone anew, or go on from "):
            other.adapt(model)
    merged = model.merged()
    LoRA(r=4).adapt(merged)
    assert merged.adapters.r == 4
    dropped = tiny("bert")
    DropLayers(1).adapt(dropped)
    with pytest.raises(UserError, match="has lost its last 1 blocks already"):
        DropLayers(2).adapt(dropped)


@pytest.mark.parametrize("strategy", [LoRA(), IA3(), PromptTuning()], ids=lambda s: s.name)
def test_a_plan_needs_its_adapters_or_the_model(strategy: Strategy) -> None:
    model = tiny("bert")
    with pytest.raises(UserError, match=f"this model has none yet.*freeze_map\\(model, '{strategy.name}'\\)"):
        strategy.plan(model.layers, 0)
    with pytest.raises(UserError, match="none yet"):
        freeze_map(model.layers, strategy)


def test_the_start_follows_the_seed_and_leaves_other_random_numbers_alone() -> None:
    models = [tiny("bert") for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.manual_seed(9)
        LoRA(r=2, seed=seed).adapt(model)
        assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(9)).item()
    a, b, c = ([p for n, p in model.net.named_parameters() if "lora_A" in n] for model in models)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(a, c, strict=True))


@pytest.mark.parametrize("strategy", _CHANGING, ids=lambda s: f"{s.name}-{getattr(s, 'inner', '')}")
def test_looking_ahead_changes_nothing(strategy: Strategy) -> None:
    model = tiny("bert")
    before = {name: (p, p.requires_grad, p.detach().clone()) for name, p in model.net.named_parameters()}
    told = freeze_map(model, strategy, epochs=3)
    assert told.alt.startswith(strategy.name)
    priced = cost(model, data_for("text").train, strategy)
    rows = layers(model, strategy)
    assert sum(row["trainable"] for row in rows) == priced.trainable
    assert 2 * 4 * priced.trainable <= priced.optimizer_bytes <= 2 * 4 * priced.trainable + 4000  # and step counters
    after = dict(model.net.named_parameters())
    assert list(after) == list(before)
    assert model.adapters is None
    assert not model.dropped
    for name, (parameter, wanted, value) in before.items():
        assert after[name] is parameter
        assert parameter.requires_grad == wanted
        assert torch.equal(parameter, value)
    assert len(model.net.base_model.encoder.layer) == 3  # type: ignore[union-attr]


def test_adapters_take_the_rate_of_a_head() -> None:
    for strategy, rate in ((LoRA(r=2), 1e-3), (IA3(), 1e-3), (PromptTuning(2), 1e-3), (Full(), 1e-4)):
        assert TrainSession(tiny("bert"), data_for("text"), strategy, epochs=1).settings.lr == rate


def test_dropping_layers_keeps_the_lower_ones_and_the_norm() -> None:
    for family, final in (("bert", None), ("gpt2", "transformer.ln_f.weight"), ("wav2vec2", None)):
        model, whole = tiny(family), tiny(family)
        DropLayers(2).adapt(model)
        assert [g.name for g in model.layers.blocks] == ["block 0"]
        kept = dict(whole.net.named_parameters())
        for name, parameter in model.net.named_parameters():
            assert torch.equal(parameter, kept[name]), name
        assert model.net.config.num_hidden_layers == 1  # type: ignore[union-attr]
        assert final is None or final in dict(model.net.named_parameters())


def test_a_prompt_stands_before_the_text_and_a_padded_text_gives_the_same() -> None:
    for family in ("bert", "gpt2", "llama", "roberta", "distilbert"):
        model = tiny(family, dropout=False)
        before = logits(model)
        PromptTuning(4).adapt(model)
        together = logits(model)
        assert not torch.allclose(together, before, atol=1e-4)
        data = data_for("text")
        encoded = model.task.encode(data.test.inputs, data.test.targets, model.processor)
        with torch.no_grad():
            alone = torch.cat([model.task.forward(model.net, model.task.collate(encoded, [i], model.processor))
                               for i in range(4)])
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
        assert model.task.max_length == 60  # the tokenizer's 64, less the prompt
    with pytest.raises(UserError, match="takes its texts by name"):
        model.net(torch.ones(1, 3, dtype=torch.long))


def test_prompt_and_head_learn() -> None:
    history = run(tiny("bert", dropout=False), PromptTuning(4), epochs=6)
    assert history.epochs[-1]["train_loss"] < 0.8 * history.epochs[0]["train_loss"]
