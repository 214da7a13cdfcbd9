"""Half fine-tuning: another half in each round, half of every category, and the same half for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from nets import data_for, tiny

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.report import audit
from ftkit.strategies import HalfFineTuning, make_strategy
from ftkit.training import fit
from ftkit.viz import freeze_map

_ROUNDS = 12


def trains(layers: LayerMap, strategy: HalfFineTuning, epoch: int) -> set[str]:
    return {name for name, scale in strategy.plan(layers, epoch).items() if scale}


@pytest.mark.parametrize("level", ["category", "layer", "model"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "wav2vec2", "resnet18", "vgg11"])
def test_about_half_of_the_body_trains_in_each_round(family: str, level: str) -> None:
    layers = tiny(family).layers
    body = [name for name in layers.parameters if layers.group_of(name) != "head"]
    strategy = HalfFineTuning(level=level)
    counts = [len(trains(layers, strategy, epoch) & set(body)) / len(body) for epoch in range(_ROUNDS)]
    assert sum(counts) / _ROUNDS == pytest.approx(0.5, abs=0.08)
    assert all(set(layers["head"].parameters) <= trains(layers, strategy, epoch) for epoch in range(_ROUNDS))
    assert len({frozenset(trains(layers, strategy, epoch)) for epoch in range(_ROUNDS)}) > 1


def test_by_category_each_block_has_half_of_each_kind() -> None:
    layers = tiny("bert").layers
    for epoch in range(_ROUNDS):
        chosen = trains(layers, HalfFineTuning(), epoch)
        for block in layers.blocks:
            weights = [name for name in block.parameters if name in chosen and name.endswith("weight")]
            kinds = Counter("norm" if "Norm" in name else "attention" if "attention" in name else "mlp"
                            for name in weights)
            assert kinds == {"attention": 2, "mlp": 1, "norm": 1}, "of 4, 2 and 2"
            assert {f"{name.rpartition('.')[0]}.bias" for name in weights} <= chosen, "a bias goes with its matrix"


def test_of_an_odd_number_one_more_in_every_second_block() -> None:
    """Llama's MLP has three matrices: two in one block, one in the next, half in the sum."""
    layers = tiny("llama").layers
    counts = [[sum(".mlp." in name for name in trains(layers, HalfFineTuning(), epoch) if layers.group_of(name) ==
                   block.name) for block in layers.blocks] for epoch in range(2)]
    assert sorted(map(tuple, counts)) == [(1, 2, 1), (2, 1, 2)]


def test_by_layer_whole_blocks_train_or_rest() -> None:
    layers = tiny("bert").layers
    for epoch in range(_ROUNDS):
        chosen = trains(layers, HalfFineTuning(level="layer"), epoch)
        states = [len(set(group.parameters) & chosen) / len(group.parameters) for group in layers]
        assert set(states) == {0.0, 1.0}
        assert sum(states[:-1]) == 2, "of the stem and three blocks"


def test_rounds_and_seeds() -> None:
    layers = tiny("bert").layers
    slow = HalfFineTuning(every=3)
    plans = [slow.plan(layers, epoch) for epoch in range(6)]
    assert plans[0] == plans[1] == plans[2] != plans[3] == plans[4] == plans[5]
    assert plans[0] == HalfFineTuning().plan(layers, 0)
    assert HalfFineTuning(seed=1).plan(layers, 0) != plans[0]
    assert make_strategy("half:level=layer,seed=3,every=2") == HalfFineTuning("layer", 2, 3)


def test_nothing_rests_for_ever() -> None:
    layers = tiny("gpt2").layers
    for level in ("category", "layer", "model"):
        ever: set[str] = set()
        for epoch in range(40):
            ever |= trains(layers, HalfFineTuning(level=level), epoch)
        assert ever == set(layers.parameters)


def test_it_is_drawn_and_obeyed() -> None:
    model, strategy = tiny("bert"), HalfFineTuning()
    assert "half (level='category', every=1, seed=0)" in freeze_map(model, strategy).alt
    history = fit(model, data_for("text"), strategy, epochs=3, batch_size=8, lr=1e-2, progress=False)
    assert not audit(model, history).warnings
    assert len({row["trainable"] for row in history.epochs}) > 1
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]


@pytest.mark.parametrize(("options", "message"), [
    ({"level": "head"}, "Unknown level 'head'"), ({"level": "layers"}, "Did you mean 'layer'"),
    ({"every": 0}, "every must be a whole number of at least 1"), ({"every": 1.5}, "every must be a whole number")])
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        HalfFineTuning(**options)
