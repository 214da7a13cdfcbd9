"""Text classification: one label per text, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import DataError
from ftkit.tasks.base import Batch, Encoded, Source, Task, label_tensor
from ftkit.tasks.metrics import classification_metrics


@dataclass(frozen=True)
class TextClassification(Task):
    """A label (or several) for a text, by a transformers model with a sequence-classification head. Lesson 01.

    Args:
        labels: Class names.
        multilabel: Whether a text may have several labels.
        max_length: Longer texts are cut to this many tokens.
        pad_to: Batches are padded to a multiple of this many tokens. A session takes 4 in bf16: oneDNN keeps compiled
            kernels for each length that it meets, and fewer lengths are 8 % less memory at the same speed.
    """

    max_length: int = 128
    pad_to: int = 1

    name: ClassVar[str] = "text-classification"
    modality: ClassVar[str] = "text"

    def build(self, source: Source) -> nn.Module:
        """A `...ForSequenceClassification` network whose config knows the label names."""
        return source.transformers(
            "AutoModelForSequenceClassification",
            num_labels=self.n_out,
            id2label=dict(enumerate(self.labels)),
            label2id={label: i for i, label in enumerate(self.labels)},
            problem_type="multi_label_classification" if self.multilabel else "single_label_classification",
        )

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Token ids of each text, cut to `max_length`."""
        for text in inputs:
            if not isinstance(text, str):
                raise DataError(f"A text must be a string, not {type(text).__name__}: {text!r:.80}.")
        if not len(inputs):
            return Encoded([], list(targets), np.zeros(0, dtype=int))
        limit = min(self.max_length, processor.model_max_length)
        ids = processor(list(inputs), truncation=True, max_length=limit)["input_ids"]
        # An empty string can become no token at all (GPT-2): one end-of-text token keeps the shapes whole.
        ids = [np.asarray(row or [processor.pad_token_id], dtype=np.int64) for row in ids]
        return Encoded(ids, list(targets), np.array([len(row) for row in ids]))

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`input_ids` and `attention_mask` (B, T), padded on the right to the longest of the batch; `labels`."""
        rows = [encoded.features[i] for i in indices]
        longest = max(map(len, rows))
        width = max(longest, min(-(-longest // self.pad_to) * self.pad_to, processor.model_max_length))
        ids = np.full((len(rows), width), processor.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "labels": label_tensor(encoded.targets, indices),
        }

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, C)."""
        return net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits

    def metrics(self, probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """See ftkit.tasks.metrics."""
        return classification_metrics(probabilities, targets, self.multilabel)
