"""Split and Data: what `load_data` gives back."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ftkit.data.report import DataReport
from ftkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from ftkit.tasks import Task


@dataclass
class Split:
    """Examples and their targets, in the order of the source.

    Args:
        name: "train", "valid" or "test".
        inputs: Texts as str, images and sounds as Path (without a file of their own: PIL images or uint8 arrays
            (H, W, 3), and sounds as float32 arrays (T,) at 16 kHz).
        targets: One class index per example, or one row of 0/1 per example for multi-label. Data without classes have
            None, or a dict of what goes with the input; sounds to be recognised have their text, and texts to be
            spoken their sound.
        labels: Class names; a target is an index into them.

    Lesson 01 looks into one.
    """

    name: str
    inputs: list[Any] = field(repr=False)
    targets: Any = field(repr=False)
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(zip(self.inputs, self.targets, strict=True))

    @overload
    def __getitem__(self, index: int) -> tuple[Any, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Split: ...
    def __getitem__(self, index: int | slice) -> tuple[Any, Any] | Split:
        if isinstance(index, slice):
            return Split(self.name, self.inputs[index], self.targets[index], self.labels)
        return self.inputs[index], self.targets[index]

    def __repr__(self) -> str:
        return f"Split({self.name}: {len(self)} examples, {len(self.labels)} labels)"

    def take(self, n: int, seed: int = 0) -> Split:
        """A stratified subset of `n` examples (all, if there are fewer), in the order of the split.

        With one seed the subsets are nested: `take(100)` lies within `take(200)`, so a learning curve over n compares
        like with like. Every class comes at least once if `n` is at least the number of classes. Lesson 01.
        """
        if n < 1:
            raise DataError(f"take({n}): ask for at least 1 example.")
        chosen = sorted(stratified_order(strata_of(self.targets), seed)[:n])
        targets: Any = [self.targets[i] for i in chosen]
        return Split(self.name, [self.inputs[i] for i in chosen], targets, self.labels)

    def frame(self) -> pd.DataFrame:
        """A pandas table with the columns "input" and "label"; several labels are joined by ", ".

        Without classes: "input" and what goes with it.
        """
        import pandas as pd

        if not self.labels:
            return pd.DataFrame([{"input": item, **_beside(target)} for item, target in self])

        return pd.DataFrame({"input": self.inputs, "label": [", ".join(self._names(t)) for t in self.targets]})

    def counts(self) -> dict[str, int]:
        """How many examples have each label, zeros included."""
        found = Counter(name for target in self.targets for name in self._names(target))
        return {label: found[label] for label in self.labels}

    def fingerprint(self) -> str:
        """16 hexadecimal digits over inputs and targets: equal splits agree. Files count by name and size."""
        digest = hashlib.sha256()
        for item, target in self:
            part = input_bytes(item)
            goal = input_bytes(target) if isinstance(target, (Path, np.ndarray)) else str(target).encode()
            digest.update(f"{len(part)}:".encode() + part + goal + b";")  # the length keeps items apart
        return digest.hexdigest()[:16]

    def _names(self, target: int | Sequence[int]) -> list[str]:
        if not self.labels:
            return []
        if isinstance(target, Sequence):
            return [label for label, on in zip(self.labels, target, strict=True) if on]
        return [self.labels[target]]


@dataclass
class Data:
    """Train, valid and test, and the task that they define.

    Args:
        name: Name of the source.
        modality: "text", "image" or "audio".
        train: What the model learns from.
        valid: What you choose settings by.
        test: What you look at once, at the end.
        task: The classification task over the labels; None where ftkit has no task for the modality.
        report: What was found, made, dropped and passed over.

    Lesson 01.
    """

    name: str
    modality: str
    train: Split
    valid: Split
    test: Split
    task: Task | None
    report: DataReport

    def __repr__(self) -> str:
        kind = self.task.name if self.task else self.modality
        several = ", several per example" if self.task and self.task.multilabel else ""
        labels = self.train.labels
        if not labels:
            what = "without classes" if not self.task else "texts" if self.modality == "text" else (
                "sounds and their texts")
            return f"Data '{self.name}': {kind}{', ' if self.task else ' '}{what}\n{self._sizes()}"
        names = ", ".join(labels) if len(labels) <= 10 else ", ".join(labels[:9]) + ", …"
        lines = [
            f"Data '{self.name}': {kind}, {len(labels)} labels{several} ({names})",
            self._sizes(),
        ]
        if self.report.warnings:
            lines.append(f"  warnings: {len(self.report.warnings)}, see .describe()")
        return "\n".join(lines)

    def _sizes(self) -> str:
        return f"  train {len(self.train):,} · valid {len(self.valid):,} · test {len(self.test):,}"

    def describe(self) -> None:
        """Print the report."""
        print(self.report)


def strata_of(targets: Sequence[Any]) -> list[int]:
    """What to keep in proportion: the class, or for multi-label each example's rarest label (-1 if it has none).

    Without classes there is nothing to keep in proportion.
    """
    if len(targets) and (isinstance(targets[0], str) or not isinstance(targets[0], (int, np.integer, Sequence))):
        return [0] * len(targets)
    if not len(targets) or not isinstance(targets[0], Sequence):
        return list(targets)
    totals = np.sum(targets, axis=0)
    return [min((j for j, on in enumerate(row) if on), key=lambda j: totals[j], default=-1) for row in targets]


def stratified_order(strata: Sequence[int], seed: int) -> list[int]:
    """All indices in an order of which *every* beginning is stratified; scikit-learn has no such nested draw.

    The k-th example of a class of size m stands at k/m, so classes advance at the same pace whatever their size.
    """
    sizes, seen = Counter(strata), Counter[int]()
    position: dict[int, float] = {}
    for i in np.random.default_rng(seed).permutation(len(strata)).tolist():
        position[i] = seen[strata[i]] / sizes[strata[i]]
        seen[strata[i]] += 1
    return sorted(position, key=position.__getitem__)  # sorting is stable: ties stay in random order


def _beside(target: Any) -> dict[str, Any]:
    """What goes with an input that has no class, in columns."""
    if isinstance(target, str):
        return {"text": target}
    return {"sound": target} if isinstance(target, (Path, np.ndarray)) else target or {}


def input_bytes(item: Any) -> bytes:
    """What identifies an input: its text, its file's name and size, or its pixels."""
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, list):  # a chat
        return json.dumps(item).encode()
    if isinstance(item, Path):
        return f"{item.name}:{item.stat().st_size}".encode()
    if isinstance(item, np.ndarray):
        return f"{item.shape}{item.dtype}".encode() + item.tobytes()
    if isinstance(item.info.get("sha256"), bytes):  # an image that came as bytes, hashed when it was read
        return item.info["sha256"]
    return f"{item.mode}{item.size}".encode() + item.tobytes()
