"""What every task answers: which head, how examples become a batch, what the loss is, what a prediction is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
"""The examples of one step, as the network takes them: tensors by name, and "labels"."""


class Processor(Protocol):
    """What turns raw input into numbers: a tokenizer, or an image's preprocessing. It is saved with the model."""

    def save_pretrained(self, folder: str) -> Any: ...


class Source(Protocol):
    """An opened place that weights come from (see ftkit.backbones.sources): a task asks it for the network it needs."""

    @property
    def library(self) -> str: ...

    def transformers(self, auto_class: str, **config: Any) -> nn.Module: ...

    def torchvision(self) -> nn.Module: ...

    def synthesiser(self) -> nn.Module: ...


class LossSum(NamedTuple):
    """A loss before it is averaged, so that accumulation and several processes average it exactly.

    Args:
        total: Sum of the losses, a scalar with a gradient.
        n: How many things were summed: examples here, tokens in a language model.
        logits: Raw scores (B, C), for metrics on the way.
    """

    total: Tensor
    n: float
    logits: Tensor


@dataclass
class Encoded:
    """A split after tokenizing or decoding: done once, before the first step.

    Args:
        features: One entry per example; `Task.collate` knows what it is.
        targets: One class index per example, or one 0/1 row per example for multi-label; letters for a recogniser.
        lengths: Tokens per example, for length buckets; frames for sounds; all ones for images.
        per_second: Frames a second of a sound; 0 where length is no time.
        said: The texts behind the targets of a recogniser, for its scores.
        owner: Which input each entry is a piece of (N,), where one input makes several; None where each makes one.
        most: Tokens that a batch without gradients may have, padding included.
        reference: What the reference answers to each entry (N, K), for a task that compares with one.
    """

    features: Sequence[Any] | Tensor
    targets: Sequence[Any]
    lengths: np.ndarray = field(repr=False)
    per_second: float = 0.0
    said: Sequence[str] | None = None
    owner: np.ndarray | None = field(default=None, repr=False)
    most: float = math.inf
    reference: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Task:
    """The parent of every task: one file in ftkit/tasks/ each.

    Args:
        labels: Class names; a target is an index into them.
        multilabel: True if an example may have several labels: targets are then rows of 0/1.
    """

    labels: tuple[str, ...]
    multilabel: bool = False

    name: ClassVar[str] = ""
    modality: ClassVar[str] = ""
    strategy: ClassVar[str] = "full"  # what `fit` does when it is not told
    holds: ClassVar[str] = ""  # what the data hold, where that is not what the network is fed with
    cacheable: ClassVar[bool] = True  # whether frozen layers can be stepped over
    mixed: ClassVar[bool] = True  # whether its network may compute in 16 bits
    best_by: ClassVar[str] = "accuracy"  # what makes an epoch the best: "accuracy", or a score of which less is more
    has_reference: ClassVar[bool] = False  # whether it compares with the network as it was before training
    generates: ClassVar[bool] = False  # whether its answer is a text that goes on, which `predict` cannot give

    @property
    def n_out(self) -> int:
        """How many scores the head gives."""
        return len(self.labels)

    def build(self, source: Source) -> nn.Module:
        """The pretrained body from `source` with a fresh head for this task."""
        raise NotImplementedError

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Raw inputs to features, once for the whole split."""
        raise NotImplementedError

    @property
    def random(self) -> bool:
        """Whether a training batch differs from epoch to epoch, as augmentation makes it."""
        return False

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """The batch of these examples: tensors by the names that the network takes, and "labels"."""
        raise NotImplementedError

    def cut(self, items: Sequence[Any], processor: Any) -> list[list[Any]]:
        """Each input in pieces that are answered one by one when a model is only asked; here it is one piece."""
        return [[item] for item in items]

    def prepare(self, net: nn.Module) -> None:
        """Set what belongs to the network's configuration before it trains; here nothing."""

    def width(self, batch: Batch) -> int | None:
        """Tokens of a padded batch, as the layers between stem and head see them; None if they see none."""
        return batch["input_ids"].shape[1] if "input_ids" in batch else None

    def blank(self) -> Any:
        """A target for an example that has none: prediction needs one to fill the batch."""
        return [0] * self.n_out if self.multilabel else 0

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, C) of a batch."""
        raise NotImplementedError

    def counted(self, logits: Tensor, batch: Batch) -> Tensor:
        """The logits with zeros where they stand for padding: what must not change when frozen layers are skipped."""
        return logits

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """The loss of each example (B,), in float32."""
        return example_losses(logits, batch["labels"], self.multilabel, class_weights)

    def loss(self, net: nn.Module, batch: Batch, class_weights: Tensor | None = None) -> LossSum:
        """Cross-entropy (one label) or binary cross-entropy summed over labels' mean (several), in float32."""
        logits = self.forward(net, batch).float()
        losses = self.losses(logits, batch, class_weights)
        return LossSum(losses.sum(), float(len(losses)), logits)

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Probabilities (B, C) of a batch: softmax for one label, sigmoid for several."""
        return self.probabilities(self.forward(net, batch).float())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (B, C) to probabilities (B, C)."""
        return logits.sigmoid() if self.multilabel else logits.softmax(-1)

    def answers(self, logits: Tensor, batch: Batch, net: nn.Module, processor: Any) -> Any:
        """One answer per example: a row of probabilities (C,), or a text."""
        return self.probabilities(logits).cpu().numpy()

    def joined(self, encoded: Encoded, answers: Any, losses: np.ndarray) -> tuple[Any, np.ndarray]:
        """Answers and losses by input, where an input makes several entries; here each makes one."""
        return answers, losses

    def metrics(self, answers: Any, targets: Any) -> dict[str, float]:
        """Scores of a whole split, "accuracy" first."""
        raise NotImplementedError

    def scores(self, answers: Any, losses: np.ndarray, targets: Any) -> dict[str, float]:
        """The metrics, and "loss": the mean of the examples' losses (N,)."""
        return {**self.metrics(answers, targets), "loss": float(losses.mean())}


def example_losses(
    logits: Tensor, labels: Tensor, multilabel: bool, class_weights: Tensor | None = None
) -> Tensor:
    """The loss of each example (B,). Class weights multiply an example's loss; they average to 1 over the classes."""
    if multilabel:
        losses = nn.functional.binary_cross_entropy_with_logits(
            logits, labels.float(), weight=class_weights, reduction="none")
        return losses.mean(-1)
    return nn.functional.cross_entropy(logits, labels, weight=class_weights, reduction="none")


def label_tensor(targets: Sequence[Any], indices: Sequence[int]) -> Tensor:
    """The targets of a batch: (B,) class indices, or (B, C) zeros and ones."""
    return torch.as_tensor(np.asarray([targets[i] for i in indices]))
