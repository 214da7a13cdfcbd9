"""Which examples go together: shuffled anew each epoch, texts of like length side by side."""

from __future__ import annotations

import math

import numpy as np

BUCKET = 16  # batches that are sorted by length together: enough to save padding, few enough to stay random


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int,
                  most: float = math.inf) -> list[list[int]]:
    """The batches of one epoch as lists of indices: the same for the same seed and epoch, on any machine.

    Args:
        lengths: Tokens per example (N,). If they differ, each run of 16 batches is sorted by length before it is cut,
            and the batches are shuffled again: far less padding, and no batch is seen in order of length.
        batch_size: Examples per batch; the last one may be smaller.
        seed: Of the run.
        epoch: 0 is the first.
        most: Tokens that a batch may have, padding included: examples times the longest of them. A longer example
            stands alone.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    if lengths.size and lengths.min() != lengths.max():
        window = BUCKET * batch_size
        chunks = [order[start : start + window] for start in range(0, len(order), window)]
        order = np.concatenate([chunk[np.argsort(lengths[chunk], kind="stable")] for chunk in chunks])
    batches = _cut(order, lengths, batch_size, most)
    rng.shuffle(batches)
    return batches


def by_length(lengths: np.ndarray, batch_size: int, most: float = math.inf) -> list[list[int]]:
    """Batches for evaluation, longest first: the least padding, and a batch too large for memory fails at once."""
    return _cut(np.argsort(-lengths, kind="stable"), lengths, batch_size, most)


def _cut(order: np.ndarray, lengths: np.ndarray, batch_size: int, most: float) -> list[list[int]]:
    """The order in pieces of at most `batch_size` examples, and of at most `most` tokens with their padding."""
    if most == math.inf:
        return [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]
    batches: list[list[int]] = []
    longest = 0
    for i in order.tolist():
        longest = max(longest, int(lengths[i]))
        if not batches or len(batches[-1]) >= batch_size or longest * (len(batches[-1]) + 1) > most:
            batches.append([])
            longest = int(lengths[i])
        batches[-1].append(i)
    return batches
