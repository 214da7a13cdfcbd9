"""Exercises of lesson 09: a margin, DPO's loss, the best policy under KL, an advantage, and what a win rate means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ftkit.lessons.exercise import Exercise, choice, number

# log p of: the chosen and the rejected reply now, both under the reference, and beta.
_PAIRS = ((-38.0, -37.0, -41.0, -35.0, 0.1), (-10.0, -12.0, -10.0, -12.0, 0.5), (-50.0, -20.0, -45.0, -22.0, 0.3),
          (-7.5, -9.0, -9.0, -7.0, 1.0))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def judge_loss(answer: Any) -> str:
    """The answer is a function of four log-probabilities and beta that returns DPO's loss of one pair."""
    if not callable(answer):
        return "The answer is a function: def my_loss(chosen, rejected, chosen_before, rejected_before, beta): …"
    for pair in _PAIRS:
        hint = _judge_loss(answer, pair)
        if hint:
            return hint
    return ""


def _judge_loss(answer: Callable[..., Any], pair: tuple[float, float, float, float, float]) -> str:
    import torch  # students may work with tensors: then they get tensors

    try:
        returned = answer(*pair)
    except TypeError:
        returned = answer(*map(torch.tensor, pair))
    try:
        value = float(returned)
    except (TypeError, ValueError):
        return f"The function must return one number. Yours returned {returned!r:.60}."
    chosen, rejected, chosen_before, rejected_before, beta = pair
    gain, loss = chosen - chosen_before, rejected - rejected_before
    right = -math.log(_sigmoid(beta * (gain - loss)))
    if math.isclose(value, right, abs_tol=1e-3):
        return ""
    shown = f"For {pair} the loss is {right:.3f}, and you return {value:.3f}."
    mistakes = {
        math.log(_sigmoid(beta * (gain - loss))): "A loss falls when things get better: the sign is the other one.",
        -math.log(_sigmoid(beta * (loss - gain))): "It is the chosen reply that is to gain: chosen less rejected.",
        -math.log(_sigmoid(gain - loss)): "beta is missing: it multiplies the difference.",
        -math.log(_sigmoid(beta * (chosen - rejected))):
            "The reference is missing: what counts is how much each reply has *gained* since then.",
        -math.log(_sigmoid(beta * (chosen + chosen_before - rejected - rejected_before))):
            "Logarithms are subtracted: log p now less log p before.",
        _sigmoid(beta * (gain - loss)): "That is the probability that the chosen reply wins. The loss is -log of it.",
        1 - _sigmoid(beta * (gain - loss)): "That is the probability that the chosen reply loses. The loss is -log of "
                                            "the probability that it wins.",
        beta * (gain - loss): "That is the margin. The loss is -log(sigmoid(margin)).",
        -beta * (gain - loss): "That is the margin with a minus. The loss is -log(sigmoid(margin)).",
        -math.log(_sigmoid(beta * gain)): "The rejected reply is missing: it is to lose what the chosen one gains.",
    }
    said = next((hint for wrong, hint in mistakes.items() if math.isclose(value, wrong, abs_tol=1e-3)), "")
    return f"{shown} {said}".strip()


_BEST = 0.3 * math.e / (0.5 + 0.5 * math.e)

EXERCISES = {
    "09.1": Exercise(
        "log p of the chosen reply went from -40 to -38, that of the rejected one from -35 to -37. With beta 0.1, what "
        "is the margin?",
        number(0.3999, 0.4001, {
            4: "That is how much the two have moved apart, in nats. beta is missing.",
            -0.1: "The rejected reply is still the more probable one, right. But the margin counts what each has "
                  "gained since the reference: +2 and -2.",
            -1: "That compares the two as they are now. The margin counts what each has gained: +2 and -2.",
            0.2: "That is what the chosen reply has gained. The rejected one has lost something too.",
            0: "The rejected reply has *lost* 2 nats: 2 less (-2) is 4.",
            -0.4: "Chosen less rejected: both have moved the right way, so the margin is above zero.",
            0.6: "That is from other differences: the chosen one gained 2, the rejected one lost 2."},
            "Each reply's reward is beta times what its log p has gained: 0.1 · 2 and 0.1 · (-2). Subtract."),
        "The rejected reply is still the more probable of the two. DPO looks at what has been gained, not at what is."),
    "09.2": Exercise("Write my_loss(chosen, rejected, chosen_before, rejected_before, beta): DPO's loss of one pair.",
                     judge_loss, "A classifier on a difference of gains: that is all of DPO."),
    "09.3": Exercise(
        "Three replies have the probabilities 0.5, 0.3, 0.2 under the reference and the rewards 0, 1, 1. With beta = "
        "1, how probable does the best policy make the second one?",
        number(_BEST - 0.002, _BEST + 0.002, {
            0.3 * math.e: "Nearly: these are weights. Divide by their sum, 0.5 + 0.3 e + 0.2 e.",
            0.8155: "Nearly: these are weights. Divide by their sum, 0.5 + 0.3 e + 0.2 e.",
            0.3: "That is the reference. The reward multiplies it by e.",
            0.5: "The replies with reward 1 do not get the same: the reference liked the second one more.",
            0.6: "That is the share among the two good ones. The first reply keeps some probability: KL has a price.",
            1: "Only without KL, and even then the third reply is as good.",
            0.4: "Times e, not times 2: the weight is 0.3 · exp(1 / 1).",
            1.3 / 3: "The reward does not add up with the probability: it multiplies it, by exp(r / beta)."},
            "Multiply each probability by exp(reward / beta), then divide by the sum of the three."),
        "It is the reference, tilted towards reward. A small beta tilts it more. Near 0 only the best are left."),
    "09.4": Exercise(
        "A reply of two tokens: rewards 0 and 1, values 0.5 and 0.8; gamma = 1, lambda = 0.5. What is the advantage of "
        "the first?",
        number(0.3999, 0.4001, {
            0.3: "That is delta of the first token, as lambda = 0 would have it. Half of the next delta comes on top.",
            0.5: "That is lambda = 1: the reward to come less the value. lambda = 0.5 halves the second delta.",
            0.2: "That is the second token's advantage: 1 less 0.8.",
            0.1: "That is half of the second delta. The first one's own delta, 0 + 0.8 - 0.5, is missing.",
            0.8: "Each delta is less its own token's value. Subtract it: 0 + 0.8 - 0.5 for the first, 1 - 0.8 for the "
                 "second.",
            0.9: "The first delta is 0 + 0.8 - 0.5: its own value is subtracted too.",
            0.55: "The second delta is 1 - 0.8: what is subtracted is its own value, not the first one's."},
            "delta of the second: 1 - 0.8; of the first: 0 + 0.8 - 0.5. Then the first plus 0.5 times the second."),
        "Better than expected: the first token becomes more probable, though it earned nothing itself."),
    "09.q1": Exercise(
        "During PPO the reward triples, KL rises to 60 nats, and a judge that the model never met likes the replies "
        "less and less. What has happened? a) the model has become better, and that judge is wrong  b) the model has "
        "found what the reward likes and people do not  c) the learning rate is too small",
        choice("b", {"a": "The reward was a stand-in for what people like. When the two part, believe the one that was "
                          "not trained on.",
                     "c": "It has moved far, 60 nats. It is the direction that is wrong."}),
        "\"When a measure becomes a target, it ceases to be a good measure\" (Goodhart's law, in Strathern's words)."),
}
