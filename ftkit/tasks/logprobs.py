"""How probable a text generator finds a reply: the one number that preference tuning is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

HIDDEN = -100  # a target that no loss counts: the prompt, and padding


def reply_batch(prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    """Prompts with their replies, padded on the right.

    Args:
        prompts: Token ids of each prompt.
        replies: Token ids of each reply, its end-of-text token included.
        pad: What fills the shorter rows; any token will do, the mask hides it.

    Returns:
        `input_ids`, `attention_mask` and `labels` (B, T); `labels` is -100 but for the tokens of the reply.
    """
    width = max(len(prompt) + len(reply) for prompt, reply in zip(prompts, replies, strict=True))
    ids = np.full((len(prompts), width), pad, dtype=np.int64)
    mask, labels = np.zeros_like(ids), np.full_like(ids, HIDDEN)
    for i, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        start, end = len(prompt), len(prompt) + len(reply)
        ids[i, :start], ids[i, start:end] = prompt, reply
        labels[i, start:end] = reply
        mask[i, :end] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(labels)}


def left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts to be gone on from, padded on the left so that all go on in the same column: ids and mask (B, T)."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def token_logprobs(logits: Tensor, targets: Tensor) -> Tensor:
    """log p of each target token.

    Args:
        logits: (B, T, V), at each place the scores of the token that comes *there*, not of the next one.
        targets: (B, T) token ids; -100 is passed over.

    Returns:
        (B, T) in float32, 0 where the target is -100.
    """
    flat = nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=HIDDEN,
                                       reduction="none")
    return -flat.view(targets.shape)


def sequence_logprobs(net: nn.Module, batch: dict[str, Tensor], *, average: bool = False) -> Tensor:
    """log p(reply | prompt) of each row: the sum over the reply's tokens; the prompt and padding do not count.

    Only the places that predict a reply's token are turned into scores over the vocabulary: that is where most of the
    memory goes.

    Args:
        net: A `...ForCausalLM` network.
        batch: From `reply_batch`.
        average: Divide by the number of the reply's tokens, so that a long reply is not improbable for its length.

    Returns:
        (B,) in float32. Lesson 09.
    """
    targets = batch["labels"][:, 1:]  # the scores at one place are for the token at the next
    places = (targets != HIDDEN).any(0).nonzero().squeeze(-1)
    logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], logits_to_keep=places).logits
    targets = targets[:, places]
    sums = token_logprobs(logits, targets).sum(-1)
    return sums / (targets != HIDDEN).sum(-1).clamp(min=1) if average else sums
