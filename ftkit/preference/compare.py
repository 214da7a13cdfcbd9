"""Which of several models writes the better replies? It depends on who judges: so all judges stand side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.preference.ppo import check_writes
from ftkit.preference.rewards import RewardFunction, reward_function
from ftkit.preference.sampling import look, write
from ftkit.training.control import seeded
from ftkit.training.cpu import use_all_cores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Args:
        rows: One per model: "model"; for each judge "wins by …", the share of prompts at which its reply beats the
            first model's, a tie counting half (NaN for the first model itself); "words" and "ended" (the share of
            replies that came to an end); "KL" from the first model, in nats per reply.
        prompts: What was asked, as often as it was asked.
        replies: By model, one for each prompt.
        scores: By judge, then by model, (N,).
    """

    rows: list[dict[str, Any]]
    prompts: list[Any] = field(repr=False)
    replies: dict[str, list[str]] = field(repr=False)
    scores: dict[str, dict[str, np.ndarray]] = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The rows as a table, by model."""
        import pandas as pd

        return pd.DataFrame(self.rows).set_index("model")

    def samples(self, n: int = 5) -> pd.DataFrame:
        """The replies to the first `n` prompts, side by side: one column per model."""
        import pandas as pd

        firsts = [prompt.strip() if isinstance(prompt, str) else prompt[-1]["content"] for prompt in self.prompts[:n]]
        return pd.DataFrame({"prompt": firsts, **{name: texts[:n] for name, texts in self.replies.items()}})

    @property
    def uncertainty(self) -> float:
        """The standard error of a win rate of one half: differences smaller than two of these may be chance.

        Several replies to one prompt are counted as if they were independent.
        """
        return 0.5 / math.sqrt(max(1, len(self.prompts)))


def compare(models: Mapping[str, Model], prompts: Sequence[Any], judges: Mapping[str, RewardFunction | Model], *,
            times: int = 1, max_new_tokens: int = 40, batch_size: int = 64, seed: int = 0) -> Comparison:
    """Let models reply to the same prompts, and every judge decide.

    A model that was trained on a judge's opinion does well by that judge. Whether it has become better shows with one
    that it has never met: give both.

    Args:
        models: By name. The first one is what the others are held against: the model that their training began from.
        prompts: Such as `data.test.inputs`.
        judges: By name: reward models, or functions of prompts and replies such as `rule`.
        times: Replies to each prompt: more make the numbers surer.
        max_new_tokens: A longer reply is cut off.
        batch_size: Replies at a time.
        seed: Of the replies.

    Raises:
        UserError: No model, no judge, or a model that does not write.

    Lesson 09.
    """
    if not models or not judges or not len(prompts):
        raise UserError("compare needs at least one model, one judge and one prompt.")
    for model in models.values():
        check_writes(model)
    use_all_cores()
    asked = [prompt for _ in range(times) for prompt in prompts]
    first = next(iter(models))
    replies, facts = {}, {}
    for name, model in models.items():
        replies[name], facts[name] = _replies(model, models[first], asked, max_new_tokens, batch_size, seed)
    verdicts = {who: reward_function(judge) for who, judge in judges.items()}
    scores = {who: {name: np.asarray(judge(asked, texts), dtype=np.float32) for name, texts in replies.items()}
              for who, judge in verdicts.items()}
    rows = [{"model": name, **{f"wins by {who}": math.nan if name == first else win_rate(by[name], by[first])
                               for who, by in scores.items()}, **facts[name]} for name in models]
    return Comparison(rows, asked, replies, scores)


def win_rate(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How often the first score is higher; a tie counts half. Lesson 09."""
    return float((np.asarray(ours) > theirs).mean() + (np.asarray(ours) == theirs).mean() / 2)


def _replies(model: Model, start: Model, prompts: list[Any], most: int, size: int,
             seed: int) -> tuple[list[str], dict[str, float]]:
    """What a model replies, and facts about it. KL is estimated from the replies: log p - log p of the first model."""
    texts: list[str] = []
    ended, kl = [], []
    model.net.eval()
    start.net.eval()
    for place, begin in enumerate(range(0, len(prompts), size)):
        with seeded(seed, place), torch.no_grad():
            written = write(model.net, model.processor, prompts[begin : begin + size], most)
            difference = look(model.net, written).logprobs - look(start.net, written).logprobs
        texts += written.texts
        ended += written.ended.tolist()
        kl += (difference * written.mask).sum(1).tolist()
    return texts, {"words": float(np.mean([len(text.split()) for text in texts])), "ended": float(np.mean(ended)),
                   "KL": float(np.mean(kl))}
