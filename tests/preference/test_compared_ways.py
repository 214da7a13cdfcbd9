"""Comparing models by several judges; the rule that no model is trained on; rewards pair by pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pref_helpers import pairs, writer

import ftkit as ft
from ftkit.errors import UserError
from ftkit.preference import checks, compare, margins, ppo, rule, win_rate
from ftkit.tasks import DPO, CausalLM, Reward


def reds(prompts: Any, replies: Any) -> list[float]:
    return [float(reply.split().count("red")) for reply in replies]


def test_a_tie_is_half_a_win() -> None:
    assert win_rate(np.array([1.0, 2.0, 3.0, 0.0]), np.array([1.0, 1.0, 5.0, -1.0])) == 0.625


def test_the_rule_sees_what_is_in_plain_sight() -> None:
    prompt = "What should I wear when it snows?\n"
    good = "Wrap up well, friend! Put on a thick coat for the snow, a hat, gloves and warm socks."
    assert all(checks(prompt, good).values())
    failed = {reply: {name for name, right in checks(prompt, reply).items() if not right} for reply in (
        "A coat.", good.rstrip("."), "snow snow snow snow snow snow snow snow snow snow.",
        "You silly child, put on a thick coat for the snow, a hat, gloves and warm socks.",
        "Bread is made of flour, water, salt and a little yeast, and it is baked.", "")}
    assert list(failed.values()) == [{"length", "about"}, {"ends"}, {"fresh"}, {"kind"}, {"about"},
                                     {"length", "ends", "fresh", "about", "kind"}]
    assert rule([prompt] * 2, [good, ""]).tolist() == [1.0, 0.0]
    chat = [{"role": "user", "content": prompt}]
    assert rule([chat], [good]).tolist() == [1.0]


def test_the_rule_knows_better_replies_but_not_well() -> None:
    """What its docstring says of the bundled pairs."""
    data = ft.load_data("replies")
    found = {}
    for split in (data.train, data.test):
        sides = [rule(split.inputs, [target[side] for target in split.targets]) for side in ("chosen", "rejected")]
        found[split.name] = win_rate(*sides)
    assert found["train"] == pytest.approx(0.74, abs=0.02)
    assert found["test"] == pytest.approx(0.64, abs=0.02)


def test_models_side_by_side() -> None:
    start, tuned = writer(CausalLM(())), writer(DPO(()))
    ppo(tuned, ["say a colour", "say"], reds, steps=12, batch_size=32, minibatch=32, epochs=4, max_new_tokens=3,
        lr=3e-3, beta=0.0, progress=False)
    judges = {"reds": reds, "rule": rule, "model": writer(Reward(()), seed=4)}
    found = compare({"start": start, "tuned": tuned}, ["say a colour", "say now"], judges, times=20, max_new_tokens=3)
    first, second = found.rows
    assert list(found.frame().columns) == ["wins by reds", "wins by rule", "wins by model", "words", "ended", "KL"]
    assert math.isnan(first["wins by reds"])
    assert first["KL"] == pytest.approx(0, abs=1e-4)
    assert second["wins by reds"] > 0.7
    assert second["KL"] > 0.5
    assert second["wins by reds"] == win_rate(found.scores["reds"]["tuned"], found.scores["reds"]["start"])
    assert found.uncertainty == pytest.approx(0.5 / math.sqrt(40))
    assert list(found.samples(3).columns) == ["prompt", "start", "tuned"]
    assert found.samples(3)["tuned"].tolist() == found.replies["tuned"][:3]
    again = compare({"start": start, "tuned": tuned}, ["say a colour", "say now"], judges, times=20, max_new_tokens=3)
    assert again.replies == found.replies


def test_margins_are_what_evaluate_sums_up() -> None:
    task = DPO(())
    data, model = pairs(task), writer(task)
    ft.fit(model, data, epochs=1, lr=1e-3, progress=False)
    found, scores = margins(model, data.test), ft.evaluate(model, data.test)
    assert found.values.mean() == pytest.approx(scores["margin"], abs=1e-5)
    assert (found.values > 0).mean() == pytest.approx(scores["accuracy"], abs=1e-6)
    table = found.frame()
    assert list(table) == ["margin", "prompt", "chosen", "rejected"]
    assert table["margin"].is_monotonic_increasing


def test_mistakes_are_named() -> None:
    model = writer(DPO(()))
    with pytest.raises(UserError, match="at least one model"):
        compare({}, ["say"], {"rule": rule})
    with pytest.raises(UserError, match="writes texts"):
        compare({"a": writer(Reward(()))}, ["say"], {"rule": rule})
    with pytest.raises(UserError, match="trained on pairs"):
        margins(writer(CausalLM(())), pairs(DPO(())).test)
    with pytest.raises(UserError, match=r"model\.reference"):
        margins(model, pairs(DPO(())).test)
