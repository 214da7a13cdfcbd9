"""Packing: several short documents in one row of a batch, so that little of it is padding.

Documents of one row must not see each other. Each counts its positions from 0 again, and transformers, given no
attention mask, draws the borders where positions start anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.tasks.logprobs import HIDDEN


def packed(rows: Sequence[Any], room: int, fill: int) -> dict[str, Tensor]:
    """A batch of documents in as few rows as first fit, the longest first, needs.

    Args:
        rows: The documents: ids (T,), labels (T,) and bytes of each.
        room: Tokens that a row may have; no document is longer.
        fill: The id that stands where a row is not full.

    Returns:
        `input_ids`, `labels` (-100 where nothing is to be learned) and `position_ids`, each (R, T); `bytes` (R,).

    Lesson 07.
    """
    shelves: list[list[Any]] = []
    taken: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row[0])):
        place = next((i for i, used in enumerate(taken) if used + len(row[0]) <= room), len(shelves))
        if place == len(shelves):
            shelves.append([])
            taken.append(0)
        shelves[place].append(row)
        taken[place] += len(row[0])
    shape = (len(shelves), max(taken))
    ids, labels = np.full(shape, fill, dtype=np.int64), np.full(shape, HIDDEN, dtype=np.int64)
    places = np.zeros(shape, dtype=np.int64)
    for i, shelf in enumerate(shelves):
        start = 0
        for tokens, wanted, _ in shelf:
            end = start + len(tokens)
            ids[i, start:end], labels[i, start:end], places[i, start:end] = tokens, wanted, np.arange(len(tokens))
            start = end
        places[i, start:] = np.arange(shape[1] - start)  # what fills up is a document of its own
    return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels),
            "position_ids": torch.from_numpy(places),
            "bytes": torch.tensor([sum(size for _, _, size in shelf) for shelf in shelves])}


def keeps_apart(net: nn.Module) -> bool:
    """Whether a network reads the second document of a row as if it stood alone: tried out, like `looks_ahead`."""
    most = int(net.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    rows = [(np.arange(first, first + 3) % most, np.full(3, HIDDEN), 0) for first in (1, 4)]
    both = {k: v.to(next(net.parameters()).device) for k, v in packed(rows, 6, 0).items()}
    with torch.no_grad():
        row = net(input_ids=both["input_ids"], position_ids=both["position_ids"], use_cache=False).logits[0, 3:]
        alone = net(input_ids=both["input_ids"][:, 3:], use_cache=False).logits[0]
    return bool((row - alone).abs().max() < 1e-4 * (1 + alone.abs().max()))
