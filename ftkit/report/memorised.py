"""Memorisation: how much of what a text generator writes stands word for word in what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.errors import UserError

LENGTHS = (4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Memorised:
    """What was copied.

    Args:
        shares: By run length in words: the share of the runs of that length that stand in a training text. None if no
            text is that long.
        longest: Words of the longest copied run.
        run: Its words.
        source: Which training text it stands in; None if not one word was copied.
    """

    shares: dict[int, float | None]
    longest: int
    run: str
    source: int | None

    def __str__(self) -> str:
        shares = ", ".join(f"{n} words {'-' if share is None else f'{share:.1%}'}" for n, share in self.shares.items())
        return f"copied runs of {shares}; the longest has {self.longest} words: '{self.run}'"


def memorised(written: Any, training: Iterable[str], lengths: Sequence[int] = LENGTHS) -> Memorised:
    """Compare what was written with the training texts, word by word; capitals and punctuation do not count.

    People repeat each other too: measure texts that the model has never seen, such as `data.test.inputs`, the same way,
    and compare.

    Args:
        written: A text, what `generate` returned, or a list of either. Of the latter the prompt does not count.
        training: The texts that the model learned from.
        lengths: Run lengths in words.

    Raises:
        UserError: Nothing was written, or there is nothing to compare with.

    Source: n-gram overlap as in McCoy et al. 2021, "How much do language models copy from their training data?".
    Lesson 07.
    """
    items = [written] if isinstance(written, str) or hasattr(written, "text") else list(written)
    mine = [_words(getattr(item, "text", item)) for item in items]
    theirs = [_words(text) for text in training]
    if not any(mine):
        raise UserError("There is no word to look for in the training texts.")
    if not any(theirs):
        raise UserError("There is no training text to compare with.")
    if not lengths or min(lengths) < 1:
        raise UserError(f"lengths are numbers of words, at least 1, not {list(lengths)}.")
    shares: dict[int, float | None] = {}
    for n in lengths:
        known = {run for words in theirs for run in _runs(words, n)}
        found = [run in known for words in mine for run in _runs(words, n)]
        shares[n] = sum(found) / len(found) if found else None
    run = _longest(mine, theirs)
    source = next((i for i, words in enumerate(theirs) if run and _inside(run, words)), None)
    return Memorised(shares, len(run), " ".join(run), source)


def _words(text: str) -> list[str]:
    stripped = (word.strip(".,;:!?\"'()[]“”‘’…—-").casefold() for word in text.split())
    return [word for word in stripped if word]


def _runs(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _inside(run: list[str], words: list[str]) -> bool:
    return f" {' '.join(run)} " in f" {' '.join(words)} "


def _longest(mine: list[list[str]], theirs: list[list[str]]) -> list[str]:
    """The longest run of one of `mine` that stands in one of `theirs`."""
    whole = "".join(f" {' '.join(words)} \n" for words in theirs)  # no run goes over the end of a text
    best: list[str] = []
    for words in mine:
        start = 0
        for end in range(1, len(words) + 1):
            while start < end and f" {' '.join(words[start:end])} " not in whole:
                start += 1  # what is not there is not there with one more word either
            if end - start > len(best):
                best = words[start:end]
    return best
