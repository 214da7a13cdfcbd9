"""An n-gram model with interpolated Kneser-Ney smoothing (Kneser & Ney 1995): what a language model has to beat.

It only counts. How often did this token follow these four? If they were never seen together, it asks what follows the
last three, and so on. For the shorter histories it counts in *how many different* places a token has been seen: "York"
is frequent but only ever follows "New", so after another word it is unlikely.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class KneserNey:
    """Counts of all n-grams of a sequence of token numbers.

    Args:
        tokens: (N,) integers.
        size: Of the vocabulary. `size ** order` must fit into 63 bits: 5 tokens of 4,096 do.
        order: Tokens per n-gram, the predicted one included.

    Raises:
        ValueError: The n-grams do not fit into 63 bits.
    """

    def __init__(self, tokens: np.ndarray, size: int, order: int = 5) -> None:
        if size**order >= 2**63:
            raise ValueError(f"{order} tokens of a vocabulary of {size:,} do not fit into 63 bits.")
        self.size, self.order = size, order
        # From order 1 up: (n-grams, counts, histories, their sums, their numbers of followers, discount).
        self.levels: list[tuple[Any, Any, Any, Any, Any, float]] = []
        grams, counts = np.unique(self._grams(tokens, order), return_counts=True)
        for level in range(order, 0, -1):
            histories, starts = np.unique(grams // size, return_index=True)
            sums = np.add.reduceat(counts, starts)
            followers = np.diff(np.append(starts, len(grams)))
            self.levels.insert(0, (grams, counts, histories, sums, followers, self._discount(counts)))
            if level > 1:  # a shorter n-gram counts once for each token that was seen before it
                grams, counts = np.unique(grams % size ** (level - 1), return_counts=True)

    def _grams(self, tokens: np.ndarray, order: int) -> np.ndarray:
        """Each run of `order` tokens as one number, (N - order + 1,)."""
        tokens = tokens.astype(np.int64)
        result = np.zeros(len(tokens) - order + 1, dtype=np.int64)
        for offset in range(order):
            result = result * self.size + tokens[offset : len(tokens) - order + 1 + offset]
        return result

    @staticmethod
    def _discount(counts: np.ndarray) -> float:
        """What is taken off every count, estimated from how many are 1 and 2 (Ney et al. 1994)."""
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        return once / (once + 2 * twice) if once and twice else 0.75

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The probability of each token from the `order`-th on, given those before it: (N - order + 1,)."""
        longest = self._grams(tokens, self.order)
        result = np.full(len(longest), 1 / self.size)
        for level, (grams, counts, histories, sums, followers, discount) in enumerate(self.levels, 1):
            wanted = longest % self.size**level
            at, known = _find(histories, wanted // self.size)
            here, seen = _find(grams, wanted)
            count = np.where(seen, counts[here], 0)
            mixed = (np.maximum(count - discount, 0) + discount * followers[at] * result) / sums[at]
            result = np.where(known, mixed, result)
        return result

    def loss(self, tokens: np.ndarray) -> float:
        """Mean negative log probability per token, in nats."""
        return float(-np.log(self.probabilities(tokens)).mean())


def _find(table: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in a sorted table, and whether the values really stand there."""
    at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return at, table[at] == wanted
