"""Running a model without training it: evaluate, predict, and the pass over the validation split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ftkit.backbones import Model
from ftkit.errors import DataError
from ftkit.tasks import Encoded, Task
from ftkit.tasks.base import example_losses
from ftkit.training import processes
from ftkit.training.batches import by_length
from ftkit.training.cache import PrefixCache
from ftkit.training.cpu import use_all_cores
from ftkit.training.precision import autocast, choose_precision


class Prediction(NamedTuple):
    """One answer of a classifier.

    Args:
        label: The most probable class; for multi-label, every label above one half, joined by ", ".
        probability: Of that class (the highest one for multi-label).
        probabilities: Of every class, by name.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Evaluation(Mapping[str, float]):
    """Scores of a split; reads like a dict of them. What ftkit.viz.confusion and top_losses draw.

    Args:
        metrics: "accuracy" and others, and "loss".
        probabilities: (N, C).
        targets: (N,) or (N, C).
        losses: (N,), the loss of each example.
        labels: Class names.
        inputs: The raw examples.
    """

    metrics: dict[str, float]
    probabilities: np.ndarray
    targets: np.ndarray
    losses: np.ndarray
    labels: tuple[str, ...]
    inputs: Sequence[Any]

    def __getitem__(self, key: str) -> float:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __repr__(self) -> str:
        return f"Evaluation({', '.join(f'{k} {v:.3f}' for k, v in self.metrics.items())}; {len(self.losses)} examples)"


def infer(net: nn.Module, task: Task, encoded: Encoded, processor: Any, batch_size: int, precision: str,
          cache: PrefixCache | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and losses (N,) of a split, in eval mode and without gradients; modes are put back."""
    device, training = next(net.parameters()).device, [module for module in net.modules() if module.training]
    net.eval()
    found: list[tuple[int, np.ndarray, float]] = []
    try:
        with torch.no_grad():  # not inference_mode: what the cache keeps is used in training later
            for indices in by_length(encoded.lengths, batch_size)[processes.state().process_index :: processes.count()]:
                batch = {k: v.to(device) for k, v in task.collate(encoded, indices, processor).items()}
                with autocast(precision, device):
                    logits = forward_cached(net, task, indices, batch, cache).float()
                losses = example_losses(logits, batch["labels"], task.multilabel)
                rows = zip(indices, task.probabilities(logits).cpu().numpy(), losses.cpu().tolist(), strict=True)
                found.extend(rows)
    finally:
        for module in training:  # only these: a panel may ask while another thread validates the same network
            module.training = True
    found = sorted(processes.gather(found), key=lambda row: row[0])
    return np.stack([row[1] for row in found]), np.array([row[2] for row in found])


def forward_cached(net: nn.Module, task: Task, indices: Sequence[int], batch: dict[str, torch.Tensor],
                   cache: PrefixCache | None) -> torch.Tensor:
    """Logits of a batch, stepping over the frozen prefix where it is known."""
    if cache is None:
        return task.forward(net, batch)
    if cache.has(indices):
        with cache.serve(indices, batch) as short:
            return task.forward(net, short)
    with cache.catch(indices, batch):
        return task.forward(net, batch)


def score(task: Task, probabilities: np.ndarray, losses: np.ndarray, targets: Sequence[Any]) -> dict[str, float]:
    """The task's metrics and the mean loss."""
    return {**task.metrics(probabilities, np.asarray(targets)), "loss": float(losses.mean())}


def evaluate(model: Model, split: Any, *, batch_size: int = 64, precision: str = "auto") -> Evaluation:
    """How well a model does on a split, such as `data.test`.

    Args:
        model: From `load_backbone`, before or after `fit`.
        split: A Split; not the whole Data.
        batch_size: Examples at a time; larger is not better on a CPU.
        precision: As in `fit`.

    Raises:
        DataError: Not a split, or an empty one, or its labels are not the model's.

    Lesson 00.
    """
    if not hasattr(split, "inputs"):
        hint = " Did you mean data.test?" if hasattr(split, "test") else ""
        raise DataError(f"evaluate needs one split, not {type(split).__name__}.{hint}")
    if not len(split):
        raise DataError(f"The split '{split.name}' is empty: there is nothing to evaluate.")
    if tuple(split.labels) != tuple(model.task.labels):
        raise DataError(f"The model knows the labels {', '.join(model.task.labels)}; the split '{split.name}' has "
                        f"{', '.join(split.labels)}.")
    use_all_cores()
    device = next(model.net.parameters()).device
    encoded = model.task.encode(split.inputs, split.targets, model.processor)
    probabilities, losses = infer(model.net, model.task, encoded, model.processor, batch_size,
                                  choose_precision(precision, device))
    metrics = score(model.task, probabilities, losses, split.targets)
    return Evaluation(metrics, probabilities, np.asarray(split.targets), losses, model.task.labels, split.inputs)


def predict(model: Model, inputs: Any, *, batch_size: int = 64, precision: str = "auto") -> Any:
    """What a model says to new inputs.

    Args:
        model: From `load_backbone` or after `fit`.
        inputs: One text, path or picture, or a list of them.
        batch_size: Examples at a time.
        precision: As in `fit`.

    Returns:
        A Prediction for one input, a list of them for a list.

    Lesson 00.
    """
    single = _is_one(inputs, model.task.modality)
    items = [inputs] if single else list(inputs)
    if not items:
        return []
    if model.task.modality == "image":
        items = [Path(item) if isinstance(item, str) else item for item in items]
    use_all_cores()
    blank = [[0] * model.task.n_out if model.task.multilabel else 0] * len(items)
    encoded = model.task.encode(items, blank, model.processor)
    precision = choose_precision(precision, next(model.net.parameters()).device)
    rows, _ = infer(model.net, model.task, encoded, model.processor, batch_size, precision)
    answers = [_answer(row, model.task) for row in rows]
    return answers[0] if single else answers


def _is_one(inputs: Any, modality: str) -> bool:
    """Whether this is one input, not several: an array is one picture unless it is a stack (N, H, W, 3)."""
    if isinstance(inputs, np.ndarray):
        return inputs.ndim < 4 if modality == "image" else inputs.ndim == 0
    return not isinstance(inputs, (list, tuple)) and not hasattr(inputs, "tolist")


def _answer(row: np.ndarray, task: Task) -> Prediction:
    best = int(row.argmax())
    label = task.labels[best]
    if task.multilabel:
        label = ", ".join(name for name, p in zip(task.labels, row, strict=True) if p >= 0.5)
    return Prediction(label, float(row[best]), {name: float(p) for name, p in zip(task.labels, row, strict=True)})
