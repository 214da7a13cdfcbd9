"""The next token as rows: how likely each is, as the network says it and after the sampling controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.tasks.passages import prompt_ids
from ftkit.tasks.sampling import Sampling, next_probabilities


@dataclass(frozen=True)
class NextTokens:
    """What may come after a prompt.

    Args:
        prompt: As it was given.
        rows: The likeliest tokens, best first: "token", "before" (temperature 1 and no limits) and "after".
        others: (before, after) of all tokens that are not in the rows, together.
        drawn_from: How many tokens may be drawn after the controls.
        tokens: How many there are.
        sampling: The controls.
    """

    prompt: Any
    rows: tuple[dict[str, Any], ...]
    others: tuple[float, float]
    drawn_from: int
    tokens: int
    sampling: Sampling


def next_tokens(model: Model, prompt: Any, n: int = 12, **controls: Any) -> NextTokens:
    """What a text generator would write next, and what temperature, top-k, top-p and repetition penalty make of it.

    Args:
        model: Of the task "causal-lm".
        prompt: A text or a chat.
        n: How many tokens to name.
        controls: As in `ftkit.generate`: temperature, top_k, top_p, repetition_penalty.

    Raises:
        UserError: The model does not write texts; a control makes no sense.

    Lesson 07.
    """
    if not model.task.generates:
        raise UserError(f"next_tokens needs a text generator, and this model is for {model.task.name}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise UserError(f"n must be a whole number of at least 1, not {n!r}.")
    sampling = Sampling(**controls)
    ids = prompt_ids(prompt, model.processor)
    device = next(model.net.parameters()).device
    training = [module for module in model.net.modules() if module.training]
    model.net.eval()
    try:
        with torch.no_grad():
            scores = model.net(input_ids=torch.tensor([ids], device=device), use_cache=False).logits[0, -1].float()
    finally:
        for module in training:
            module.training = True
    before = scores.softmax(-1)
    after = next_probabilities(scores, sampling, [i for i in ids if i != model.processor.eos_token_id])
    best = before.argsort(descending=True)[:n].tolist()
    rows = tuple({"token": _shown(model.processor, token), "before": float(before[token]),
                  "after": float(after[token])} for token in best)
    others = torch.ones_like(before).index_fill(0, torch.tensor(best, device=device), 0)
    rest = (float((before * others).sum()), float((after * others).sum()))
    return NextTokens(prompt, rows, rest, int((after > 0).sum()), len(before), sampling)


def _shown(processor: Any, token: int) -> str:
    """A token as one can read it: a space in front is a mark, the end of the text is called so."""
    if token == processor.eos_token_id:
        return "(end)"
    text = processor.decode([token])
    return str(text.replace(" ", "␣").replace("\n", "↵")) or "(nothing)"
