"""The playground's ready-made plans, and everything else that may stand for a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.errors import UserError, check_name
from ftkit.strategies import STRATEGIES, BatchNormOnly, Custom, GradualUnfreeze, LastK, Plan, Strategy, make_strategy
from ftkit.training import TrainSession
from ftkit.widgets.plans import Plans

PRESETS = {"head": "head only", "last_k": "last k blocks", "gradual": "gradual", "all": "everything",
           "bn_only": "BatchNorm only", "wrong_way": "first block only"}


def presets_for(session: TrainSession) -> list[dict[str, str]]:
    """Names and labels of the presets that fit the model: bn_only needs BatchNorm layers."""
    norms = "batchnorm" in session.layers.kinds.values()
    return [{"name": name, "label": label} for name, label in PRESETS.items() if norms or name != "bn_only"]


def read_plan(session: TrainSession, what: Any, body: float = 1.0, k: int | None = None) -> tuple[Plans, str]:
    """A plan, or one per epoch, and what it is called.

    Args:
        session: Its model and epoch: "gradual" begins now.
        what: A preset's name; a strategy or its written form, such as "last_k:k=3"; scales by group or parameter name,
            such as {"head": 1, "block 2": 0.1}; or a list of those, one per epoch.
        body: The scale at which presets train what is not the head.
        k: Blocks, for the preset "last_k"; None takes 2, or all if there are fewer.

    Raises:
        UserError: An unknown name, or a plan that this model cannot follow.
    """
    if k is not None and what != "last_k":
        raise UserError(f"k counts the blocks of the preset 'last_k'; {what!r} has none.")
    if isinstance(what, str) and ":" not in what:
        check_name("preset or strategy", what, [*PRESETS, *(name for name in STRATEGIES if name not in PRESETS)])
        if what in PRESETS:
            return _preset(session, what, body, k)
    if isinstance(what, (str, Strategy)):
        strategy = make_strategy(what)
        if type(strategy).adapt is not Strategy.adapt:
            raise UserError(f"'{strategy.name}' changes the network itself, so it cannot begin in the middle of a run: "
                            "start a new experiment with it.")
        return _by_epoch(session, strategy), what if isinstance(what, str) else strategy.name
    if isinstance(what, Mapping):
        return dict(what), "own plan"
    if isinstance(what, Sequence) and what and all(isinstance(one, Mapping) for one in what):
        return [dict(one) for one in what], "own plan"
    raise UserError(f"A plan is a preset ({', '.join(PRESETS)}), a strategy such as 'last_k:k=2', or scales by group "
                    f"such as {{'head': 1}}, not {what!r}.")


def _preset(session: TrainSession, name: str, body: float, k: int | None) -> tuple[Plans, str]:
    layers, label = session.layers, PRESETS[name]
    if name == "head":
        return {"head": 1.0}, label
    if name == "wrong_way":
        return {(layers.blocks or layers.groups)[0].name: body}, label
    if name == "gradual":
        return _gradual(session, body), label
    strategy: Strategy = Custom(dict.fromkeys(layers.names, 1.0))
    if name == "last_k":
        strategy = LastK(k=min(2, len(layers.blocks)) if k is None else k)
        label = f"last {strategy.k} blocks" if strategy.k != 1 else "last block"
    elif name == "bn_only":
        strategy = BatchNormOnly()
    return _slower_body(session, strategy.plan(layers, 0), body), label


def _gradual(session: TrainSession, body: float) -> Plans:
    """From the head downwards, beginning in the epoch that it is now, so that all have trained in the end."""
    layers, now, left = session.layers, session.epoch, max(1, session.settings.epochs - session.epoch)
    strategy = GradualUnfreeze(step=max(1, math.ceil((len(layers) - 1) / max(1, left - 1))))
    return [_slower_body(session, strategy.plan(layers, max(0, epoch - now)), body)
            for epoch in range(session.settings.epochs)]


def _slower_body(session: TrainSession, plan: Plan, body: float) -> Plan:
    """The same plan with the rates of all but the head times `body`."""
    head = set(session.layers.groups[-1].parameters)
    return {name: scale if name in head else scale * body for name, scale in plan.items()}


def _by_epoch(session: TrainSession, strategy: Strategy) -> Plans:
    plans = [strategy.plan(session.layers, epoch) for epoch in range(session.settings.epochs)]
    return plans[0] if all(plan == plans[0] for plan in plans) else plans
