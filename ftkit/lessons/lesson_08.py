"""Exercises of lesson 08: thin matrices, merging, the first step, where adapters go, mixed weights."""

from __future__ import annotations

from typing import Any

import torch

from ftkit.errors import UserError
from ftkit.lessons.exercise import Exercise, choice, number
from ftkit.strategies import LoRA, make_strategy


def judge_merge(answer: Any) -> str:
    """The answer is a function of (W, A, B, alpha) that returns the merged matrix W + alpha / r · B A."""
    if not callable(answer):
        return "The answer is a function: def merge(W, A, B, alpha): …"
    for out, r, inside, alpha in ((6, 2, 5, 4.0), (4, 3, 7, 3.0), (5, 1, 5, 8.0)):
        generator = torch.Generator().manual_seed(out)
        w, a, b = (torch.randn(*shape, generator=generator) for shape in ((out, inside), (r, inside), (out, r)))
        hint = _judge_merge(answer, w, a, b, alpha)
        if hint:
            return hint
    return ""


def _judge_merge(answer: Any, w: torch.Tensor, a: torch.Tensor, b: torch.Tensor, alpha: float) -> str:
    before, r = w.clone(), len(a)
    made = answer(w, a, b, alpha)
    if not isinstance(made, torch.Tensor):
        return f"The function must return the merged matrix. Yours returned {type(made).__name__}."
    if made.shape != before.shape:
        return (f"W is {before.shape[0]} x {before.shape[1]} (out x in), and what you return is "
                f"{' x '.join(map(str, made.shape))}. B is out x r and A is r x in: which product has W's shape?")
    for wrong, hint in (
        (before + b @ a, "B A is right, its factor is missing: alpha / r, as in the forward pass."),
        (before + alpha * b @ a, f"alpha has to be divided by the rank, which here is {r}: A has that many rows."),
        (before + b @ a / r, "You divide by r. The factor is alpha / r."),
        (before + alpha / a.shape[1] * b @ a, "You divide by the number of inputs. The rank is A's number of rows."),
        (alpha / r * b @ a, "That is the change alone. What it is added to is missing."),
        (before - alpha / r * b @ a, "The change is added, not taken away."),
        (before, "The matrix is as it was.")):
        if torch.allclose(made, wrong, atol=1e-5) and not torch.allclose(made, before + alpha / r * b @ a, atol=1e-5):
            return hint
    if not torch.allclose(made, before + alpha / r * b @ a, atol=1e-5):
        return "The shape is right, the numbers are not. The merged matrix is W + alpha / r · B A."
    if not torch.equal(w, before):
        return "The result is right, but W itself has changed, and nothing can be taken out again. Return a copy."
    return ""


def judge_strategy(answer: Any) -> str:
    """The answer is LoRA of rank 4 in the attention of the last two blocks, as an object or in its written form."""
    try:
        strategy = make_strategy(answer)
    except UserError as error:
        return str(error)
    if not isinstance(strategy, LoRA):
        return f"That is '{strategy.name}'. Which strategy puts thin matrices beside the weights?"
    if strategy.r != 4:
        return f"The rank is {strategy.r}, and 4 is wanted: r=4."
    if strategy.last != 2:
        told = "in all blocks" if not strategy.last else f"in the last {strategy.last}"
        return f"The adapters would be {told}. Only the last two are to have some: see `last` in LoRA's help."
    if strategy.where != "attention":
        return f"where={strategy.where!r} adapts more than attention, or other matrices. See `where` in LoRA's help."
    return ""


EXERCISES = {
    "08.1": Exercise(
        "A weight matrix has 256 rows and 1,024 columns. LoRA of rank 4: how many numbers train beside it?",
        number(5120, 5120, {
            262_144: "That is the matrix itself: 256 times 1,024. It stays frozen.",
            1280: "That would be rank 1: one column of 256 and one row of 1,024. Here are four of each.",
            1024: "That is B alone: 256 times 4. A has 4 times 1,024.",
            4096: "That is A alone: 4 times 1,024. B has 256 times 4.",
            1_048_576: "You multiplied the matrix by 4. LoRA adds two thin matrices: 256 x 4 and 4 x 1,024.",
            4_194_304: "Multiply within each thin matrix, then add the two: 256 times 4, and 4 times 1,024.",
            267_264: "Matrix and adapters together. How many of them train?"},
            "Two thin matrices: B with 256 x 4 numbers, and A with 4 x 1,024."),
        "4 x (256 + 1,024) = 5,120 instead of 262,144: 2 %."),
    "08.2": Exercise("Write merge(W, A, B, alpha): one matrix that does what W and its adapter do together.",
                     judge_merge, "One product, added once: from then on the adapter costs nothing."),
    "08.3": Exercise(
        "B begins at zero, A at random. After the very first step (no weight decay), what has moved? a) A and B  b) A "
        "only  c) B only",
        choice("c", {"a": "The gradient of A is multiplied by B on its way. What is B in the first step?",
                     "b": "It is the other way round: the gradient of A is multiplied by B, and B is still zero."}),
        "A waits for B: its gradient is multiplied by B, which is zero. From the second step on both move."),
    "08.4": Exercise("LoRA of rank 4, in the attention of the last two blocks only. Hand in the strategy.",
                     judge_strategy, "Below the last two blocks nothing trains, so their input is computed once."),
    "08.5": Exercise(
        "A weight was 0.20 before fine-tuning and is 0.30 after it. What is it at alpha = 0.25?",
        number(0.2249, 0.2251, {
            0.275: "That is a quarter of the way from the end. alpha = 0 is before fine-tuning.",
            0.25: "That would be the middle, alpha = 0.5.",
            0.125: "(1 - alpha) times the weight before, plus alpha times the weight after.",
            0.075: "That is the part of the weight after. Add (1 - alpha) times the weight before.",
            0.15: "That is the part of the weight before. Add alpha times the weight after."},
            "(1 - alpha) times the weight before, plus alpha times the weight after."),
        "0.75 x 0.20 + 0.25 x 0.30: a quarter of the way, for every weight alike."),
    "08.q1": Exercise(
        "A model of 14 GB is fine-tuned for 20 customers by LoRA; the adapters of each are 20 MB. What does a server "
        "keep on disk? a) 280 GB  b) 14.4 GB  c) 0.4 GB",
        choice("b", {"a": "That would be twenty whole models. They share one base.",
                     "c": "Adapters alone answer nothing: the base is needed as well, once."}),
        "One base and twenty small files. Merged, they would be twenty models of 14 GB."),
    "08.q2": Exercise(
        "LoRA trains 1 % of the parameters. Which of these shrinks to about 1 % too? a) the time of a step  b) the "
        "memory for the optimizer's averages  c) the memory for activations",
        choice("b", {"a": "Forward and backward still run through the whole network: look at the column step_ms.",
                     "c": "The gradient still crosses every block, so most activations are kept."}),
        "The averages are kept for what trains, and for nothing else."),
}
