"""Your own plan: a dict, a list of dicts (one per epoch), or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.base import Plan, Strategy, scale_groups

Scales = Mapping[str, float]


@dataclass(frozen=True)
class Custom(Strategy):
    """A plan by group names ("head", "block 3", "stem") or parameter names; what is not named is frozen.

    Args:
        scales: A dict; or a list of dicts, one per epoch, the last one repeated; or a function of
            (layer_map, epoch) that returns such a dict.

    Example: `Custom({"head": 1, "block 5": 0.1})`. Lesson 01.
    """

    scales: Scales | Sequence[Scales] | Callable[[LayerMap, int], Scales]

    name: ClassVar[str] = "custom"

    def __repr__(self) -> str:
        """The same in every process: a function by its name, for its address would make each run look different."""
        shown = getattr(self.scales, "__qualname__", None) if callable(self.scales) else repr(self.scales)
        return f"Custom(scales={shown or type(self.scales).__name__}, warmup={self.warmup}, decay={self.decay!r})"

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """Raises UserError when nothing at all would train in this epoch."""
        chosen: Any = self.scales
        if callable(chosen):
            chosen = chosen(layers, epoch)
        elif isinstance(chosen, Sequence) and not isinstance(chosen, str):
            if not chosen:
                raise UserError("A custom plan by epochs needs at least one epoch; the list is empty.")
            chosen = chosen[min(epoch, len(chosen) - 1)]
        if not isinstance(chosen, Mapping):
            raise UserError(f"A custom plan is a dict such as {{'head': 1}}, a list of dicts, or a function that gives "
                            f"one, not {type(chosen).__name__}.")
        plan = scale_groups(layers, chosen)
        if not any(plan.values()):
            raise UserError(f"The custom plan freezes everything in epoch {epoch}: nothing would train.")
        return plan
