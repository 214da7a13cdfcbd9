"""Batches: every example exactly once, the same on every machine, little padding."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.training.batches import by_length, epoch_batches


def padding(batches: list[list[int]], lengths: np.ndarray) -> int:
    return sum(int(lengths[batch].max()) * len(batch) - int(lengths[batch].sum()) for batch in batches)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 300])
@pytest.mark.parametrize("varied", [False, True])
def test_every_example_exactly_once(n: int, varied: bool) -> None:
    lengths = np.arange(1, n + 1) % 50 + 1 if varied else np.full(n, 7)
    for epoch in range(3):
        batches = epoch_batches(lengths, 8, seed=1, epoch=epoch)
        assert sorted(i for batch in batches for i in batch) == list(range(n))
        assert len(batches) == -(-n // 8)
        assert all(1 <= len(batch) <= 8 for batch in batches)
        assert sum(len(batch) < 8 for batch in batches) <= 1
        assert all(isinstance(i, int) for batch in batches for i in batch)


def test_the_same_for_the_same_seed_and_epoch_and_no_other() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    first = epoch_batches(lengths, 8, seed=1, epoch=2)
    assert first == epoch_batches(lengths.copy(), 8, seed=1, epoch=2)
    assert first != epoch_batches(lengths, 8, seed=1, epoch=3)
    assert first != epoch_batches(lengths, 8, seed=2, epoch=2)
    assert epoch_batches(lengths, 8, seed=1, epoch=2) != epoch_batches(lengths, 8, seed=2, epoch=1)


def test_the_order_is_part_of_the_contract() -> None:
    """Another order would break the resuming of every checkpoint: change it knowingly."""
    assert epoch_batches(np.array([3, 1, 2, 5, 4]), 2, seed=0, epoch=0) == [[3], [1, 2], [0, 4]]
    assert epoch_batches(np.ones(5, int), 2, seed=0, epoch=0) == [[1], [2, 4], [3, 0]]


def test_buckets_save_most_of_the_padding_and_stay_random() -> None:
    lengths = np.random.default_rng(0).integers(5, 120, 2000)
    order = np.random.default_rng(1).permutation(2000)
    plain = [order[i : i + 16].tolist() for i in range(0, 2000, 16)]
    bucketed = epoch_batches(lengths, 16, seed=0, epoch=0)
    assert padding(bucketed, lengths) < 0.2 * padding(plain, lengths)
    means = [lengths[batch].mean() for batch in bucketed]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2  # not from short to long
    partners = [{tuple(sorted(batch)) for batch in epoch_batches(lengths, 16, 0, epoch)} for epoch in (0, 1)]
    assert not partners[0] & partners[1]  # other company in another epoch


def test_by_length_is_longest_first_and_complete() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 50)
    batches = by_length(lengths, 8)
    ordered = [int(lengths[i]) for batch in batches for i in batch]
    assert ordered == sorted(ordered, reverse=True)
    assert sorted(i for batch in batches for i in batch) == list(range(50))
    assert by_length(np.zeros(0, int), 8) == []
