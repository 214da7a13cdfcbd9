"""From a recogniser's letter scores per frame to a text: greedily, or by a beam search.

A network trained by CTC says for each frame of a fiftieth of a second which letter it hears, or a blank: "nothing
new". Repeats and blanks fall out: h-e-e-_-l-_-l-o is "hello".
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def collapse(row: Sequence[int], blank: int) -> list[int]:
    """The best number of each frame, without repeats and blanks: what is left is the text."""
    return [number for i, number in enumerate(row) if number != blank and (i == 0 or number != row[i - 1])]


def beam_search(log_probabilities: np.ndarray, blank: int, width: int = 16) -> list[int]:
    """The most probable text, where greedy decoding gives the most probable path.

    Many paths spell the same text: "he_l" and "h_el" both say "hel". The beam adds them up. It keeps the `width` best
    beginnings of a text, each with the probability that its paths end in a blank, and that they end in its last letter:
    only after a blank can the same letter come again.

    Args:
        log_probabilities: (frames, letters), logarithms.
        blank: The number of the blank.
        width: Beginnings that are kept.

    Returns:
        The numbers of the letters.

    Source: Graves & Jaitly 2014, prefix search; Hannun et al. 2014. Lesson 05.
    """
    beams: dict[tuple[int, ...], list[float]] = {(): [0.0, -math.inf]}  # logarithms: ends in a blank, in its letter
    for frame in np.asarray(log_probabilities, dtype=np.float64).tolist():
        ends: defaultdict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        likely = sorted(range(len(frame)), key=lambda i: -frame[i])[:width]  # the others cannot make it into the beam
        for text, (in_blank, in_letter) in beams.items():
            both = _sum(in_blank, in_letter)
            ends[text][0] = _sum(ends[text][0], both + frame[blank])
            for letter in likely:
                if letter == blank:
                    continue
                longer: tuple[int, ...] = (*text, letter)
                if text and letter == text[-1]:  # without a blank between them the two are one
                    ends[text][1] = _sum(ends[text][1], in_letter + frame[letter])
                    ends[longer][1] = _sum(ends[longer][1], in_blank + frame[letter])
                else:
                    ends[longer][1] = _sum(ends[longer][1], both + frame[letter])
        beams = dict(sorted(ends.items(), key=lambda item: -_sum(*item[1]))[:width])
    best = max(beams, key=lambda prefix: _sum(*beams[prefix]))
    return list(best)


def _sum(one: float, other: float) -> float:
    """log(exp(one) + exp(other)), without leaving the logarithms."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def align(log_probabilities: np.ndarray, text: Sequence[int], blank: int) -> list[int]:
    """When each letter of a known text is spoken: for every frame the place in `text`, or -1 where there is a blank.

    The most probable of all paths that spell the text (Viterbi 1967, over the blanks-between-letters of Graves et al.
    2006).

    Args:
        log_probabilities: (frames, letters), logarithms.
        text: The numbers of its letters.
        blank: The number of the blank.

    Raises:
        ValueError: There are fewer frames than the text needs.
    """
    scores = np.asarray(log_probabilities, dtype=np.float64)
    states = [blank, *[number for letter in text for number in (letter, blank)]]  # _ h _ e _ l _ l _ o _
    repeats = sum(a == b for a, b in itertools.pairwise(text))
    if len(scores) < len(text) + repeats:
        raise ValueError(f"{len(scores)} frames cannot spell {len(text)} letters with {repeats} repeated ones.")
    best = np.full(len(states), -math.inf)
    best[:2] = scores[0, states[:2]]
    came = np.zeros((len(scores), len(states)), dtype=int)
    may_skip = np.array([i > 1 and states[i] != blank and states[i] != states[i - 2] for i in range(len(states))])
    for t in range(1, len(scores)):
        stay, step = best, np.concatenate([[-math.inf], best[:-1]])
        skip = np.where(may_skip, np.concatenate([[-math.inf] * 2, best[:-2]])[: len(states)], -math.inf)
        choices = np.stack([stay, step, skip])
        came[t] = choices.argmax(0)
        best = choices.max(0) + scores[t, states]
    at = len(states) - 1 if best[-1] >= best[-2:].max() else len(states) - 2
    path = [at]
    for t in range(len(scores) - 1, 0, -1):
        path.append(path[-1] - came[t, path[-1]])
    return [(state - 1) // 2 if state % 2 else -1 for state in reversed(path)]
