"""A judge that no model is trained on: five things that make a reply a good one, in plain sight.

Chosen by reading the training pairs of `replies`. It prefers the chosen reply to the rejected one in about three of
four training pairs and two of three test pairs (a tie counts half): it catches rambling nearly always, rude and
boastful replies often, and hardly notices what is evasive or wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_LITTLE = """
a about all am an and any are as at be been but by can could did do does for from had has have he her here him his how i
if in into is it its just let make me more my no not of off on one or our out please shall she should so some tell than
that the their them then there these they this those to too up us very was we were what when where which who why will
with would you your
"""
_UNKIND = """
best blame boring careless cleverest dreadful dull dumb ever famous fault finest fool foolish genius greatest hopeless
lazy nobody nonsense ridiculous rubbish shame silly stop stupid ugly whining world
"""
_PASSED_OVER, _NOT_KIND = frozenset(_LITTLE.split()), frozenset(_UNKIND.split())


def checks(prompt: Any, reply: str) -> dict[str, bool]:
    """What a reply does right.

    Returns:
        "length": 10 to 40 words; "ends": with a full stop, a question or an exclamation mark; "fresh": at least 70 % of
        its words come only once; "about": it takes up a word of the prompt (or its beginning); "kind": it neither
        scolds nor boasts, by a short list of words, and says "I" once at most. Lesson 09.
    """
    words, asked = _words(reply), _words(prompt if isinstance(prompt, str) else " ".join(m["content"] for m in prompt))
    heads = {word[:4] for word in words if word not in _PASSED_OVER}
    return {"length": 10 <= len(words) <= 40, "ends": reply.rstrip().endswith((".", "!", "?")),
            "fresh": bool(words) and len(set(words)) >= 0.7 * len(words),
            "about": any(word[:4] in heads for word in asked if word not in _PASSED_OVER),
            "kind": bool(words) and not _NOT_KIND & set(words) and words.count("i") <= 1}


def rule(prompts: Sequence[Any], replies: Sequence[str]) -> np.ndarray:
    """The share of checks that each reply passes, (N,): a judge for `compare`, and no reward to train on. Lesson 09."""
    return np.array([np.mean(list(checks(prompt, reply).values()))
                     for prompt, reply in zip(prompts, replies, strict=True)], dtype=np.float32)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())
