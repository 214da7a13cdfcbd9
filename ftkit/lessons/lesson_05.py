"""Exercises of lesson 05: frames, collapsing a path, adding up paths, error rates, transcripts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from ftkit.lessons.exercise import Exercise, choice, number

_ROWS: tuple[list[int], ...] = (
    [0, 15, 15, 0, 20, 20, 15, 0], [0, 8, 8, 0, 5, 12, 12, 0, 12, 15, 15], [3, 3, 3], [2, 2, 0, 0, 2, 1, 1, 2], [0, 0],
    [4, 5, 5, 4], [])
_BLANKS = (0, 1)  # not every vocabulary has the blank in its first place

TRANSCRIPTS = {"a": True, "b": False, "c": False, "d": False, "e": True}
"""Exercise 05.5: whether what is written is what is said."""

_WHY = {
    "a": "Capitals and punctuation cannot be heard, and ftkit leaves them out: this row is right as it is.",
    "b": "Nobody said a pound sign or a figure. As a recogniser's letters: 'twenty five pounds'.",
    "c": "It has only the sounds of 'doctor' to learn from, and would learn that they are spelt d, r.",
    "d": "The word was said twice, so it is written twice: a recogniser is taught what was said, not what was meant.",
    "e": "It is what was said. Correcting the grammar would teach the recogniser a word that nobody spoke.",
}


def judge_collapse(answer: Any) -> str:
    """The answer is a function of one number per frame and of the blank that returns the numbers of the text."""
    if not callable(answer):
        return "The answer is a function: def my_collapse(row, blank): …"
    for blank, row in itertools.product(_BLANKS, _ROWS):
        hint = _judge_collapse(answer, _with_blank(row, blank), blank)
        if hint:
            return hint
    return ""


def _with_blank(row: list[int], blank: int) -> list[int]:
    """The same row in a vocabulary whose blank has another number: the two change places."""
    return [{0: blank, blank: 0}.get(one, one) for one in row]


def _judge_collapse(answer: Callable[..., Any], row: list[int], blank: int) -> str:
    from ftkit.tasks.decoding import collapse  # imports torch: not before a student answers

    returned = answer(list(row), blank)
    try:
        made = [int(one) for one in returned]
    except (TypeError, ValueError):
        return f"The function must return the numbers that are left, as a list. Yours returned {returned!r:.60}."
    right = collapse(row, blank)
    if made == right:
        return ""
    shown = f"For {row} with the blank {blank} you return {made}, and it must be {right}."
    without = [one for one in row if one != blank]
    if made == collapse(row, 0) != right:
        return f"{shown} The blank is not always number 0: its number is what the function is given."
    if made == without:
        return f"{shown} Blanks are out, repeats are still in: a letter that goes on for several frames is one letter."
    if made == [one for one, _ in itertools.groupby(without)]:
        return f"{shown} Repeats first, then blanks: a blank between two equal letters says that there are two of them."
    if made == [one for one, _ in itertools.groupby(row)]:
        return f"{shown} Repeats are out, blanks are still in."
    if made in (list(dict.fromkeys(without)), sorted(set(without))):
        return f"{shown} A letter may come again later in a word. Only neighbours that are equal are one letter."
    if made == row:
        return f"{shown} Nothing has changed."
    return shown


def judge_rates(answer: Any) -> str:
    """The answer is CER and WER of "two reefs in the topsails", heard as "to reefs in the top sail"."""
    if isinstance(answer, Mapping):
        by_name = {str(name).lower(): value for name, value in answer.items()}
        if set(by_name) != {"cer", "wer"}:
            return 'As a dict the answer is {"cer": …, "wer": …}.'
        answer = by_name["cer"], by_name["wer"]
    try:
        cer, wer = (math.nan if isinstance(one, bool) else float(one) for one in answer)
    except (TypeError, ValueError):
        cer = wer = math.nan
    if math.isnan(cer) or math.isnan(wer):
        return "The answer is two numbers, the CER and the WER: (0.5, 0.5)."
    if _is(cer, 0.6) and _is(wer, 0.12):
        return "Right, but in the other order: the CER comes first."
    if _is(cer, 12) and _is(wer, 60):
        return "Right, in percent. Give both as shares: 1 % is 0.01."
    return _cer_hint(cer) or _wer_hint(wer)


def _is(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, abs_tol=0.0021)


def _cer_hint(cer: float) -> str:
    hints = {
        0.12: "",
        0.08: "CER: two letters are missing, but one thing is superfluous: the space in 'top sail' is a sign too.",
        2 / 21: "CER: the spaces are signs like the letters. Count them among what was said, and the superfluous one "
                "as an error.",
        3 / 24: "CER: divide by the signs that were *said*, 25, not by those that were heard.",
        1 / 7: "CER: the three errors are right. Divide them by all signs that were said, the spaces too: 25.",
        0.88: "CER: that is the share that is right. The error rate is the rest.",
        3.0: "CER: there are three errors, right. Divide them by the signs that were said.",
        0.16: "CER: four is one too many. One letter is missing in 'to', one at the end, and one space is superfluous.",
    }
    return _hint(cer, hints, "CER: count the signs that are wrong, missing or superfluous (a space is a sign), and "
                             "divide by the 25 that were said.")


def _wer_hint(wer: float) -> str:
    hints = {
        0.6: "",
        0.4: "The CER is right. WER: two words were not heard as they were said, but there is also one word too many: "
             "'top sail' is one wrong word and one superfluous one.",
        0.5: "The CER is right. WER: divide by the 5 words that were *said*, not by the 6 that were heard.",
        2 / 6: "The CER is right. WER: the superfluous word is an error too, and the divisor is the 5 words said.",
        0.8: "The CER is right. WER: three errors are enough: 'to' for 'two', 'top' for 'topsails', and a superfluous "
             "'sail'.",
        3.0: "The CER is right. WER: there are three errors. Divide them by the words that were said.",
        0.2: "The CER is right. WER: 'to' is wrong as well, although it sounds the same.",
    }
    return _hint(wer, hints, "The CER is right. WER: count the words that are wrong, missing or superfluous, and "
                             "divide by the 5 that were said.")


def _hint(value: float, hints: Mapping[float, str], otherwise: str) -> str:
    return next((hint for known, hint in hints.items() if _is(value, known)), otherwise)


def judge_transcripts(answer: Any) -> str:
    """The answer says of each row of a table whether its text is what is said."""
    if not isinstance(answer, Mapping):
        return 'The answer is a dict: {"a": True, "b": False, …}.'
    given = {str(name).strip().lower(): value for name, value in answer.items()}
    missing = [name for name in TRANSCRIPTS if given.get(name, ...) is ...]
    if missing:
        return f"No answer yet for {', '.join(missing)}."
    for name, right in TRANSCRIPTS.items():
        try:
            same = bool(given[name] == right) and not isinstance(given[name], str)
        except (TypeError, ValueError):
            same = False
        if not same:
            told = "" if given[name] in (True, False) else "Answer with True or False. "
            return f"Row {name}: {told}{_WHY[name]}"
    return ""


EXERCISES = {
    "05.1": Exercise(
        "A sentence lasts 2.5 seconds: 40,000 samples. About how many frames does the network make of it?",
        number(124, 125, {
            40_000: "Those are the samples. The network hears them 320 at a time.",
            50: "That is one second. The sentence lasts two and a half.",
            49: "That is one second. The sentence lasts two and a half.",
            20: "20 milliseconds is the step from frame to frame. How many of them fit into 2.5 seconds?",
            320: "320 is the step, in samples, from one frame to the next. How often does it fit into 40,000?",
            250: "That would be a frame every 10 milliseconds. It is every 20: 320 samples of 16,000 a second.",
            100: "That is two seconds. The sentence lasts two and a half.",
            2000: "Divide samples by samples: 40,000 by the step of 320. 20 is the step in milliseconds.",
            12_800_000: "Divide by the step instead of multiplying: each frame stands for 320 new samples."},
            "From one frame to the next it is 320 samples. How often do they fit into 40,000?"),
        "40,000 by 320 is 125. To be exact it is 124: a frame looks at 400 samples, and the last one would lack some."),
    "05.2": Exercise("Write my_collapse(row, blank): the numbers of the text, from the best number of each frame.",
                     judge_collapse, "Repeats first, then blanks. That is all that greedy decoding does."),
    "05.3": Exercise(
        "Two frames; blank 0.5, a 0.4, b 0.1, and then blank 0.6, a 0.3, b 0.1. How probable is the text \"a\"?",
        number(0.5099, 0.5101, {
            0.12: "That is the path a, a. There are two more that spell \"a\": with a blank before or after it.",
            0.24: "That is the path a, blank. There are two more that spell \"a\".",
            0.15: "That is the path blank, a. There are two more that spell \"a\".",
            0.39: "One path is missing: a in both frames is one a that goes on.",
            0.27: "One path is missing: a, and then a blank.",
            0.36: "One path is missing: a blank, and then a.",
            0.30: "That is the path blank, blank: the most probable path, and its text is empty.",
            0.7: "Those are the two a's, added. Along a path probabilities are multiplied, and then paths are added.",
            0.58: "That is \"an a somewhere\": it counts the texts \"ab\" and \"ba\" too.",
            51: "As a share: 0.51.",
            0.35: "A mean of the frames says nothing here. Multiply along each path, then add the paths up."},
            "Three paths spell \"a\": a a, a blank, blank a. Multiply along each path, then add the three."),
        "The empty text has one path, with 0.30. The text \"a\" has three, and together they win."),
    "05.4": Exercise("\"two reefs in the topsails\" was said, \"to reefs in the top sail\" was heard. CER and WER?",
                     judge_rates, "3 of 25 signs, 3 of 5 words: the same sentence, looked at closely and from afar."),
    "05.5": Exercise("Which of the five rows may go into metadata.csv as they are?", judge_transcripts,
                     "Write what is said, in letters. What cannot be heard does not matter."),
    "05.q1": Exercise(
        "Six people record 20 words each for a classifier that is to understand anybody. How do you choose the test "
        "split? a) a fifth of all recordings, at random  b) a fifth of each person's recordings  c) all recordings of "
        "one or two people",
        choice("c", {"a": "Then every person is in train and in test, and you measure how well it knows these six.",
                     "b": "That makes sure that every person is in both. You measure how well it knows these six."}),
        "It is to understand people whom it has never heard. So the people in the test must be new to it, too."),
}
