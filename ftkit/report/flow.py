"""What a plan means for each layer group, known before a single step: what trains, and how far gradients must run."""

from __future__ import annotations

from ftkit.layers import LayerMap
from ftkit.strategies import Plan


def group_states(layers: LayerMap, plan: Plan) -> list[str]:
    """For each group "trains", "frozen" or "partly"; a group without parameters is frozen."""
    states = []
    for group in layers:
        training = sum(plan.get(name, 0.0) > 0 for name in group.parameters)
        states.append("frozen" if not training else "trains" if training == len(group.parameters) else "partly")
    return states


def gradient_flow(layers: LayerMap, plan: Plan) -> list[str]:
    """Where the backward pass goes: "stored", "passes" or "none" for each group.

    It begins at the loss, above the head, and runs down to the lowest group that trains. The groups on its way must be
    crossed, also the frozen ones: that is why training the first block alone saves so little. Lesson 01.
    """
    states = group_states(layers, plan)
    lowest = next((i for i, state in enumerate(states) if state != "frozen"), len(states))
    return ["stored" if state != "frozen" else "passes" if i > lowest else "none" for i, state in enumerate(states)]
