"""Which examples go together: shuffled anew each epoch, texts of like length side by side."""

from __future__ import annotations

import numpy as np

BUCKET = 16  # batches that are sorted by length together: enough to save padding, few enough to stay random


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch as lists of indices: the same for the same seed and epoch, on any machine.

    Args:
        lengths: Tokens per example (N,). If they differ, each run of 16 batches is sorted by length before it is cut,
            and the batches are shuffled again: far less padding, and no batch is seen in order of length.
        batch_size: Examples per batch; the last one may be smaller.
        seed: Of the run.
        epoch: 0 is the first.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    if lengths.size and lengths.min() != lengths.max():
        window = BUCKET * batch_size
        chunks = [order[start : start + window] for start in range(0, len(order), window)]
        order = np.concatenate([chunk[np.argsort(lengths[chunk], kind="stable")] for chunk in chunks])
    batches = [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]
    rng.shuffle(batches)
    return batches


def by_length(lengths: np.ndarray, batch_size: int) -> list[list[int]]:
    """Batches for evaluation, longest first: the least padding, and a batch too large for memory fails at once."""
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]
