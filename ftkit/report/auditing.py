"""The audit: what actually changed in a run, held against what was planned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training import History

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Audit:
    """One row per layer group, and every contradiction in words.

    Args:
        rows: group, parameters, planned (how many were to train at some time), requires_grad (how many do now),
            in_optimizer, moved (how many have changed), drift (|w - w0| / |w0| of those planned), norm_drift (BatchNorm
            layers whose running statistics have changed).
        warnings: Contradictions; empty if everything is as planned.
    """

    rows: list[dict[str, Any]]
    warnings: list[str]

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __str__(self) -> str:
        head = f"{'group':<10}{'parameters':>12}{'planned':>12}{'moved':>12}{'drift':>9}  BatchNorm moved"
        lines = [f"{r['group']:<10}{r['parameters']:>12,}{r['planned']:>12,}{r['moved']:>12,}{r['drift']:>9.4f}"
                 f"  {r['norm_drift']}" for r in self.rows]
        end = self.warnings or ["Everything moved as planned, and nothing else did."]
        return "\n".join([head, *lines, *(f"! {w}" if self.warnings else w for w in end)])

    __repr__ = __str__


def audit(model: Model, history: History, optimizer: torch.optim.Optimizer | None = None) -> Audit:
    """Compare the model now with the model before the run, parameter by parameter, bit by bit.

    Args:
        model: After `fit`.
        history: What `fit` returned; not one that was read from JSON, which no longer knows the first weights.
        optimizer: A session's optimizer, to check its groups too while the run is open.

    Raises:
        UserError: A history without first weights, or of another model.

    Lesson 00.
    """
    start = history.start
    if start is None:
        raise UserError("This history does not hold the first weights: audit works on what fit returned, "
                        "in the same Python session.")
    if not set(model.layers.parameters) <= set(start.checksums):
        raise UserError("This history is of another model.")
    moved, distances, planned = start.moved(model.net), start.distances(model.net), set(start.planned)
    held = None if optimizer is None else {id(p) for group in optimizer.param_groups for p in group["params"]}
    rows, warnings = [], []
    parameters = dict(model.net.named_parameters())
    for group in model.layers:
        names = group.parameters
        norms = moved_norms(model.net, group.modules, moved)
        rows.append({
            "group": group.name, "parameters": _count(model, names),
            "planned": _count(model, [n for n in names if n in planned]),
            "requires_grad": _count(model, [n for n in names if parameters[n].requires_grad]),
            "in_optimizer": None if held is None else _count(model, [n for n in names if id(parameters[n]) in held]),
            "moved": _count(model, [n for n in names if moved[n]]),
            "drift": ratio([distances[n] for n in names if n in distances]), "norm_drift": len(norms)})
        found = contradictions(names, planned, moved, parameters, held)
        if norms and not any(n in planned for n in names):
            found.append(statistics_moved(norms))
        warnings += [f"{group.name}: {words}" for words in found]
    return Audit(rows, warnings)


def _count(model: Model, names: Any) -> int:
    return sum(model.layers.sizes[name] for name in names)


def ratio(distances: Iterable[tuple[float, float]]) -> float:
    """|w - w0| / |w0| of several tensors taken as one vector; 0 if none of them may train."""
    pairs = list(distances)
    moved, start = (math.sqrt(sum(pair[i] ** 2 for pair in pairs)) for i in (0, 1))
    return moved / start if start else moved


def contradictions(names: Sequence[str], planned: set[str], moved: Mapping[str, bool],
                   parameters: Mapping[str, nn.Parameter], held: set[int] | None) -> list[str]:
    """What is wrong with the parameters of a group, in words.

    Args:
        names: Of the group's parameters.
        planned: Those that are to train.
        moved: For each name whether it has changed.
        parameters: Of the network.
        held: The ids of those that the optimizer holds; None if that is not known.
    """
    found = []
    for title, wrong in (
        ("moved while frozen", [n for n in names if moved[n] and n not in planned]),
        ("was to train and did not move", [n for n in names if n in planned and not moved[n]]),
        ("wants gradients but is not in the optimizer",
         [n for n in names if held is not None and parameters[n].requires_grad and id(parameters[n]) not in held]),
        ("is in the optimizer but wants no gradient",
         [n for n in names if held is not None and not parameters[n].requires_grad and id(parameters[n]) in held]),
    ):
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            found.append(f"{wrong[0]}{more} {title}.")
    return found


def statistics_moved(norms: Sequence[str]) -> str:
    """The warning for BatchNorm layers of a frozen group that went on averaging what they see."""
    return f"frozen, but the running statistics of {norms[0]} moved."


def batch_norms(net: nn.Module, modules: Sequence[str]) -> list[str]:
    """The BatchNorm layers of a group."""
    norms = [name for name, module in net.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return [n for n in norms if any(n == path or n.startswith(f"{path}.") for path in modules)]


def moved_norms(net: nn.Module, modules: Sequence[str], moved: Mapping[str, bool]) -> list[str]:
    """BatchNorm layers of a group whose running mean or variance has changed."""
    return [n for n in batch_norms(net, modules) if moved.get(f"{n}.running_mean") or moved.get(f"{n}.running_var")]
