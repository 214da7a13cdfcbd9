"""What judges replies while PPO trains: a reward model, or any function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.tasks.logprobs import reply_batch
from ftkit.tasks.pairs import reply_ids
from ftkit.tasks.passages import prompt_ids

RewardFunction = Callable[[Sequence[Any], Sequence[str]], Any]
"""Prompts and replies in, one number for each reply out: the higher, the better."""


def score(model: Model, prompts: Sequence[Any], replies: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
    """What a reward model says of replies.

    Args:
        model: Trained for the task "reward".
        prompts: Texts, or chats.
        replies: One for each prompt.
        batch_size: Replies at a time.

    Returns:
        (N,) float32. Only differences mean anything: the numbers have no zero of their own.

    Raises:
        UserError: Another kind of model.

    Lesson 09.
    """
    if model.task.name != "reward":
        raise UserError(f"Replies are judged by a reward model, and this model is for {model.task.name}.")
    room = min(getattr(model.task, "max_length", 256), model.processor.model_max_length)
    rows = []
    for prompt, reply in zip(prompts, replies, strict=True):
        start = prompt_ids(prompt, model.processor)[-(room // 2):]
        rows.append((start, reply_ids(reply, model.processor)[: room - len(start)]))
    device, found = next(model.net.parameters()).device, []
    model.net.eval()
    with torch.no_grad():
        for first in range(0, len(rows), batch_size):
            some = rows[first : first + batch_size]
            batch = reply_batch([p for p, _ in some], [r for _, r in some], model.processor.pad_token_id)
            found.append(model.net(input_ids=batch["input_ids"].to(device),
                                   attention_mask=batch["attention_mask"].to(device)).logits.float().squeeze(-1).cpu())
    return torch.cat(found).numpy() if found else np.zeros(0, dtype=np.float32)


def reward_function(reward: RewardFunction | Model) -> RewardFunction:
    """The reward as a function; raises UserError for something else."""
    if isinstance(reward, Model):
        if reward.task.name != "reward":
            raise UserError(f"The reward is a function, or a model for the task 'reward', not for {reward.task.name}.")
        return lambda prompts, replies: score(reward, prompts, replies)
    if not callable(reward):
        raise UserError(f"The reward is a function of prompts and replies, or a reward model, not "
                        f"{type(reward).__name__}.")
    return reward
