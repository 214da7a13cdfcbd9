"""Strategies: one file each. Names are those of the command line."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from ftkit.errors import UnknownName, UserError, check_name
from ftkit.strategies.adapting import changed_copy, map_for
from ftkit.strategies.base import Plan, Strategy, scale_groups, thawed
from ftkit.strategies.bitfit import BitFit
from ftkit.strategies.bn_only import BatchNormOnly
from ftkit.strategies.custom import Custom
from ftkit.strategies.discriminative import Discriminative
from ftkit.strategies.drop_layers import DropLayers
from ftkit.strategies.frozen_stem import FrozenStem
from ftkit.strategies.full import Full
from ftkit.strategies.gradual import GradualUnfreeze
from ftkit.strategies.half import HalfFineTuning
from ftkit.strategies.ia3 import IA3
from ftkit.strategies.last_k import LastK
from ftkit.strategies.lora import LoRA
from ftkit.strategies.probe import LinearProbe
from ftkit.strategies.prompt_tuning import PromptTuning

STRATEGIES: dict[str, type[Strategy]] = {strategy.name: strategy for strategy in (
    LinearProbe, Full, FrozenStem, LastK, GradualUnfreeze, Discriminative, BatchNormOnly, BitFit, HalfFineTuning, LoRA,
    IA3, PromptTuning, DropLayers, Custom)}
"""Every strategy by the name that the command line and `make_strategy` take, such as "last_k"."""

_BLOCK = re.compile(r"^block_(\d+)$")  # names of parameters have underscores of their own

__all__ = ["IA3", "STRATEGIES", "BatchNormOnly", "BitFit", "Custom", "Discriminative", "DropLayers", "FrozenStem",
           "Full", "GradualUnfreeze", "HalfFineTuning", "LastK", "LinearProbe", "LoRA", "Plan", "PromptTuning",
           "Strategy", "changed_copy", "make_strategy", "map_for", "scale_groups", "thawed"]


def make_strategy(text: Any) -> Strategy:
    """A strategy from its written form: "probe", "last_k:k=2", "gradual:every=2,decay=cosine", "custom:head=1,stem=0".

    An inner strategy has its own options behind semicolons: "lora:r=8,inner=gradual:every=2;step=2".

    A Strategy, its class, and an object that has one as `strategy` are taken as they are. In `custom`, a block is
    written with an underscore: "block_5=0.1".

    Raises:
        UnknownName: No such strategy or option; the nearest one is named.
        UserError: A value of the wrong type.
    """
    if isinstance(text, Strategy):
        return text
    edited = getattr(text, "strategy", None)
    if isinstance(edited, Strategy):  # an editor of plans, such as ftkit.widgets.freeze_map
        return edited
    if isinstance(text, type) and issubclass(text, Strategy) and text is not Custom:
        return text()
    if not isinstance(text, str):
        found = text.__name__ if isinstance(text, type) else type(text).__name__
        raise UserError(f"A strategy is a name such as 'gradual' or an object such as GradualUnfreeze(every=1) or "
                        f"Custom({{'head': 1}}), not {found}.")
    name, _, rest = text.partition(":")
    kind = STRATEGIES[check_name("strategy", name, STRATEGIES)]
    pairs = [_option(part, name) for part in rest.split(",") if part.strip()]
    written = dict(pairs)
    if len(written) < len(pairs):
        twice = next(key for key, _ in pairs if [other for other, _ in pairs].count(key) > 1)
        raise UserError(f"{twice} is given twice in '{text}'.")
    known = {field.name: str(field.type) for field in fields(kind) if field.name != "scales"}
    options: dict[str, Any] = {key: _convert(key, value, known[key]) for key, value in written.items() if key in known}
    others = {key: value for key, value in written.items() if key not in known}
    if kind is Custom:
        if not others:
            raise UserError("custom needs at least one group, such as custom:head=1,block_5=0.1")
        return Custom({_BLOCK.sub(r"block \1", key): float(_convert(key, v, "float")) for key, v in others.items()},
                      **options)
    for key in others:
        raise UnknownName(f"option of strategy {name}", key, known)
    if "inner" in options:
        options["inner"] = options["inner"].replace(";", ",")
    return kind(**options)


def _option(part: str, strategy: str) -> tuple[str, str]:
    key, equals, value = part.strip().partition("=")
    if not equals or not value:
        raise UserError(f"'{part}' in the strategy {strategy} must be written key=value.")
    return key.strip(), value.strip()


def _convert(key: str, value: str, kind: str) -> int | float | str:
    try:
        return int(value) if kind == "int" else float(value) if kind == "float" else value
    except ValueError:
        wanted = "a whole number" if kind == "int" else "a number"
        raise UserError(f"{key} must be {wanted}, not '{value}'.") from None
