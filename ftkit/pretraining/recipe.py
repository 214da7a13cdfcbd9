"""What a recipe must say; the loop does the rest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn


class Recipe(ABC):
    """How one backbone is pretrained.

    Everything random follows (seed, step), so a run that was interrupted goes on as if it had not been.

    Args:
        data: Folder with the data.
        seed: Of weights, order and augmentation.
        steps: Optimizer steps; None takes the recipe's own number.

    Attributes:
        name: Of the backbone.
        about: One line.
        data_about: The data and their licence, for the card.
        licence: Of the weights, for the card.
        weaknesses: What the backbone is known to be bad at, for the card.
        own_steps: Steps of a full run.
        clip: Gradients are clipped to this norm; 0 leaves them.
        warmup: Share of the steps in which the learning rate rises.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    data_about: ClassVar[str]
    licence: ClassVar[str]
    weaknesses: ClassVar[str]
    own_steps: ClassVar[int]
    clip: ClassVar[float] = 1.0
    warmup: ClassVar[float] = 0.05

    def __init__(self, data: Path, seed: int = 0, steps: int | None = None) -> None:
        self.data, self.seed = data, seed
        self.steps = steps or self.own_steps
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bar = True

    @abstractmethod
    def prepare(self, work: Path) -> None:
        """Read the data; what takes long (a tokenizer, tokenized text) is kept in `work` for the next time."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network as training begins."""

    @abstractmethod
    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """One or more, with their highest learning rates; the loop scales these by `rate`."""

    @abstractmethod
    def loss(self, net: nn.Module, step: int) -> Tensor:
        """The loss on the batch of this step."""

    @abstractmethod
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Scores on data that were not trained on."""

    @abstractmethod
    def export(self, net: nn.Module, folder: Path) -> None:
        """Write configuration, tokenizer or preprocessor, and the weights in 16 bits."""

    @abstractmethod
    def fetch(self, folder: Path) -> None:
        """Download the public data into `folder`: for people with a network."""

    def rate(self, step: int) -> float:
        """Share of the highest learning rate: linear warm-up, then a cosine to zero."""
        return one_cycle(step, self.steps, self.warmup)

    def rng(self, *key: int) -> np.random.Generator:
        """Random numbers that belong to this seed and key."""
        return np.random.default_rng((self.seed, *key))

    def shuffled(self, count: int, batch_size: int, step: int) -> np.ndarray:
        """The indices of this step's batch: each epoch goes through all `count` examples in a new order."""
        per_epoch = max(1, count // batch_size)
        epoch, at = divmod(step, per_epoch)
        if getattr(self, "_order_of", None) != (epoch, count):
            self._order_of, self._order = (epoch, count), self.rng(epoch).permutation(count)
        return self._order[at * batch_size : (at + 1) * batch_size]

    def facts(self) -> dict[str, Any]:
        """More lines for the card."""
        return {}


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """From 0 up to 1 in a share `warmup` of the steps, then a cosine down to 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def decayed(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weight decay for matrices, none for biases and norms."""
    matrices = [p for p in net.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in net.parameters() if p.requires_grad and p.dim() <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in 16 bits, for storage. Vectors stay as they are: they are small, and BatchNorm's variances can be
    smaller than 16 bits can say."""
    return {name: (t.to(torch.float16) if t.is_floating_point() and t.dim() > 1 else t).contiguous().cpu()
            for name, t in state.items()}
