"""The settings of a run, and their defaults."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from ftkit.backbones import Model
from ftkit.errors import UserError, check_name
from ftkit.strategies import Plan
from ftkit.tasks import Encoded, Task

_MAY_BE_NONE = {"lr", "batch_size", "batch_seconds", "patience", "cache_budget", "clip"}
_TINY = 1e-300  # above zero


@dataclass
class Settings:
    """How to train. The defaults suit two cores and a small data set.

    Args:
        epochs: Passes over the training split.
        lr: Learning rate; None takes 1e-3 if only the head and adapters ever train, else 1e-4 for text, 5e-4 for
            images and sounds, and 1e-3 for voices.
        batch_size: Examples per batch; None takes 16 for text, 32 for images and (at most) for sounds.
        batch_seconds: Of sound in a batch at most, padding included; None takes 30, and 15 for voices.
        seed: Of batches, dropout and augmentation.
        precision: "auto", "fp32", "bf16" or "fp16".
        cache: "auto" or "off": see ftkit.training.cache.
        cache_budget: Bytes of memory for the cache; None takes 512 MiB or a quarter of what is free.
        accumulate: Batches per optimizer step.
        clip: Largest gradient norm; None does not clip.
        weight_decay: For matrices.
        optimizer: "adamw" or "sgd".
        class_weights: None, "balanced", or one number per class.
        keep_best: Return to the weights of the best epoch by validation accuracy. With few validation examples, which
            epoch that is is partly luck: with 150, bert-mini came to 90.1 ± 0.7 % so, and to 90.5 ± 0.2 % without.
        patience: Stop after so many epochs without a better one; None never stops early.
        augment: Shift pictures at random, and mirror them where that keeps their meaning. "shift" never mirrors: for
            your own pictures of letters, arrows, left and right hands. Sounds: other speeds, stretches masked.
    """

    epochs: int = 3
    lr: float | None = None
    batch_size: int | None = None
    batch_seconds: float | None = None
    seed: int = 0
    precision: str = "auto"
    cache: str = "auto"
    cache_budget: int | None = None
    accumulate: int = 1
    clip: float | None = 1.0
    weight_decay: float = 0.01
    optimizer: str = "adamw"
    class_weights: str | Sequence[float] | None = None
    keep_best: bool = True
    patience: int | None = None
    augment: bool | str = False

    @classmethod
    def make(cls, **settings: Any) -> Settings:
        """Settings by name; raises UnknownName for a name that is not one, with the nearest."""
        for name in settings:
            check_name("setting", name, [field.name for field in fields(cls)])
        return cls(**settings)

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("accumulate", 1), ("batch_size", 1), ("patience", 1), ("seed", 0),
                            ("cache_budget", 0)):
            self._check(name, Integral, least, f"a whole number of at least {least}")
        for name in ("lr", "clip", "batch_seconds"):
            self._check(name, Real, _TINY, "a number above 0")
        self._check("weight_decay", Real, 0, "a number of at least 0")
        if self.seed >= 2**32:
            raise UserError(f"seed must be below 2**32, not {self.seed}.")
        if self.cache not in ("auto", "off"):
            raise UserError(f"cache is 'auto' or 'off', not {self.cache!r}.")
        if self.augment not in (True, False, "shift"):
            raise UserError(f"augment is True, False or 'shift', not {self.augment!r}.")
        if self.class_weights is not None and not isinstance(self.class_weights, str):
            self.class_weights = _floats(self.class_weights)

    def _check(self, name: str, kind: Any, least: float, words: str) -> None:
        """Refuse a number that makes no sense, and turn NumPy's numbers into plain ones: settings are saved as JSON."""
        value: Any = getattr(self, name)
        if value is None and name in _MAY_BE_NONE:
            return
        if not isinstance(value, kind) or not least <= value < math.inf:
            raise UserError(f"{name} must be {words}, not {value!r}.")
        setattr(self, name, int(value) if kind is Integral else float(value))

    def filled(self, model: Model, plans: Sequence[Plan]) -> Settings:
        """The same with learning rate and batch size chosen for this model and these plans."""
        kind = model.task.modality
        if self.batch_seconds and kind not in ("audio", "voice"):
            raise UserError(f"batch_seconds is for sounds, and the task here is {model.task.name}.")
        body = any(scale > 0 and model.layers.group_of(name) != "head" and model.layers.kinds[name] != "adapter"
                   for plan in plans for name, scale in plan.items())
        lr = self.lr or (1e-3 if not body or kind == "voice" else 1e-4 if kind == "text" else 5e-4)
        return replace(self, lr=lr, batch_size=self.batch_size or (16 if kind == "text" else 32),
                       batch_seconds=self.batch_seconds or {"audio": 30.0, "voice": 15.0}.get(kind))


def _floats(weights: Sequence[float]) -> list[float]:
    try:
        return [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise UserError(f"class_weights is None, 'balanced' or one number per class, not {weights!r}.") from None


def class_weight_list(wanted: str | Sequence[float] | None, model: Model, encoded: Encoded) -> list[float] | None:
    """One weight per class, averaging to 1 over the examples, or None.

    "balanced" weighs a class by the inverse of its frequency, as scikit-learn does.

    Raises:
        UserError: A list of the wrong length; class weights for multi-label data with "balanced".
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        check_name("class_weights", wanted, ("balanced",))
        if model.task.multilabel:
            raise UserError("class_weights='balanced' is for one label per example; pass a list of weights instead.")
        if not model.task.n_out:
            raise UserError(f"class_weights are for classes, and the task here is {model.task.name}.")
        counts = [max(1, encoded.targets.count(i)) for i in range(model.task.n_out)]
        return [len(encoded) / (len(counts) * count) for count in counts]
    if len(wanted) != model.task.n_out or not all(0 < weight < math.inf for weight in wanted):
        raise UserError(f"class_weights needs {model.task.n_out} positive numbers, one for each of "
                        f"{', '.join(model.task.labels)}, not {list(wanted)}.")
    return [float(weight) for weight in wanted]


def augmented(task: Task, how: bool | str = True) -> Task:
    """The same task with random shifting, and mirroring unless `how` is "shift"; sounds are masked in places."""
    if not hasattr(task, "augment"):
        raise UserError(f"augment={how!r} is for pictures and sounds, and the task here is {task.name}.")
    fewer: dict[str, Any] = {"mirror": False} if how == "shift" and hasattr(task, "mirror") else {}
    return replace(task, augment=True, **fewer)  # type: ignore[call-arg]


def check_labels(model: Model, data: Any) -> None:
    """Raise UserError unless the data are what load_data returns and carry the labels of the model's head."""
    if not hasattr(data, "train") or not hasattr(data, "valid"):
        raise UserError(f"fit needs what load_data returns, not {type(data).__name__}.")
    if tuple(data.train.labels) != tuple(model.task.labels):
        raise UserError(f"The model's head is for {', '.join(model.task.labels)}; the data have "
                        f"{', '.join(data.train.labels)}. Load the backbone with data.task.")
    if not len(data.train):
        raise UserError("The training split is empty.")
