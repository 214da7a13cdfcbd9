"""Long recordings are cut where nobody speaks, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.tasks.pauses import cut_at_pauses

RATE = 1_000


def words(*seconds: float, pause: float = 0.5) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Noise of these lengths with pauses between; and where each pause lies."""
    rng, parts, pauses, at = np.random.default_rng(0), [], [], 0
    for length in seconds:
        parts += [rng.normal(0, 0.3, int(length * RATE)), rng.normal(0, 0.001, int(pause * RATE))]
        at += len(parts[-2])
        pauses.append((at, at + len(parts[-1])))
        at += len(parts[-1])
    return np.concatenate(parts).astype(np.float32), pauses


def test_a_short_sound_stays_whole() -> None:
    sound, _ = words(3)
    pieces = cut_at_pauses(sound, RATE, 30)
    assert len(pieces) == 1
    assert pieces[0] is sound


@pytest.mark.parametrize("lengths", [(4, 5, 3, 6, 4, 5), (7, 1, 1, 9, 2, 2, 2, 8)])
def test_cuts_lie_in_pauses_and_nothing_is_lost(lengths: tuple[float, ...]) -> None:
    sound, pauses = words(*lengths)
    pieces = cut_at_pauses(sound, RATE, 12)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert len(pieces) > 2
    assert all(len(piece) <= 12 * RATE for piece in pieces)
    assert all(len(piece) >= 4 * RATE for piece in pieces[:-1])
    for cut in np.cumsum([len(piece) for piece in pieces])[:-1]:
        assert any(start < cut < end for start, end in pauses), cut


def test_without_a_pause_it_is_cut_all_the_same() -> None:
    sound = np.random.default_rng(1).normal(0, 0.3, 25 * RATE).astype(np.float32)
    pieces = cut_at_pauses(sound, RATE, 10)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert max(map(len, pieces)) <= 10 * RATE
    assert [len(piece) for piece in cut_at_pauses(np.zeros(2_001, np.float32), RATE, 1)][-1] > 0
