"""The arithmetic of PPO, one small function per formula. All is (B, R): replies by tokens, padded behind."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_of(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the tokens of all replies; padding does not count."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def token_rewards(scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, beta: float) -> Tensor:
    """What each token earns: -beta * (log p - log p_reference), and the last one the reply's score on top.

    Summed over a reply this is its score less beta times an estimate of KL(policy || reference): Ouyang et al. 2022,
    equation 2, without its pretraining term.

    Args:
        scores: (B,), what the reward function says of each reply.
        logprobs: Of the policy that wrote the replies.
        reference: Of the reference.
        mask: 1 for the tokens of a reply.
        beta: The price of leaving the reference, in score per nat.
    """
    rewards = -beta * (logprobs - reference) * mask
    last = mask.sum(1).long() - 1
    return rewards.scatter_add(1, last.unsqueeze(1), scores.unsqueeze(1).to(rewards))


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, equations 11 to 16), from the last token backwards.

    delta_t = r_t + gamma V_(t+1) - V_t says how much better a token did than expected, as far as one can see after one
    step. An advantage is the sum of this delta and those to come, each weighing gamma * lam less than the one before:
    lam = 0 trusts the values, lam = 1 trusts the rewards.

    Returns:
        Advantages, and returns (advantage + value), which the value head is to predict.
    """
    advantages, ahead = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        more = mask[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(ahead)  # is there a next token?
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(ahead)
        delta = rewards[:, t] + gamma * following * more - values[:, t]
        ahead = delta + gamma * lam * more * ahead
        advantages[:, t] = ahead
    advantages = advantages * mask
    return advantages, (advantages + values) * mask


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all tokens, so that one learning rate suits every scale of reward."""
    mean = mean_of(values, mask)
    spread = mean_of((values - mean) ** 2, mask)
    return (values - mean) * torch.rsqrt(spread + 1e-8) * mask


def policy_loss(logprobs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """The clipped objective with its sign turned (Schulman et al. 2017, equation 7), and how often it was clipped.

    The ratio says how much more probable a token has become since it was drawn. Beyond 1 + clip (for a good token) or
    below 1 - clip (for a bad one) there is nothing more to gain, so the network does not run away from its own data.
    """
    ratio = torch.exp(logprobs - old)
    plain, clipped = advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)
    return -mean_of(torch.minimum(plain, clipped), mask), mean_of((clipped < plain).float(), mask).detach()


def value_loss(values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Half the squared error of the value head, which gains nothing by moving more than `clip` at once."""
    near = old + (values - old).clamp(-clip, clip)
    return 0.5 * mean_of(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


def next_beta(beta: float, kl: float, target: float) -> float:
    """The price of KL after a step: dearer if the policy is further from the reference than wanted, else cheaper.

    Ziegler et al. 2019, section 2.2: a proportional controller in log space, its error cut at a fifth.
    """
    error = min(0.2, max(-0.2, kl / target - 1))
    return beta * (1 + 0.1 * error)
