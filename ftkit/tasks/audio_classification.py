"""Audio classification: one label per sound, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from ftkit.tasks.base import Batch, Encoded, Source, Task, label_tensor
from ftkit.tasks.metrics import classification_metrics
from ftkit.tasks.sounds import call, decode_all, masking, sound_batch


@dataclass(frozen=True)
class AudioClassification(Task):
    """A label (or several) for a sound, by a transformers speech network whose frames are averaged. Lesson 05.

    Args:
        labels: Class names.
        multilabel: Whether a sound may have several labels.
        augment: In training, play each sound at one of three speeds (Ko et al. 2015), and mask stretches of time
            (SpecAugment, Park et al. 2019). It turns the feature cache off.
        max_seconds: Of a longer sound only the beginning is heard.
    """

    augment: bool = False
    max_seconds: float = 20.0

    name: ClassVar[str] = "audio-classification"
    modality: ClassVar[str] = "audio"
    strategy: ClassVar[str] = "frozen_stem"

    @property
    def random(self) -> bool:
        """Whether a training batch differs from epoch to epoch."""
        return self.augment

    def build(self, source: Source) -> nn.Module:
        """A `...ForSequenceClassification` network of the speech family."""
        return source.transformers(
            "AutoModelForAudioClassification",
            num_labels=self.n_out,
            id2label=dict(enumerate(self.labels)),
            label2id={label: i for i, label in enumerate(self.labels)},
        )

    def prepare(self, net: nn.Module) -> None:
        """Mask only when augmentation is wanted, and never skip a whole layer by chance."""
        masking(net, self.augment)

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Sounds decoded and resampled once, cut to `max_seconds`; lengths are frames."""
        most = int(self.max_seconds * processor.rate)
        sounds = [sound[:most] for sound in decode_all(inputs, processor)]
        lengths = np.array([processor.frames(len(sound)) for sound in sounds], dtype=int)
        return Encoded(sounds, list(targets), lengths, processor.rate / processor.hop)

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`input_values` (B, T) and `attention_mask` (B, T); `frames` (B,) of each; `labels`."""
        batch = sound_batch(encoded, indices, processor, train and self.augment)
        return {**batch, "labels": label_tensor(encoded.targets, indices)}

    def width(self, batch: Batch) -> int | None:
        """Frames of the padded batch."""
        return int(batch["frames"].max())

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, C)."""
        return call(net, batch).logits

    def metrics(self, answers: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See ftkit.tasks.metrics."""
        return classification_metrics(answers, targets, self.multilabel)
