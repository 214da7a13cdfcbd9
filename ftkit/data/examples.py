"""What the readers (tables.py, folders.py, …) hand on: examples that have no splits and no targets yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

Label = str | tuple[str, ...]
"""A class name, or all names of a multi-label example."""

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}
"""What people call the three splits."""


@dataclass
class Examples:
    """Parallel lists, one entry per example.

    Args:
        inputs: See Split.
        labels: Class names as the source writes them.
        places: Where each stands, for messages: "reviews.csv line 14", "cat/7.jpg".
        sizes: Words, (width, height) in pixels, or seconds.
        keys: Equal for identical inputs; empty until ftkit.data.checks fills it.
        targets: Indices or 0/1 rows; empty until ftkit.data.labels fills it.
        groups: Equal for what must not be divided between two splits, such as several replies to one prompt; empty if
            only identical inputs belong together.
    """

    inputs: list[Any] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    sizes: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)

    def append(self, item: Any, label: Label, place: str, size: Any) -> None:
        """Add one example."""
        self.inputs.append(item)
        self.labels.append(label)
        self.places.append(place)
        self.sizes.append(size)

    def pick(self, indices: Sequence[int]) -> Examples:
        """The examples at these indices."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return Examples(**{name: [column[i] for i in indices] if column else [] for name, column in columns.items()})

    def extend(self, more: Examples) -> None:
        """Add all of `more` at the end."""
        for f in fields(self):
            getattr(self, f.name).extend(getattr(more, f.name))

    def show(self, index: int) -> str:
        """One example for a message: the text's beginning, and where it stands."""
        item = self.inputs[index]
        text = f"'{item[:57]}…'" if isinstance(item, str) and len(item) > 60 else f"'{item}'"
        return f"{text} ({self.places[index]})" if isinstance(item, str) else self.places[index]


@dataclass(frozen=True)
class Wanted:
    """What the caller named: the input's column, the label's column, a modality. None leaves it to ftkit.

    Args:
        passages: Whether texts are wanted for a language model: without classes.
        pairs: Whether prompts with a chosen and a rejected reply are wanted.
    """

    text: str | None = None
    label: str | None = None
    modality: str | None = None
    passages: bool = False
    pairs: bool = False


@dataclass
class Source:
    """A source that has been read.

    Args:
        name: For the report.
        modality: "text", "image" or "audio".
        parts: Examples by split; the key "all" if there are no splits to honour.
        label_order: Class names in the order that the source fixes, such as a ClassLabel; empty if it fixes none.
        columns: The input's and the label's column, so that `test=` is read by the same ones; None without columns.
        options: What the task must know of these data beside their labels.
        transcripts: Whether the labels are what is said in each sound: texts, not classes.
        passages: Whether these are texts without classes, for a language model; targets and keys are set then.
        pairs: Whether the targets are pairs of replies; `passages` is then True as well.
    """

    name: str
    modality: str
    parts: dict[str, Examples]
    label_order: list[str] = field(default_factory=list)
    columns: tuple[str, str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    transcripts: bool = False
    passages: bool = False
    pairs: bool = False
