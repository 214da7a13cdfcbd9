"""What every task answers: which head, how examples become a batch, what the loss is, what a prediction is."""

from __future__ import annotations

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
        targets: One class index per example, or one 0/1 row per example for multi-label.
        lengths: Tokens per example, for length buckets; all ones for images.
    """

    features: Sequence[Any] | Tensor
    targets: Sequence[Any]
    lengths: np.ndarray = field(repr=False)

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

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, C) of a batch."""
        raise NotImplementedError

    def loss(self, net: nn.Module, batch: Batch, class_weights: Tensor | None = None) -> LossSum:
        """Cross-entropy (one label) or binary cross-entropy summed over labels' mean (several), in float32."""
        logits = self.forward(net, batch).float()
        losses = example_losses(logits, batch["labels"], self.multilabel, class_weights)
        return LossSum(losses.sum(), float(len(losses)), logits)

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Probabilities (B, C) of a batch: softmax for one label, sigmoid for several."""
        return self.probabilities(self.forward(net, batch).float())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (B, C) to probabilities (B, C)."""
        return logits.sigmoid() if self.multilabel else logits.softmax(-1)

    def metrics(self, probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Scores of a whole split, "accuracy" first."""
        raise NotImplementedError


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
