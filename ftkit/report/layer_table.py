"""The layer table: one row per group."""

from __future__ import annotations

from typing import Any

from ftkit.backbones import Model
from ftkit.strategies import Strategy, make_strategy, map_for


def layers(model: Model, strategy: str | Strategy | None = None, epoch: int = 0) -> list[dict[str, Any]]:
    """What each layer group holds, and whether it trains.

    Args:
        model: From `load_backbone`.
        strategy: Whose plan decides, on the network as it will have changed it; None reads requires_grad as it is now.
        epoch: Of the plan.

    Returns:
        Rows, input first: group, modules, parameters, trainable, megabytes (in 32-bit floats), scale (the largest
        learning-rate scale), trains ("yes", "no", "partly").

    Lesson 00.
    """
    layers, plan = model.layers, {name: float(p.requires_grad) for name, p in model.net.named_parameters()}
    if strategy is not None:
        layers = map_for(model, make_strategy(strategy))
        plan = make_strategy(strategy).plan(layers, epoch)
    rows = []
    for group in layers:
        size = sum(layers.sizes[name] for name in group.parameters)
        training = [name for name in group.parameters if plan.get(name, 0.0) > 0]
        trainable = sum(layers.sizes[name] for name in training)
        trains = "no" if not training else "yes" if len(training) == len(group.parameters) else "partly"
        rows.append({"group": group.name, "modules": ", ".join(group.modules), "parameters": size,
                     "trainable": trainable, "megabytes": round(size * 4 / 1e6, 2), "trains": trains,
                     "scale": max((plan[name] for name in training), default=0.0)})
    return rows
