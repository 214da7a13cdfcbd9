"""Collect examples of one's own in a notebook: images, from files or the camera, texts, or sounds, also recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftkit.data import Data
from ftkit.errors import DataError, UserError
from ftkit.widgets.examples_folder import open_collection
from ftkit.widgets.inputs import KINDS
from ftkit.widgets.label_html import Examples, class_forms, input_forms
from ftkit.widgets.markup import table, text_table
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.text_collection import TextCollection


def label(folder: str | Path = "my_examples", labels: Sequence[str] = (), kind: str | None = None) -> Labeller:
    """Collect images, texts or sounds by class, and train on them: `panel.data()` gives what `ft.load_data` gives.

    Args:
        folder: Where they are kept. Call again with the same folder to go on, also after a restart.
        labels: Classes to begin with; more can be named in the panel.
        kind: "image", "text" or "audio"; None takes what the folder holds, else images.

    Returns:
        The panel. Without a notebook: `panel.add("cat", "photo.jpg")`, `panel.add_text("good", "I liked it")`.

    Raises:
        DataError: A folder that holds another kind, or a name that no class can have.

    Lesson 03.
    """
    return Labeller(folder, labels, kind)


class Labeller(SmallPanel):
    """What `label` returns.

    Attributes:
        chosen: The class that new examples go to; "" if there is none yet.
    """

    title = "My own examples"
    commands = ("add_label", "remove_label", "choose", "upload", "type_text", "remove", "show_all")

    def __init__(self, folder: str | Path, labels: Sequence[str] = (), kind: str | None = None) -> None:
        super().__init__()
        if isinstance(labels, str):
            raise UserError(f"labels is a list of names, such as ['{labels}', …].")
        self.collection = open_collection(folder, kind)
        for name in labels:
            if name not in self.collection.labels:
                self.collection.add_label(name)
        self.chosen = next(iter(labels), next(iter(self.collection.labels), ""))
        self._whole: set[str] = set()  # classes of which all examples are shown
        self._examples = Examples()

    # --- without a notebook -----------------------------------------------------------------------------------------

    def add(self, label: str, *files: str | Path) -> None:
        """Copy files into a class. The first one that cannot be used is named; those before it are stored."""
        for file in files:
            path = Path(file).expanduser()
            if not path.is_file():
                raise DataError(f"There is no file {path}.")
            self._store(label, path.name, path.read_bytes())
        self.changed(f"{label}: {self.counts[label]} examples.")

    def add_text(self, label: str, *texts: str) -> None:
        """Add texts to a class."""
        collection = self.collection
        if not isinstance(collection, TextCollection):
            raise UserError(f"This panel collects {KINDS[collection.kind]}, not texts. Make one with kind='text'.")
        for text in texts:
            collection.add_text(label, text)
        self.changed(f"{label}: {self.counts[label]} texts.")

    @property
    def counts(self) -> dict[str, int]:
        """Examples per class."""
        return self.collection.counts()

    def data(self, **options: Any) -> Data:
        """The examples as train, valid and test, as `ft.load_data` gives them; options are its own.

        Raises:
            DataError: Fewer than two classes, or than three examples in one.
        """
        return self.collection.data(**options)

    # --- what the page calls ----------------------------------------------------------------------------------------

    def add_label(self, label: str) -> None:
        """Name a class; new examples go to it from now on."""
        self.chosen = self.collection.add_label(label)
        self.changed(f"New examples go to '{self.chosen}'.")

    def remove_label(self, label: str) -> None:
        """Take away a class without examples."""
        self.collection.remove_label(label)
        if self.chosen == label:
            self.chosen = next(iter(self.collection.labels), "")
        self.changed(f"The class '{label}' is gone.")

    def choose(self, label: str) -> None:
        """Which class new examples go to."""
        self.collection.check(label)
        self.chosen = label
        self.changed(f"New examples go to '{label}'.")

    def upload(self, name: str, content: bytes) -> None:
        """Store a file, a picture of the camera or a recording in the chosen class."""
        stored = self._store(self._chosen(), name, content)
        self.changed(f"{stored} is stored: '{self.chosen}' has {self.counts[self.chosen]} examples.")

    def type_text(self, text: str) -> None:
        """Store what was typed in the chosen class: one text per line."""
        lines = [line for line in str(text).splitlines() if line.strip()]
        if not lines:
            raise DataError("The text is empty: type one, or several, each on its line.")
        self.add_text(self._chosen(), *lines)

    def remove(self, label: str, name: str) -> None:
        """Delete an example; it cannot be brought back."""
        self.collection.remove(label, name)
        self.changed(f"Removed from '{label}', which has {self.counts[label]} examples now.")

    def show_all(self, label: str) -> None:
        """Show all examples of a class, not only the newest."""
        self.collection.check(label)
        self._whole.add(label)
        self.changed(f"All examples of '{label}' are shown.")

    def _chosen(self) -> str:
        if not self.chosen:
            raise DataError("Name a class first: then it is known what the example is.")
        return self.chosen

    def _store(self, label: str, name: str, content: bytes) -> str:
        if isinstance(self.collection, TextCollection):
            raise DataError(f"{name} is a file, and this panel collects texts: type them.")
        return self.collection.add(label, name, content)

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """Classes, a place for new examples (never redrawn: it holds the camera and what is typed), the examples."""
        return {"classes": class_forms(self.collection, self.chosen), "input": input_forms(self.collection.kind),
                "examples": self._examples.html(self.collection, self._whole)}

    def _make_panel(self) -> Any:
        if self.collection.kind != "audio":
            return super()._make_panel()
        from ftkit.widgets.sound_view import SoundView

        return SoundView(self)

    def _rows(self) -> list[list[object]]:
        return [[label, n] for label, n in self.counts.items()]

    def _text(self) -> str:
        rows = self._rows()
        listed = text_table(["class", "examples"], rows) if rows else "no class yet"
        return f"{self.title} ({KINDS[self.collection.kind]}): {self.collection.folder.name}\n{listed}"

    def _html(self) -> str:
        """Numbers only: pictures of people do not belong into a notebook that is passed on."""
        return table(["class", "examples"], self._rows(), f"{self.title}: {KINDS[self.collection.kind]} by class")
