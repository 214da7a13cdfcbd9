"""Image classification: one label per picture, or several."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.machine import cpu_limit, memory_available
from ftkit.tasks.base import Batch, Encoded, Source, Task, label_tensor
from ftkit.tasks.metrics import classification_metrics


class LazyImages(Sequence[Tensor]):
    """Pictures decoded when they are asked for: for data sets that do not fit into memory."""

    def __init__(self, inputs: Sequence[Any], processor: Any) -> None:
        self.inputs, self.processor = inputs, processor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> Any:
        return self.processor.decode(self.inputs[index])


@dataclass(frozen=True)
class ImageClassification(Task):
    """A label (or several) for a picture, by a torchvision or transformers network. Lesson 03.

    Args:
        labels: Class names.
        multilabel: Whether a picture may have several labels.
        augment: Shift, and where it is allowed mirror, training pictures at random. It turns the feature cache off:
            every epoch differs.
        mirror: Whether a picture seen in a mirror keeps its label. A cat does; an arrow to the left and a 3 do not.
    """

    augment: bool = False
    mirror: bool = True

    name: ClassVar[str] = "image-classification"
    modality: ClassVar[str] = "image"

    @property
    def random(self) -> bool:
        """Whether a training batch differs from epoch to epoch."""
        return self.augment

    def build(self, source: Source) -> nn.Module:
        """The network with a fresh last layer for these labels."""
        if source.library == "torchvision":
            net = source.torchvision()
            replace_last_linear(net, self.n_out)
            return net.to(memory_format=torch.channels_last)
        net = source.transformers(
            "AutoModelForImageClassification",
            num_labels=self.n_out,
            id2label=dict(enumerate(self.labels)),
            label2id={label: i for i, label in enumerate(self.labels)},
            problem_type="multi_label_classification" if self.multilabel else "single_label_classification",
        )
        return net.to(memory_format=torch.channels_last)

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Decoded and resized once as uint8 (N, 3, S, S) if that fits into a quarter of the memory, else lazily."""
        lengths = np.ones(len(inputs), dtype=int)
        needed = len(inputs) * 3 * processor.size**2
        if needed > memory_available() // 4:
            return Encoded(LazyImages(inputs, processor), list(targets), lengths)
        if not len(inputs):
            return Encoded(torch.zeros(0, 3, processor.size, processor.size, dtype=torch.uint8), [], lengths)
        with ThreadPoolExecutor(cpu_limit()) as pool:  # decoding releases Python's lock, so threads are enough
            images = torch.stack(list(pool.map(processor.decode, inputs)))
        return Encoded(images, list(targets), lengths)

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`pixel_values` float (B, 3, S, S), channels-last; `labels`."""
        features = encoded.features
        if isinstance(features, Tensor):
            images = features[torch.as_tensor(list(indices))]
        else:
            images = torch.stack([features[i] for i in indices])
        if self.augment and train:
            images = shift(mirror(images) if self.mirror else images)
        return {"pixel_values": processor.normalise(images), "labels": label_tensor(encoded.targets, indices)}

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, C)."""
        out = net(batch["pixel_values"])
        return out if isinstance(out, Tensor) else out.logits

    def metrics(self, probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See ftkit.tasks.metrics."""
        return classification_metrics(probabilities, targets, self.multilabel)


def replace_last_linear(net: nn.Module, n_out: int) -> str:
    """Put a fresh linear layer of `n_out` scores in place of the network's last one; returns its dotted name."""
    name, old = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, attribute = name.rpartition(".")
    fresh = nn.Linear(old.in_features, n_out)
    nn.init.normal_(fresh.weight, std=0.01)  # small scores at first: the loss starts at ln(C), not above it
    nn.init.zeros_(fresh.bias)
    setattr(net.get_submodule(parent), attribute, fresh)
    return name


def mirror(images: Tensor) -> Tensor:
    """Each picture mirrored with probability 1/2, left to right: (B, 3, S, S)."""
    flip = torch.rand(len(images)) < 0.5
    return torch.where(flip.view(-1, 1, 1, 1), images.flip(-1), images)


def shift(images: Tensor) -> Tensor:
    """Each picture moved by up to an eighth in both directions, its edges repeated: (B, 3, S, S) uint8."""
    size = images.shape[-1]
    pad = size // 8
    padded = nn.functional.pad(images.float(), (pad,) * 4, mode="replicate").to(torch.uint8)
    moves = torch.randint(0, 2 * pad + 1, (len(images), 2)).tolist()
    return torch.stack([img[:, y : y + size, x : x + size] for img, (y, x) in zip(padded, moves, strict=True)])
