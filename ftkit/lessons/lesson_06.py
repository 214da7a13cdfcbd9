"""Exercises of lesson 06: frames, how far a WaveNet looks back, attention, teachers, distortion, whose voice it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ftkit.lessons.exercise import Exercise, choice, number

TRUE = (3.0, 5.0, 4.0, 8.0)
"""Frames of the recording in exercise 06.4: one number each."""

ALIGNMENTS = {"a": "fine", "b": "stops too early", "c": "leaves something out", "d": "says something twice"}
"""Exercise 06.3: what each of the four drawn alignments will sound like."""

VOICES = {"a": True, "b": False, "c": False, "d": True, "e": False}
"""Exercise 06.6: whether a voice may be copied without asking anybody first."""


def next_frame(frame: float) -> float:
    """A toy decoder: what follows a frame, a little wrong each time."""
    return frame + 2.0


def judge_drawing(answer: Any) -> str:
    """The answer is a function of a decoder, the true frames and whether there is a teacher."""
    if not callable(answer):
        return "The answer is a function: def my_draw(decoder, true, teacher): …"
    for decoder, true in ((next_frame, TRUE), (lambda frame: 0.5 * frame + 1, (2.0, 6.0, 1.0)), (next_frame, (7.0,))):
        for teacher in (True, False):
            hint = _judge_drawing(answer, decoder, true, teacher)
            if hint:
                return hint
    return ""


def drawn(decoder: Callable[[float], float], true: Sequence[float], teacher: bool) -> list[float]:
    """What the decoder draws, one frame for each true one; it begins with a frame of zeros."""
    found: list[float] = []
    for step in range(len(true)):
        before = 0.0 if step == 0 else true[step - 1] if teacher else found[-1]
        found.append(decoder(before))
    return found


def _judge_drawing(answer: Any, decoder: Callable[[float], float], true: Sequence[float], teacher: bool) -> str:
    returned = answer(decoder, list(true), teacher)
    try:
        made = [float(one) for one in returned]
    except (TypeError, ValueError):
        return f"The function must return the frames that were drawn, as a list. Yours returned {returned!r:.60}."
    right = drawn(decoder, true, teacher)
    if _same(made, right):
        return ""
    how = "With the teacher" if teacher else "Alone"
    shown = f"{how}, for the true frames {list(true)}, you draw {_round(made)}, and it must be {_round(right)}."
    if _same(made, true):
        return f"{shown} Those are the true frames themselves. Return what the decoder makes of the frame before."
    if _same(made, [decoder(one) for one in true]):
        return f"{shown} Each step must see the frame *before* it. You show it the one that it is to draw."
    if _same(made, drawn(decoder, true, not teacher)):
        return f"{shown} The two are the wrong way round: with a teacher the decoder is shown the true frame before."
    if len(made) != len(right):
        return f"{shown} One frame for each true one. The first step is shown a frame of zeros: 0."
    if made[1:] and _same(made[1:], right[1:]):
        return f"{shown} Only the first frame is wrong: before it there is nothing, so the decoder is shown 0."
    return shown


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one, other, strict=True))


def _round(frames: Sequence[float]) -> list[float]:
    return [round(frame, 3) for frame in frames]


def toy_alignments(letters: int = 12, steps: int = 30) -> dict[str, list[list[float]]]:
    """The four alignments of exercise 06.3, by letter as in `ALIGNMENTS`: (letters, steps), each column sums to 1.

    Args:
        letters: Rows.
        steps: Columns.
    """
    even = [letters * (step + 0.5) / steps for step in range(steps)]
    third, half = steps // 3, steps // 2
    paths = {
        "a": even,
        "b": [0.55 * place for place in even],
        "c": [place if step < third else letters * (0.58 + 0.42 * (step - third + 0.5) / (steps - third))
              for step, place in enumerate(even)],
        "d": [1.3 * place if step < half else 1.3 * (place - 0.26 * letters) for step, place in enumerate(even)],
    }
    return {name: _blurred(path, letters) for name, path in paths.items()}


def _blurred(path: Sequence[float], letters: int) -> list[list[float]]:
    columns = []
    for place in path:
        weights = [math.exp(-((row + 0.5 - place) ** 2) / 0.9) for row in range(letters)]
        columns.append([weight / sum(weights) for weight in weights])
    return [[column[row] for column in columns] for row in range(letters)]


_SOUNDS = {
    "a": "The line goes from the first letter to the last, without gaps and returns.",
    "b": "The line is straight, but where is it when the sound is over? Half of the letters were never looked at.",
    "c": "Follow the line from left to right: at a third of the time it jumps upwards. What lies between is not said.",
    "d": "Follow the line from left to right: in the middle it falls back to letters that were already said.",
}

_MAY = {
    "a": "It is your own voice, and you are the one who is asked. (Think of whom you give the copy to.)",
    "b": "A voice message was sent for what it says. A copy of the voice can say anything, and she has not agreed to "
         "that. A surprise is no reason not to ask.",
    "c": "Who has died cannot be asked any more. Then ask those who hold the rights, and the family.",
    "d": "Its licence allows any use, and it was recorded for this. (Read a licence before you rely on it.)",
    "e": "That everybody may hear a speech does not mean that everybody may speak with that voice. And who hears the "
         "copy cannot know that it is one.",
}


def _judge_names(right: Mapping[str, Any], hints: Mapping[str, str], options: Sequence[Any], what: str
                 ) -> Callable[[Any], str]:
    """A judge for a dict with one answer for each letter."""

    def judge(answer: Any) -> str:
        """What is wrong with an answer; "" if it is right."""
        if not isinstance(answer, Mapping):
            return f'The answer is a dict: {{"a": {options[0]!r}, "b": …}}.'
        given = {str(name).strip().lower(): value for name, value in answer.items()}
        missing = [name for name in right if given.get(name, ...) is ...]
        if missing:
            return f"No answer yet for {', '.join(missing)}."
        for name, wanted in right.items():
            value = given[name]
            value = value.strip().lower() if isinstance(value, str) else value
            known = any(isinstance(value, str) == isinstance(option, str) and value == option for option in options)
            if not known:
                return f"{name}: {what}, not {given[name]!r:.40}."
            if value != wanted:
                return f"{name}: {hints[name]}"
        return ""

    return judge


EXERCISES = {
    "06.1": Exercise(
        "A sentence lasts 2.4 seconds. The decoder draws three frames of 12.5 milliseconds in each step. How many "
        "steps is that?",
        number(63.9, 65.1, {
            192: "Those are the frames. In each step the decoder draws three of them.",
            193: "Those are the frames. In each step the decoder draws three of them.",
            576: "Three frames a step means fewer steps than frames: divide by three.",
            38_400: "Those are the samples. A frame stands for 200 of them, a step for 600.",
            12_800: "Those are the samples, by three. A frame stands for 200 of them.",
            80: "That is how many frames a second has.",
            32: "Each frame is 12.5 milliseconds from the next, not 25.",
            30: "That is 2.4 times 12.5. Divide instead: how often do 12.5 milliseconds fit into 2.4 seconds?",
            2.4: "That is the time. How many frames of 12.5 ms go into it, and how many steps of three frames?"},
            "2.4 seconds are 192 frames of 12.5 milliseconds. In each step three of them are drawn."),
        "64 steps instead of 38,400 samples: that is why the decoder draws a picture, and leaves the sound to others."),
    "06.2": Exercise(
        "A WaveNet has two stacks of eight layers. Each layer looks at two values: where it stands, and 1, 2, 4, ... "
        "128 places before; the second stack begins again at 1. On how many samples does one prediction depend?",
        number(510.9, 511.1, {
            255: "That is how far back one stack looks: 1 + 2 + 4 + ... + 128. There are two.",
            256: "That is one stack, with the sample where it stands. The second stack looks back as far again.",
            510: "That far back it looks: 2 x 255. Where it stands is a sample, too.",
            512: "Almost: the sample where it stands counts once, not once for each stack.",
            128: "That is how far the last layer looks. What it sees there has itself looked back.",
            129: "That is what the last layer spans. What it sees at both ends has itself looked back.",
            16: "Those are the layers. Each looks further back than the one before.",
            32: "Two values for each of 16 layers. But each layer looks further back than the one before.",
            65_536: "2 to the 16th would be one stack of 16 layers. Here the distances begin again at 1.",
            65_535: "That would be one stack of 16 layers. Here the distances begin again at 1."},
            "Each layer adds its distance: 1 + 2 + 4 + ... + 128 in each stack, and the sample where it stands."),
        "32 milliseconds, with 16 layers. With distances of 1 alone, it would take 510 layers."),
    "06.3": Exercise(
        "What will each of the four alignments sound like?",
        _judge_names(ALIGNMENTS, _SOUNDS, tuple(ALIGNMENTS.values()),
                     f"answer with one of {', '.join(repr(kind) for kind in ALIGNMENTS.values())}"),
        "An alignment shows what will be heard before it is heard."),
    "06.4": Exercise("Write my_draw(decoder, true, teacher): what a decoder draws with a teacher, and alone.",
                     judge_drawing,
                     "With a teacher each mistake is corrected at once. Alone, it is carried on into the next step."),
    "06.5": Exercise(
        "Two voices read ten sentences. Voice one: mean distortion 4 dB, and it finds the end of 6 of them. Voice two: "
        "5 dB, and 10 of 10. You need announcements for a station. Which one? a) one, its distortion is lower  b) two, "
        "it finds the end  c) it cannot be said without the distortion of each sentence",
        choice("b", {
            "a": "One decibel is a little less clear. A voice that does not stop babbles on until it is cut off.",
            "c": "Four of ten never end, and no list of distortions would tell you that. It is enough to decide."}),
        "One number never says everything: look at the distortion, at the ends, and listen."),
    "06.6": Exercise("Which of the five voices may be copied without asking anybody first?",
                     _judge_names(VOICES, _MAY, (True, False), "answer with True or False"),
                     "A voice belongs to its speaker. Ask first, say what for, and mark what is synthetic."),
    "06.q1": Exercise(
        "You have one minute of your sister's voice, and she said yes. How does the fine-tuned network know how to "
        "read a word that she never said? a) from her minute: it learnt to read from it  b) from the old voice: it "
        "could read before  c) it plays back pieces of her recordings",
        choice("b", {
            "a": "A minute holds perhaps 150 words, and from scratch nothing at all was learnt from it.",
            "c": "It draws every frame anew: it says sentences that were never recorded."}),
        "That is what pretraining is for. The voice is new. The network knew before that ph is spoken as f."),
}
