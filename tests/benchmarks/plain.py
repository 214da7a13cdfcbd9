"""What the hand-written loop, the Hugging Face Trainer and Lightning share: the recipe, and data in plain PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from workloads import Job

from ftkit.tasks.ctc import numbers
from ftkit.training.batches import epoch_batches

WEIGHT_DECAY, CLIP, WARMUP, MAX_LENGTH = 0.01, 1.0, 0.1, 128  # ftkit's defaults


class Examples:
    """The training split, tokenized or decoded once: as good as a careful person would do it.

    Texts are kept without padding and padded to the longest of each batch. Pictures are kept normalised.
    """

    def __init__(self, job: Job) -> None:
        split, processor = job.data.train, job.model.processor
        self.kind = job.model.task.modality
        self.text = self.kind == "text"
        if self.kind == "audio":
            self.sounds = [processor.decode(sound) for sound in split.inputs]
            self.letters = [torch.tensor(numbers(text, job.model.task.vocabulary)) for text in split.targets]
            self.processor = processor
            return
        if job.model.task.generates:
            end = processor.eos_token_id  # GPT-2's texts begin and end with it
            texts = processor(list(split.inputs))["input_ids"]
            self.kind, self.rows, self.pad = "writing", [torch.tensor([end, *row, end]) for row in texts], end
            return
        self.labels = torch.tensor(split.targets)
        if self.text:
            rows = processor(list(split.inputs), truncation=True, max_length=MAX_LENGTH)["input_ids"]
            self.rows = [torch.tensor(row) for row in rows]
            self.pad = processor.pad_token_id
        else:
            self.images = processor.normalise(torch.stack([processor.decode(picture) for picture in split.inputs]))

    def __len__(self) -> int:
        return len(self.sounds if self.kind == "audio" else self.rows if self.kind == "writing" else self.labels)

    def batch(self, indices: list[int]) -> dict[str, Tensor]:
        """The named tensors of these examples."""
        if self.kind == "audio":
            labels = nn.utils.rnn.pad_sequence([self.letters[i] for i in indices], batch_first=True, padding_value=-100)
            return {**self.processor.batch([self.sounds[i] for i in indices]), "labels": labels}
        if self.kind == "writing":  # transformers shifts the labels itself
            rows = [self.rows[i] for i in indices]
            return {"input_ids": nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad),
                    "labels": nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)}
        if not self.text:
            return {"pixel_values": self.images[indices], "labels": self.labels[indices]}
        rows = [self.rows[i] for i in indices]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": self.labels[indices]}

    def lengths(self) -> Any:
        """Tokens per example, as ftkit counts them for its batches; frames of sounds, ones for pictures."""
        if self.kind == "audio":
            return np.array([self.processor.frames(len(sound)) for sound in self.sounds])
        if self.kind == "writing":
            return np.array([len(row) - 1 for row in self.rows])  # the last token is nobody's input
        return np.array([len(row) for row in self.rows]) if self.text else np.ones(len(self), dtype=int)


class FtkitBatches:
    """ftkit's own batches, epoch after epoch, for a DataLoader's batch_sampler or a plain loop."""

    def __init__(self, job: Job, lengths: Any) -> None:
        self.job, self.lengths, self.epoch = job, lengths, 0

    def __len__(self) -> int:
        return self.job.steps_per_epoch

    def __iter__(self) -> Any:
        self.epoch += 1
        return iter(epoch_batches(self.lengths, self.job.workload.batch_size, self.job.seed, self.epoch - 1))


class WithLoss(nn.Module):
    """A torchvision network that also gives the loss, as transformers' networks do."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def with_loss(job: Job) -> nn.Module:
    """The network as one that takes a batch and gives {"loss": …, "logits": …}."""
    return job.model.net if job.model.task.modality != "image" else WithLoss(job.model.net)


def freeze(job: Job) -> list[nn.Parameter]:
    """Set requires_grad; returns the parameters that train, for the optimizer."""
    for name, parameter in job.model.net.named_parameters():
        parameter.requires_grad_(name in job.trained)
    return [parameter for parameter in job.model.net.parameters() if parameter.requires_grad]


def train_mode(job: Job) -> None:
    """Train mode for what trains; eval mode for layers that are frozen as a whole."""
    job.model.net.train()
    for group in job.model.layers:
        if not job.trained.intersection(group.parameters):
            for path in {*group.modules} & {name for name, _ in job.model.net.named_modules()}:
                job.model.net.get_submodule(path).eval()


def schedule(job: Job) -> Any:
    """Step number (from 0) to the share of the learning rate, for LambdaLR."""
    rising = round(WARMUP * job.steps)
    return lambda step: (step + 1) / rising if step < rising else 1 - (step - rising) / max(1, job.steps - rising)
