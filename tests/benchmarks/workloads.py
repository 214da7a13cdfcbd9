"""What is trained in the benchmark: the workloads, and what every contender needs of them.

A workload says which parameters train; the rest is frozen. All contenders of one round start from the same weights, see
the same examples as often, in batches of the same size, with the same schedule: AdamW, decay 0.01, gradients clipped at
1.0, a tenth of the steps to warm up, then linear decay to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import ftkit as ft
from ftkit.data import Split
from ftkit.strategies import make_strategy


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
        image_size: Pixels; None for texts and sounds.
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
_SPEECH = "wav2vec2-mini on 150 sentences (314 seconds), recognition by CTC"
_GPT2 = "gpt2-mini on 375 log entries (35,000 tokens), writing"
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
    Workload("speech-full", f"{_SPEECH}: all but the convolutions, 3 epochs", "wav2vec2-mini", "readings",
             "frozen_stem", 3, 16, 5e-4),
    Workload("lora", "bert-mini on 512 reviews: LoRA of rank 8 beside all matrices (peft's layers for all), 2 epochs",
             "bert-mini", "reviews", "lora:r=8", 2, 16, 1e-3),
    Workload("gpt2-full", f"{_GPT2}: all layers, 3 epochs", "gpt2-mini", "logbook", "full", 3, 16, 5e-4),
    Workload("speech-head", f"{_SPEECH}: head only, 5 epochs", "wav2vec2-mini", "readings", "probe", 5, 16, 1e-3),
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
        strategy = make_strategy(self.workload.strategy)
        strategy.adapt(self.model)  # adapters are peft's for everybody: each contender trains the same network
        plan = strategy.plan(self.model.layers, 0)
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
    """Load model and data. The data are always the same; the seed gives the head, the order and the dropout.

    Nobody validates, so the valid split is added to the test split: twice the examples to compare accuracies on.
    """
    data = ft.load_data(workload.data)
    test, valid = data.test, data.valid
    test = Split("test", test.inputs + valid.inputs, [*test.targets, *valid.targets], test.labels)
    data = replace(data, train=data.train.take(workload.limit), test=test)
    if workload.test_limit:
        data = replace(data, test=data.test.take(workload.test_limit))
    size: dict[str, Any] = {"image_size": workload.image_size} if workload.image_size else {}
    model = ft.load_backbone(workload.backbone, data.task, pretrained=workload.image_size is None, seed=seed, **size)
    if model.task.modality == "audio":  # masking is chance, and ftkit's default is without: so for all contenders
        model.task.prepare(model.net)
    return Job(workload, model, data, seed)
