"""Exercises of lesson 02: rates by layer, rare classes, cut-offs and confidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ftkit.lessons.exercise import Exercise, Judge, choice

WANTED = 0.9  # of the complaints are to be found, in exercise 02.4


def about(right: float, hints: Mapping[float, str], otherwise: str) -> Judge:
    """A judge for a small number, such as a learning rate: 2 percent either way are rounding."""

    def judge(answer: Any) -> str:
        try:
            value = math.nan if isinstance(answer, bool) else float(answer)
        except (TypeError, ValueError):
            value = math.nan
        if math.isnan(value):
            return f"The answer is a number, such as 2e-4, not {type(answer).__name__}."
        if math.isclose(value, right, rel_tol=0.02):
            return ""
        return next((hint for wrong, hint in hints.items() if math.isclose(value, wrong, rel_tol=0.02)), otherwise)

    return judge


def judge_soften(answer: Any) -> str:
    """The answer is a function of probabilities (N, C) and a temperature that returns probabilities (N, C)."""
    if not callable(answer):
        return "The answer is a function: def soften(probabilities, T): …"
    rng = np.random.default_rng(0)
    tables = [rng.dirichlet([1] * classes, 6) for classes in (2, 3)]
    return next((hint for table in tables for heat in (2.0, 0.5, 1.0) if (hint := _judge_soften(answer, table, heat))),
                "")


def _judge_soften(answer: Callable[..., Any], table: np.ndarray, heat: float) -> str:
    returned = answer(table.copy(), heat)
    try:
        made = np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        made = np.empty(0)
    if made.shape != table.shape:
        return f"The function must return probabilities of the shape {table.shape}. Yours returned {returned!r:.60}."
    if np.allclose(made, _powered(table, 1 / heat), atol=1e-4):
        return ""
    if np.allclose(made, table, atol=1e-6):
        return ("Nothing has changed. Probabilities that are divided and then brought back to a sum of 1 are the old "
                "ones. It is the logits that are divided by T: np.log(probabilities), up to a constant.")
    if np.allclose(made, _powered(table, heat), atol=1e-4):
        return "The wrong way round: a T above 1 must make the model less sure. Divide the logits by T."
    if np.allclose(made, _softmax(table / heat), atol=1e-4) or np.allclose(made, _softmax(table), atol=1e-4):
        return "A softmax of probabilities is no model's answer. Go back to logits first: np.log(probabilities)."
    if not np.allclose(made.sum(-1), 1, atol=1e-4):
        return "Each row must add up to 1 again. Probabilities cannot simply be divided by T."
    if (made.argmax(-1) != table.argmax(-1)).any():
        return "Some answers have changed. A temperature changes how sure a model is, never which class comes first."
    return "Less sure or surer, but not by a temperature: divide np.log(probabilities) by T, then take the softmax."


def _powered(table: np.ndarray, power: float) -> np.ndarray:
    return _softmax(power * np.log(table))


def _softmax(logits: np.ndarray) -> np.ndarray:
    high = np.exp(logits - logits.max(-1, keepdims=True))
    return high / high.sum(-1, keepdims=True)


def judge_weights(answer: Any) -> str:
    """The answer is a function of the classes' counts that returns one weight per class, the same to any factor."""
    if not callable(answer):
        return "The answer is a function: def weights(counts): …"
    hints = [_judge_weights_of(answer, counts) for counts in ([30, 270], [10, 20, 70], [500, 100])]
    if hints[1] and not hints[0] and not hints[2]:
        return ("Right for two classes, but not for three. With counts of 10, 20 and 70, weight times count must come "
                "out the same for all three.")
    return next(filter(None, hints), "")


def _judge_weights_of(answer: Callable[[list[int]], Any], counts: list[int]) -> str:
    returned = answer(list(counts))
    if isinstance(returned, Mapping):
        returned = list(returned.values())
    try:
        weights = np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        weights = np.empty(())
    if not weights.ndim:
        return f"The function returned {type(returned).__name__}. It must return one number per class."
    if weights.shape != (len(counts),):
        return f"For {len(counts)} classes there must be {len(counts)} weights. Yours have the shape {weights.shape}."
    if not (np.isfinite(weights) & (weights > 0)).all():
        return f"Every weight must be above zero. For {counts} yours are {weights.round(3).tolist()}."
    if _alike(weights * counts):
        return ""
    if _alike(weights / counts):
        return ("Yours grow with the count: the common class, which the model hears most of as it is, gets louder "
                "still. The weight goes with the inverse of the frequency.")
    if _alike(weights):
        return "The same weight for every class is no weight at all: only the rare class may gain."
    if _alike(weights * np.sqrt(counts)):
        return "One over the square root of the count is a softer cure. Asked for is the whole: one over the count."
    total = ", ".join(f"{one:.3g}" for one in weights * counts)
    return f"For {counts}, weight times count comes out as {total}. It must be the same for each class."


def judge_cut(answer: Any) -> str:
    """The answer is a function of two splits: it chooses a cut-off on the first and measures recall on the second."""
    if not callable(answer):
        return "The answer is a function: def cut_and_judge(valid, test): …"
    return next((hint for seed in range(3) if (hint := _judge_cut_on(answer, *_two_splits(seed)))), "")


Scored = tuple[np.ndarray, np.ndarray]
"""Probabilities of "complaint" (N,), and what is one (N,), True or False."""


