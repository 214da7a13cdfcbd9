"""Running a model without training it: evaluate, predict, and the pass over the validation split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ftkit.backbones import Model
from ftkit.errors import DataError, UserError
from ftkit.tasks import Encoded, Task
from ftkit.training import processes
from ftkit.training.batches import by_length
from ftkit.training.cache import PrefixCache
from ftkit.training.cpu import return_memory, use_all_cores
from ftkit.training.precision import autocast, choose_precision
from ftkit.training.reference import add_reference, check_reference

BATCH_SECONDS = 60.0  # of sound, when nothing is kept for gradients


class Transcription(NamedTuple):
    """What a recogniser heard.

    Args:
        text: Its letters.
    """

    text: str


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
        answers: The texts of a recogniser, whose `probabilities` are empty (N, 0); so are those of a language model,
            whose losses are of whole documents, per token.
    """

    metrics: dict[str, float]
    probabilities: np.ndarray
    targets: np.ndarray
    losses: np.ndarray
    labels: tuple[str, ...]
    inputs: Sequence[Any]
    answers: Sequence[str] = ()

    def __getitem__(self, key: str) -> float:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __repr__(self) -> str:
        return f"Evaluation({', '.join(f'{k} {v:.3f}' for k, v in self.metrics.items())}; {len(self.losses)} examples)"


def infer(net: nn.Module, task: Task, encoded: Encoded, processor: Any, batch_size: int, precision: str,
          cache: PrefixCache | None = None, *, seconds: float | None = None) -> tuple[Any, np.ndarray]:
    """Answers and losses (N,) of a split, in eval mode and without gradients; modes are put back.

    Answers are probabilities (N, C), or a list of texts. `seconds` limits a batch of sounds.
    """
    device, training = next(net.parameters()).device, [module for module in net.modules() if module.training]
    net.eval()
    found: list[tuple[int, Any, float]] = []
    whole = by_length(encoded.lengths, batch_size, min(encoded.most, most_tokens(encoded, seconds)))
    try:
        with torch.no_grad():  # not inference_mode: what the cache keeps is used in training later
            for indices in whole[processes.state().process_index :: processes.count()]:
                batch = {k: v.to(device) for k, v in task.collate(encoded, indices, processor).items()}
                with autocast(precision, device):
                    logits = forward_cached(net, task, indices, batch, cache)
                logits = logits.float() if isinstance(logits, torch.Tensor) else logits
                losses = task.losses(logits, batch)
                answers = task.answers(logits, batch, net, processor)
                found.extend(zip(indices, answers, losses.cpu().tolist(), strict=True))
    finally:
        for module in training:  # only these: a panel may ask while another thread validates the same network
            module.training = True
    found = sorted(processes.gather(found), key=lambda row: row[0])
    said = [row[1] for row in found]
    return (np.stack(said) if isinstance(said[0], np.ndarray) else said), np.array([row[2] for row in found])


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


def score(task: Task, answers: Any, losses: np.ndarray, targets: Sequence[Any]) -> dict[str, float]:
    """The task's metrics and the loss."""
    found = targets if isinstance(answers, list) else np.asarray(targets)  # letters have no common length
    return task.scores(answers, losses, found)


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
    check_reference(model)
    use_all_cores()
    device = next(model.net.parameters()).device
    encoded = model.task.encode(split.inputs, split.targets, model.processor)
    precision = choose_precision(precision, device, model.task.mixed)
    add_reference(model, model.task, encoded, precision)
    answers, losses = infer(model.net, model.task, encoded, model.processor, batch_size, precision,
                            seconds=BATCH_SECONDS)
    return_memory()
    answers, losses = model.task.joined(encoded, answers, losses)
    texts = answers if isinstance(answers, list) else ()
    rows = answers if model.task.labels else np.zeros((len(answers), 0))
    if model.task.modality == "voice":  # it is judged by pictures, and sounds have no common length
        truth, targets = encoded.targets, np.fromiter(split.targets, dtype=object, count=len(split))
    else:
        truth, targets = split.targets, np.asarray(split.targets)
    return Evaluation(score(model.task, answers, losses, truth), rows, targets, losses,
                      model.task.labels, split.inputs, texts)


def predict(model: Model, inputs: Any, *, batch_size: int = 64, precision: str = "auto") -> Any:
    """What a model says to new inputs.

    Args:
        model: From `load_backbone` or after `fit`.
        inputs: One text, path, picture or sound (samples), or a list of them.
        batch_size: Examples at a time.
        precision: As in `fit`.

    Returns:
        A Prediction for one input, a list of them for a list; a recogniser gives a Transcription, a synthesiser Speech.
        A recording that is too long for a recogniser is cut at its pauses and heard in pieces.

    Raises:
        UserError: The model writes texts: see `ftkit.generate`.

    Lesson 00.
    """
    if model.task.name == "reward":
        raise UserError("A reward model judges replies to prompts: ask it with ft.preference.score(model, prompts, "
                        "replies).")
    if model.task.generates:
        raise UserError("A text generator has no labels to choose from: ask it with ft.generate(model, prompt).")
    if model.task.modality == "voice":
        from ftkit.training.speaking import speak

        return speak(model, inputs)
    single = _is_one(inputs, model.task.modality)
    items = [inputs] if single else list(inputs)
    if not items:
        return []
    if model.task.modality != "text":
        items = [Path(item) if isinstance(item, str) else item for item in items]
    use_all_cores()
    pieces = model.task.cut(items, model.processor)
    flat = [piece for parts in pieces for piece in parts]
    encoded = model.task.encode(flat, [model.task.blank()] * len(flat), model.processor)
    precision = choose_precision(precision, next(model.net.parameters()).device)
    rows, _ = infer(model.net, model.task, encoded, model.processor, batch_size, precision, seconds=BATCH_SECONDS)
    if len(flat) > len(items):  # only recognisers cut: texts
        heard = iter(rows)
        rows = [" ".join(filter(None, (next(heard) for _ in parts))) for parts in pieces]
    answers = [_answer(row, model.task) for row in rows]
    return answers[0] if single else answers


def _is_one(inputs: Any, modality: str) -> bool:
    """Whether this is one input, not several: an array is one picture unless it is a stack (N, H, W, 3).

    An array of samples is one sound.
    """
    if isinstance(inputs, np.ndarray):
        most = {"image": 3, "audio": 0 if inputs.dtype == object else 1}
        return inputs.ndim <= most.get(modality, 0)
    return not isinstance(inputs, (list, tuple)) and not hasattr(inputs, "tolist")


def most_tokens(encoded: Encoded, seconds: float | None) -> float:
    """Frames that a batch of sounds may have; no limit where length is no time."""
    return seconds * encoded.per_second if seconds and encoded.per_second else math.inf


def _answer(row: Any, task: Task) -> Prediction | Transcription:
    if isinstance(row, str):
        return Transcription(row)
    best = int(row.argmax())
    label = task.labels[best]
    if task.multilabel:
        label = ", ".join(name for name, p in zip(task.labels, row, strict=True) if p >= 0.5)
    return Prediction(label, float(row[best]), {name: float(p) for name, p in zip(task.labels, row, strict=True)})
