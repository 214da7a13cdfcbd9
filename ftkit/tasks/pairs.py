"""What DPO and the reward model share: a prompt with two replies, one of them preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import DataError
from ftkit.tasks.base import Batch, Encoded, Task
from ftkit.tasks.logprobs import HIDDEN, reply_batch
from ftkit.tasks.passages import prompt_ids

REPLIES = ("chosen", "rejected")


@dataclass(frozen=True)
class PairTask(Task):
    """The parent of the tasks that learn from preferences. An input is a prompt, a target a dict of two replies.

    Args:
        labels: Always empty: a reply is no class.
        multilabel: Always False.
        max_length: Tokens of a prompt with its reply; a longer reply is cut at its end, and of a prompt that leaves it
            less than half of the room only the end is kept.
    """

    max_length: int = 256

    modality: ClassVar[str] = "text"
    cacheable: ClassVar[bool] = False  # an example is two rows

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Token ids of each prompt and its two replies, which end with the end-of-text token."""
        check_pairs(inputs, targets)
        room = min(self.max_length, processor.model_max_length)
        rows = []
        for prompt, target in zip(inputs, targets, strict=True):
            start = prompt_ids(prompt, processor)[-(room // 2):]
            rows.append((start, *(reply_ids(target[kind], processor)[: room - len(start)] for kind in REPLIES)))
        lengths = [len(prompt) + max(len(chosen), len(rejected)) for prompt, chosen, rejected in rows]
        return Encoded(rows, list(targets), np.array(lengths, dtype=int))

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """The batch of `reply_batch` with 2B rows, first the chosen replies and then the rejected ones.

        With it `reference` (B, 2): what the reference says of each pair, zeros where it was not asked.
        """
        rows = [encoded.features[i] for i in indices]
        batch = reply_batch([prompt for prompt, _, _ in rows] * 2,
                            [chosen for _, chosen, _ in rows] + [rejected for _, _, rejected in rows],
                            processor.pad_token_id)
        known = encoded.reference
        asked = np.zeros((len(rows), 2)) if known is None else known[list(indices)]
        return {**batch, "reference": torch.as_tensor(asked, dtype=torch.float32)}

    def blank(self) -> Any:
        """Two empty replies."""
        return dict.fromkeys(REPLIES, "")

    def answers(self, logits: Tensor, batch: Batch, net: Any, processor: Any) -> Any:
        """(B, 4): the reward of the chosen and of the rejected reply, and how many tokens each has."""
        tokens = side_by_side((batch["labels"] != HIDDEN).sum(-1))
        return torch.cat([self.rewards(logits, batch), tokens], dim=1).cpu().numpy()

    def rewards(self, logits: Tensor, batch: Batch) -> Tensor:
        """What the network thinks of both replies (B, 2): the higher, the better."""
        return logits

    def metrics(self, answers: np.ndarray, targets: Any) -> dict[str, float]:
        """Of a whole split.

        Returns:
            "accuracy": how often the chosen reply has the higher reward, a tie counts half; "margin": by how much on
            average; "chosen_tokens" and "rejected_tokens": how long the replies are.
        """
        margins = answers[:, 0] - answers[:, 1]
        return {"accuracy": float((margins > 0).mean() + (margins == 0).mean() / 2), "margin": float(margins.mean()),
                "chosen_tokens": float(answers[:, 2].mean()), "rejected_tokens": float(answers[:, 3].mean())}


def side_by_side(rows: Tensor) -> Tensor:
    """Numbers of 2B rows, the chosen replies first, as (B, 2)."""
    return rows.view(2, -1).T


def reply_ids(text: str, processor: Any) -> list[int]:
    """The tokens of a reply, and the one that says "no more"."""
    ids = processor(text, add_special_tokens=False, verbose=False)["input_ids"]
    return [*ids, int(processor.eos_token_id)]


def check_pairs(inputs: Sequence[Any], targets: Sequence[Any]) -> None:
    """Raise DataError unless every target holds two texts, "chosen" and "rejected"."""
    for prompt, target in zip(inputs, targets, strict=True):
        good = isinstance(target, Mapping) and all(isinstance(target.get(kind), str) for kind in REPLIES)
        if not good:
            raise DataError(f"To the prompt {prompt!r:.60} belong two replies, {{'chosen': a text, 'rejected': a "
                            f"text}}, not {target!r:.80}. A table needs the columns prompt, chosen and rejected.")