def _two_splits(seed: int) -> tuple[Scored, Scored]:
    """Two splits of 120 whose best cut-offs lie apart: in the second the model is less sure of complaints.

    The probabilities end in 5 thousandths, so that who tries 0.01, 0.02, … loses nothing by it.
    """
    rng = np.random.default_rng(seed)

    def split(middle: float) -> Scored:
        complaint = rng.permutation(np.arange(120) < 40)
        sure = np.where(complaint, rng.normal(middle, 0.12, 120), rng.normal(0.2, 0.12, 120)).clip(0.02, 0.97)
        return np.floor(100 * sure) / 100 + 0.005, complaint

    return split(0.56), split(0.42)


def _judge_cut_on(answer: Callable[..., Any], valid: Scored, test: Scored) -> str:
    returned = answer((valid[0].copy(), valid[1].copy()), (test[0].copy(), test[1].copy()))
    try:
        cut, told = (float(one) for one in returned)
    except (TypeError, ValueError):
        return f"The function must return two numbers, the cut-off and the recall. Yours returned {returned!r:.60}."
    found, alarms = _found(cut, valid), _alarms(cut, valid)
    least = _alarms(_best_cut(valid), valid)
    if found < WANTED or alarms > least:
        if _found(cut, test) >= WANTED and _alarms(cut, test) == _alarms(_best_cut(test), test):
            return ("This cut-off is the best one for the *test* split: you chose where you are to be judged, and no "
                    "honest number is left. Choose on valid only.")
        if cut == 0.5:
            return f"0.5 is what nobody chose. On the validation split it finds {found:.0%} of the complaints."
        if found < WANTED:
            return f"On the validation split this cut-off finds {found:.0%} of the complaints. Lower it, to find 90 %."
        return (f"It finds {found:.0%} of the complaints of the validation split, with {alarms} false alarms. A higher "
                f"cut-off still finds 90 %, with {least}.")
    right = _found(cut, test)
    if math.isclose(told, right, abs_tol=1e-6):
        return ""
    if math.isclose(told, found, abs_tol=1e-6):
        return ("The cut-off is right. But that is the recall on the validation split, where you chose it: it is 90 % "
                "by construction. Judge on the test split.")
    if math.isclose(told, 100 * right, abs_tol=1e-4):
        return "Right, but in percent: give the recall as a share between 0 and 1."
    return (f"The cut-off is right. With it, {right:.1%} of the complaints of the test split are found; you returned "
            f"{told:.3g}. Recall is: complaints found, divided by all complaints.")


def _found(cut: float, split: Scored) -> float:
    """Recall."""
    return float((split[0][split[1]] >= cut).mean())


def _alarms(cut: float, split: Scored) -> int:
    return int((split[0][~split[1]] >= cut).sum())


def _best_cut(split: Scored) -> float:
    """The highest cut-off that finds enough complaints."""
    return float(max(cut for cut in split[0] if _found(cut, split) >= WANTED))


def _alike(values: Sequence[float] | np.ndarray) -> bool:
    return bool(np.allclose(values, np.mean(values), rtol=1e-3, atol=0))


EXERCISES = {
    "02.1": Exercise(
        "ULMFiT divides by 2.6 from each group to the one below. The head of bert-mini trains at 1e-3: at which rate "
        "does block 2 train?",
        about(1e-3 / 2.6**2, {
            1e-3 / 2.6: "That is block 3, the one right below the head. Block 2 is one further down.",
            1e-3 / 2.6**3: "That is block 1. bert-mini's blocks are 0 to 3: block 3 is right below the head.",
            1e-3 / 2.6**4: "That is block 0. Count from the head: block 3 comes first.",
            1 / 2.6**2: "That is the scale. The rate is the scale times the rate of the head.",
            1e-3 * 2.6**2: "That is larger than the rate of the head. Towards the input the steps get smaller: divide.",
            1e-3 / 5.2: "Twice 2.6 is not 2.6 twice: divide by 2.6, and then by 2.6 again.",
            1e-3: "That is the rate of the head: one rate for all is what we do not want here."},
            "From the head to block 3, divide by 2.6; from block 3 to block 2, divide by 2.6 again."),
        "Each group takes smaller steps than the one above it."),
    "02.2": Exercise("Write soften(probabilities, T): the probabilities at temperature T.", judge_soften,
                     "The answers are the old ones, the confidence is not."),
    "02.3": Exercise("Write weights(counts): in the loss, all examples of one class together weigh as much as those of "
                     "any other.", judge_weights,
                     "One over the count, times anything. \"balanced\" makes the mean over all examples 1."),
    "02.4": Exercise("Write cut_and_judge(valid, test): the cut-off that finds 90 % of the complaints of valid with "
                     "the fewest false alarms, and its recall on test.", judge_cut,
                     "Chosen on one split, judged on another: that number can be believed."),
    "02.q1": Exercise(
        "Of 100 mails 95 are harmless. A filter lets all 100 through, so its accuracy is 95 %. Its balanced accuracy "
        "is: a) 95 %  b) 50 %  c) 5 %",
        choice("b", {"a": "That is the accuracy, which the 95 harmless mails decide alone. Average the recall of the "
                          "two classes.",
                     "c": "That is the share of the bad mails. Their recall is 0 %, that of the harmless ones 100 %."}),
        "The mean of 100 % and 0 %: what a coin reaches, too."),
    "02.q2": Exercise(
        "A temperature of 2 is applied to a classifier of two classes. What changes? a) its accuracy  b) which review "
        "it ranks as the likeliest complaint  c) how sure it says it is",
        choice("c", {"a": "The class with the higher logit keeps the higher logit: no answer changes.",
                     "b": "The ranking stays: what had the higher probability before has it afterwards."}),
        "And only that, so it costs nothing to try."),
}
