"""Exercises of lesson 07: what is predicted, top-p, bits per byte, tied weights, what is learned of a chat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.lessons.exercise import Exercise, choice, number

_ROWS: tuple[tuple[list[float], float], ...] = (
    ([0.4, 0.3, 0.2, 0.1], 0.6), ([0.1, 0.5, 0.15, 0.25], 0.6), ([0.1, 0.5, 0.15, 0.25], 0.05),
    ([0.05, 0.05, 0.1, 0.8], 0.85), ([0.25, 0.2, 0.3, 0.25], 0.99), ([1.0], 0.5))

LEARNED = {"the system's message": False, "what the user says": False, "what the assistant says": True,
           "the end of the assistant's turn": True}
"""Exercise 07.5: of which parts of a chat the loss is counted."""

_WHY = {
    "the system's message": "It is given, whenever the model is asked. Nobody wants it written by the model.",
    "what the user says": "A model that learns to write the user's part goes on by asking itself.",
    "what the assistant says": "That is the one thing that it is to write: without it nothing would be learned.",
    "the end of the assistant's turn": "If it does not learn to stop, it goes on, and plays the user as well.",
}


def judge_top_p(answer: Any) -> str:
    """The answer is a function of a row of probabilities and of p that returns the places that may be drawn."""
    if not callable(answer):
        return "The answer is a function: def my_top_p(probabilities, p): …"
    for row, p in _ROWS:
        returned = answer(list(row), p)
        try:
            found = sorted(int(place) for place in returned)
            exact = all(float(place) == int(place) for place in returned) if isinstance(returned, Sequence) else True
        except (TypeError, ValueError):
            return f"The function must return the places that may be drawn, as a list. Yours returned {returned!r:.60}."
        if not exact:
            return ("The function must return places, 0 for the first token, and not the probabilities themselves. "
                    f"Yours returned {returned!r:.60}.")
        hint = _top_p_hint(found, row, p)
        if hint:
            return f"For {row} and p = {p} you return {found}, and it must be {kept(row, p)}. {hint}".strip()
    return ""


def kept(row: Sequence[float], p: float) -> list[int]:
    """The places of the fewest tokens that together reach p, in rising order."""
    ranked = sorted(range(len(row)), key=lambda place: -row[place])
    before = itertools.accumulate([0.0, *(row[place] for place in ranked)])
    return sorted(place for place, sum_before in zip(ranked, before, strict=False) if sum_before < p)


def _top_p_hint(found: list[int], row: Sequence[float], p: float) -> str:
    right = kept(row, p)
    if found == right:
        return ""
    ranked = sorted(range(len(row)), key=lambda place: -row[place])
    sums = list(itertools.accumulate(row[place] for place in ranked))
    within = sorted(place for place, total in zip(ranked, sums, strict=True) if total <= p)
    unsorted = [i for i, before in enumerate(itertools.accumulate([0.0, *row[:-1]])) if before < p]
    if found == sorted(i for i, share in enumerate(row) if share >= p):
        return "No single token need have the probability p: the best ones have it together."
    if found == within:
        return ("The token with which the sum reaches p belongs to them. Otherwise nothing might be left: the best one "
                "may always be drawn.")
    if found == unsorted:
        return "Begin with the likeliest token, wherever it stands in the row."
    if found == sorted(ranked[: len(right) + 1]):
        return "That is one too many: stop as soon as the sum has reached p."
    if found == sorted(ranked[-len(right):]):
        return "Those are the unlikeliest. Begin at the other end."
    if found == list(range(len(row))):
        return "Nothing has been left out."
    return "Add up the likeliest tokens, best first, until the sum reaches p."


def judge_learned(answer: Any) -> str:
    """The answer says of each part of a chat whether its loss is counted."""
    if not isinstance(answer, Mapping):
        return 'The answer is a dict: {"what the user says": True, …}.'
    given = {str(name).strip().lower(): value for name, value in answer.items()}
    missing = [name for name in LEARNED if given.get(name, ...) is ...]
    if missing:
        return f"No answer yet for {', '.join(missing)}."
    for name, right in LEARNED.items():
        value = given[name]
        if not isinstance(value, str) and bool(value == right):
            continue
        told = "" if value in (True, False) else "Answer with True or False. "
        return f"{name[0].upper()}{name[1:]}: {told}{_WHY[name]}"
    return ""


EXERCISES = {
    "07.1": Exercise(
        "A log entry has 90 tokens. How many guesses does the network make on it in one pass of training?",
        number(91, 91, {
            90: "One is missing: after the last token it has to guess that the text ends.",
            89: "Two are missing: the first token is guessed too, from the sign that begins a text, and so is the end.",
            1: "That is what happens when it *writes*: one token at a time. In training it guesses at all places "
               "at once.",
            92: "The sign that begins the text is given, not guessed.",
            4096: "That is how many tokens it chooses between, at each place.",
            8100: "At each place there is one guess, whatever the number of tokens before it."},
            "There is one guess after the sign that begins the text, and one after each of the 90 tokens."),
        "90 tokens and the end. Each of them is guessed from all that stands before it, all at the same time."),
    "07.2": Exercise("Write my_top_p(probabilities, p): the places of the tokens that may be drawn.", judge_top_p,
                     "Sure of the next word, it draws from few tokens; unsure, from many. Top-k cannot do that."),
    "07.3": Exercise(
        "Network A has a loss of 4.0 nats per token, and a token is 3.1 bytes long on average. How many bits per byte?",
        number(1.85, 1.87, {
            4.0 / 3.1: "Those are nats per byte. One nat is 1 / 0.693 bits.",
            1.29: "Those are nats per byte. One nat is 1 / 0.693 bits.",
            4.0 / math.log(2): "Those are bits per token. A token has 3.1 bytes.",
            5.77: "Those are bits per token. A token has 3.1 bytes.",
            4.0 / math.log(2) * 3.1: "Divide by the bytes: they share the bits of their token.",
            4.0 * math.log(2) / 3.1: "A nat is *more* than a bit: divide by 0.693.",
            5.0 / math.log(2) / 4.3: "That is network B. A has 4.0 nats and 3.1 bytes.",
            math.exp(4.0): "That is the perplexity, e to the 4.0: per token, like the loss."},
            "4.0 nats are 4.0 / 0.693 bits. A token of 3.1 bytes has them."),
        "1.86. Network B, with 5.0 nats per token of 4.3 bytes, has 1.68: it is the better one, although its loss and "
        "its perplexity are higher."),
    "07.4": Exercise(
        "How many numbers of gpt2-mini train with the strategy \"probe\", the head alone?",
        number(512, 512, {
            1_048_576: "That is the token table, 4,096 x 256. It is the network's way in as well, so it counts as the "
                       "stem, and the stem is frozen.",
            1_049_088: "That counts the token table. It is the network's way in as well, so it counts as the stem, and "
                       "the stem is frozen.",
            4_339_200: "Those are all of them. The table of layer groups has a row for the head.",
            256: "The norm has 256 numbers to multiply by and 256 to add.",
            0: "Not quite: the last norm belongs to the head, and to nothing else.",
            790_272: "That is the last block and the head. A probe trains the head alone."},
            "Look at the row of the head in the table of layer groups."),
        "512 numbers, with which a norm stretches and shifts. The table of words is tied: one weight, two uses, and if "
        "the way in is frozen, so is the way out."),
    "07.5": Exercise("Of which parts of a chat is the loss counted?", judge_learned,
                     "It learns what it is to say, and when to be silent."),
    "07.q1": Exercise(
        "You fine-tune on 24 entries for 12 epochs. Which epoch's weights do you keep? a) where the training loss is "
        "lowest  b) where the validation loss is lowest  c) where the samples look most like the training texts",
        choice("b", {"a": "It is lowest at the end, where whole sentences of the training texts come back.",
                     "c": "Nothing looks more like the training texts than a copy of them. Count the copied runs."}),
        "What it guesses well in texts that it never saw, it has learned and not copied."),
}
