"""The settings of PPO, and their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ftkit.errors import UserError


@dataclass(frozen=True)
class PPOSettings:
    """How to run PPO. The defaults suit gpt2-mini on two cores.

    Args:
        steps: How often replies are written and learned from.
        batch_size: Replies per step.
        minibatch: Replies per optimizer step.
        epochs: How often each batch of replies is gone through.
        max_new_tokens: A longer reply is cut off.
        lr: Learning rate of the network.
        value_lr: Learning rate of the value head, which begins at zero and has to catch up.
        beta: Price of a nat of KL from the reference, in units of the reward.
        target_kl: KL per reply to aim at: beta then follows it. None keeps beta as it is.
        clip: By what share a token's probability may change in a step before more is not rewarded.
        value_clip: The same for a value.
        gamma: Discount of later rewards. 1 is none: a reply is short.
        lam: See `gae`.
        value_weight: Of the value head's loss beside the policy's.
        entropy_weight: Reward for staying undecided; 0 gives none.
        unfinished: Taken off the reward of a reply that was cut off.
        seed: Of prompts, replies and minibatches.
    """

    steps: int = 40
    batch_size: int = 16
    minibatch: int = 8
    epochs: int = 2
    max_new_tokens: int = 40
    lr: float = 1e-4
    value_lr: float = 1e-3
    beta: float = 0.1
    target_kl: float | None = None
    clip: float = 0.2
    value_clip: float = 0.2
    gamma: float = 1.0
    lam: float = 0.95
    value_weight: float = 0.1
    entropy_weight: float = 0.0
    unfinished: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "minibatch", "epochs", "max_new_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{name} must be a whole number of at least 1, not {value!r}.")
        for name in ("lr", "value_lr", "clip", "value_clip", *(["target_kl"] if self.target_kl is not None else [])):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a number above 0, not {getattr(self, name)!r}.")
        for name in ("beta", "value_weight", "entropy_weight", "unfinished"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a number of at least 0, not {getattr(self, name)!r}.")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must lie between 0 and 1, not {getattr(self, name)!r}.")
