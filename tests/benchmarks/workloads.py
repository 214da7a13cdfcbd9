"""What is trained in the benchmark: five workloads, and what every contender needs of them.

A workload says which parameters train; the rest is frozen. All contenders of one round start from the same weights, see
the same examples as often, in batches of the same size, with the same schedule: AdamW, decay 0.01, gradients clipped at
1.0, a tenth of the steps to warm up, then linear decay to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

import ftkit as ft
from ftkit.strategies import make_strategy
from ftkit.training.batches import epoch_batches

WEIGHT_DECAY, CLIP, WARMUP, MAX_LENGTH = 0.01, 1.0, 0.1, 128


@dataclass(frozen=True)
class Workload:
    """One model, one data set, and what trains.

    Args:
        name: As on the command line.
        about: One line for the table.
        backbone: Name for load_backbone.
        data: Name for load_data.
        strategy: In ftkit's words; the other contenders train the same parameters.
        epochs: Passes over the training examples.
        batch_size: Examples per step.
        lr: Highest learning rate.
        limit: Training examples.
        image_size: Pixels; None for texts.
        test_limit: Test examples; None takes all.
    """

    name: str
    about: str
    backbone: str
    data: str
    strategy: str
    epochs: int
    batch_size: int
    lr: float
    limit: int = 512
    image_size: int | None = None
    test_limit: int | None = None

    def quick(self) -> Workload:
        """The same so small that only its working can be seen, not its speed."""
        return replace(self, limit=24, test_limit=20, batch_size=8, epochs=2, image_size=self.image_size and 32)


_MINILM = "MiniLM (pretrained) on 512 reviews"
_RESNET = "ResNet-18 (RANDOM weights: for its speed, not its accuracy) on 512 digits at 64 pixels"
WORKLOADS = {w.name: w for w in (
    Workload("minilm-full", f"{_MINILM}: all layers, 2 epochs", "minilm", "reviews", "full", 2, 16, 1e-4),
    Workload("minilm-head", f"{_MINILM}: head only, 10 epochs", "minilm", "reviews", "probe", 10, 16, 1e-3),
    Workload("minilm-last2", f"{_MINILM}: last two layers and the head, 3 epochs", "minilm", "reviews", "last_k:k=2",
             3, 16, 1e-4),
    Workload("resnet18-head", f"{_RESNET}: head only, 10 epochs", "resnet18", "digits", "probe", 10, 32, 1e-3,
             image_size=64),
    Workload("resnet18-full", f"{_RESNET}: all layers, 2 epochs", "resnet18", "digits", "full", 2, 32, 5e-4,
             image_size=64),
)}


@dataclass
class Job:
    """A workload made ready: weights loaded, raw data in memory, nothing tokenized or decoded yet."""

    workload: Workload
    model: Any
    data: Any
    seed: int
    trained: set[str] = field(init=False)  # names of the parameters that train

    def __post_init__(self) -> None:
        plan = make_strategy(self.workload.strategy).plan(self.model.layers, 0)
        self.trained = {name for name, scale in plan.items() if scale > 0}

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.workload.batch_size)

    @property
    def steps(self) -> int:
        return self.workload.epochs * self.steps_per_epoch


@dataclass
class Outcome:
    """What a contender reports of its training; the child process measures the rest.

    Args:
        steps: Optimizer steps that were made.
        loop_seconds: Seconds between the first step's begin and the last one's end.
        facts: Anything else worth keeping.
    """

    steps: int
    loop_seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


def make_job(workload: Workload, seed: int) -> Job:
    """Load model and data. The data are always the same; the seed gives the head, the order and the dropout."""
    data = ft.load_data(workload.data, limit=workload.limit)
    if workload.test_limit:
        data = replace(data, test=data.test.take(workload.test_limit))
    size: dict[str, Any] = {"image_size": workload.image_size} if workload.image_size else {}
    model = ft.load_backbone(workload.backbone, data.task, pretrained=workload.image_size is None, seed=seed, **size)
    return Job(workload, model, data, seed)


# What follows is what the hand-written loop, the Hugging Face Trainer and Lightning share: plain PyTorch.


class Examples:
    """The training split, tokenized or decoded once: as good as a careful person would do it.

    Texts are kept without padding and padded to the longest of each batch. Pictures are kept normalised.
    """

    def __init__(self, job: Job) -> None:
        split, processor = job.data.train, job.model.processor
        self.labels = torch.tensor(split.targets)
        self.text = job.model.task.modality == "text"
        if self.text:
            rows = processor(list(split.inputs), truncation=True, max_length=MAX_LENGTH)["input_ids"]
            self.rows = [torch.tensor(row) for row in rows]
            self.pad = processor.pad_token_id
        else:
            self.images = processor.normalise(torch.stack([processor.decode(picture) for picture in split.inputs]))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int]) -> dict[str, Tensor]:
        """The named tensors of these examples."""
        if not self.text:
            return {"pixel_values": self.images[indices], "labels": self.labels[indices]}
        rows = [self.rows[i] for i in indices]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": self.labels[indices]}

    def lengths(self) -> Any:
        """Tokens per example, as ftkit counts them for its batches; ones for pictures."""
        import numpy as np

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
    return job.model.net if job.model.task.modality == "text" else WithLoss(job.model.net)


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
            for path in group.modules:
                job.model.net.get_submodule(path).eval()


def schedule(job: Job) -> Any:
    """Step number (from 0) to the share of the learning rate, for LambdaLR."""
    rising = round(WARMUP * job.steps)
    return lambda step: (step + 1) / rising if step < rising else 1 - (step - rising) / max(1, job.steps - rising)
