"""What fine-tuning did to each weight matrix, and in how many directions: the rank of a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.report.wise import plain_copy, start_weights
from ftkit.training import History


@dataclass(frozen=True)
class WeightChange:
    """One matrix before and after.

    Args:
        name: Of the parameter.
        group: Of the layer map.
        size: |W - W0| / |W0|, Frobenius norms.
        shape: Rows and columns.
        values: The singular values of W - W0, the largest first: how strongly it changes in each direction.
    """

    name: str
    group: str
    size: float
    shape: tuple[int, int]
    values: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The share of the squared change that the first k directions hold, k = 1, 2, …"""
        squares = self.values**2
        total: np.ndarray = np.cumsum(squares) / max(float(squares.sum()), 1e-30)
        return total

    def rank(self, share: float = 0.9) -> int:
        """How many directions hold this share of the squared change."""
        return int(np.searchsorted(self.shares, share - 1e-9)) + 1


def weight_changes(before: Model | History, after: Model) -> list[WeightChange]:
    """The change of every weight matrix of the blocks that has changed; a convolution counts as out x (in x k x k).

    Args:
        before: The model before fine-tuning, or the History of the run that made `after`.
        after: The model after it; adapters are merged first.

    Raises:
        UserError: The two are not of the same architecture, or no matrix of a block has changed.

    Source: Hu et al. 2021, section 7: the change that fine-tuning makes has few directions. Lesson 08.
    """
    plain = plain_copy(after)
    start, end = start_weights(before, after), dict(plain.net.named_parameters())
    found = []
    for group in plain.layers.blocks:
        for name in group.parameters:
            if end[name].dim() < 2 or name not in start:
                continue
            if start[name].shape != end[name].shape:
                raise UserError(f"{name} has another shape before: only networks of the same architecture compare.")
            first = start[name].detach().flatten(1).float().cpu()
            change = end[name].detach().flatten(1).float().cpu() - first
            if change.any():
                found.append(WeightChange(name, group.name, float(change.norm() / first.norm().clamp(min=1e-12)),
                                          (len(change), change.shape[1]), torch.linalg.svdvals(change).numpy()))
    if not found:
        raise UserError("No weight matrix of a block has changed: the head alone has trained.")
    return found
