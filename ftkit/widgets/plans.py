"""Plans in few words: by group where a group trains as one, and what is different between two of them."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.layers import LayerMap
from ftkit.report.flow import group_states
from ftkit.strategies import Plan

Plans = Plan | list[Plan]
"""One plan for all epochs, or one for each."""


def compact(layers: LayerMap, plan: Plan) -> Plan:
    """The same plan by group names, and by parameter names only where a group does not train as one."""
    short: Plan = {}
    for group in layers:
        scales = {name: plan.get(name, 0.0) for name in group.parameters}
        if len(set(scales.values())) == 1:
            scales = {group.name: next(iter(scales.values()))}
        short |= {name: scale for name, scale in scales.items() if scale > 0}
    return short


def changes(layers: LayerMap, before: Plan, after: Plan) -> list[str]:
    """What a new plan does, in words: "blocks 3 to 5 thawed", "head frozen", "block 2 at rate ×0.1"."""
    old, new = group_states(layers, before), group_states(layers, after)
    found: dict[str, list[str]] = {}
    for i, group in enumerate(layers):
        high = max((after.get(name, 0.0) for name in group.parameters), default=0.0)
        if old[i] != new[i]:
            word = {"trains": "thawed", "partly": "thawed in part", "frozen": "frozen"}[new[i]]
            found.setdefault(word, []).append(group.name)
        elif any(before.get(name, 0.0) != after.get(name, 0.0) for name in group.parameters):
            found.setdefault(f"at rate ×{high:g}", []).append(group.name)
    return [f"{listed(names)} {word}" for word, names in found.items()]


def listed(names: Sequence[str]) -> str:
    """Group names in order, blocks that follow each other as one: "stem, blocks 0 to 3, head"."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    words = []
    for run in runs:
        first, last = (name.rpartition(" ")[2] for name in (run[0], run[-1]))
        words.append(run[0] if len(run) == 1 else f"blocks {first} to {last}")
    return ", ".join(words)


def _follows(name: str, other: str) -> bool:
    (kind, _, number), (kind2, _, number2) = name.rpartition(" "), other.rpartition(" ")
    return kind == kind2 == "block" and number.isdigit() and number2.isdigit() and int(number2) == int(number) + 1
