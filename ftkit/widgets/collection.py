"""Examples of one's own, by class, in a folder.

The folder is the only memory: what is in it survives a restart, and `load_data` reads it like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ftkit.data import Data, load_data
from ftkit.errors import DataError, check_name
from ftkit.widgets.naming import check_label

LEAST = 3  # examples of a class: one for each split


class Item(NamedTuple):
    """One example.

    Args:
        name: The file's name, or of a text the first digits of its checksum.
        content: The file's path, or the text.
    """

    name: str
    content: Any


class Collection:
    """Examples by class. A child stores files or texts.

    Args:
        folder: Made when the first example comes.
        kind: "image", "audio" or "text".
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind

    @property
    def source(self) -> Path:
        """What load_data reads."""
        raise NotImplementedError

    @property
    def labels(self) -> list[str]:
        """The classes, in the order that load_data gives them."""
        raise NotImplementedError

    def items(self, label: str) -> list[Item]:
        """The examples of a class, the newest first."""
        raise NotImplementedError

    def _make_label(self, label: str) -> None:
        raise NotImplementedError

    def _drop_label(self, label: str) -> None:
        raise NotImplementedError

    def _delete(self, label: str, name: str) -> None:
        raise NotImplementedError

    def counts(self) -> dict[str, int]:
        """Examples per class."""
        return {label: len(self.items(label)) for label in self.labels}

    def add_label(self, label: str) -> str:
        """A new class; returns its name, without spaces around it.

        Raises:
            DataError: A name that cannot be a folder on every system, or one that is there already.
        """
        name = check_label(label)
        twin = next((other for other in self.labels if other.casefold() == name.casefold()), None)
        if twin is not None:
            raise DataError(f"There is a class '{twin}' already.")
        self._make_label(name)
        return name

    def remove_label(self, label: str) -> None:
        """Take away a class that has no examples."""
        self.check(label)
        if self.items(label):
            raise DataError(f"'{label}' has examples: remove them first.")
        self._drop_label(label)

    def remove(self, label: str, name: str) -> None:
        """Delete an example; it cannot be brought back. The class stays."""
        self.check(label)
        self._delete(label, check_name("example", name, [item.name for item in self.items(label)]))

    def check(self, label: str) -> None:
        """Raise UnknownName unless there is this class."""
        check_name("class", label, self.labels, "" if self.labels else "Name a class first.")

    def missing(self) -> str:
        """What is missing before there can be a data set; "" if nothing is."""
        few = {label: LEAST - n for label, n in self.counts().items() if n < LEAST}
        if len(self.labels) < 2:
            return f"Two classes are needed, with at least {LEAST} examples each."
        needs = ", ".join(f"{n} more of '{label}'" for label, n in few.items())
        return f"{needs} {'is' if sum(few.values()) == 1 else 'are'} needed." if few else ""

    def data(self, **options: Any) -> Data:
        """What `load_data` makes of the folder; options are its own.

        Raises:
            DataError: Fewer than two classes, or than three examples in one.
        """
        missing = self.missing()
        if missing:
            raise DataError(f"{missing} They are kept in {self.folder}.")
        return load_data(self.source, **options)
