"""The panel for one's own examples as HTML."""

from __future__ import annotations

import base64
from pathlib import Path

from PIL import Image

from ftkit.data.folders import SUFFIXES
from ftkit.widgets.collection import Collection, Item
from ftkit.widgets.inputs import KINDS, thumbnail
from ftkit.widgets.markup import attributes, button, field, select, tag

_FIRST = 24  # examples of a class before "show all"


def class_forms(collection: Collection, chosen: str) -> str:
    """A field to name a class, and the choice of the one that new examples go to."""
    name = field("label", "", data_key="new class", maxlength=60, required=True, autocomplete="off")
    form = f'<form data-cmd="add_label"><label>New class {name}</label><button data-key="add class">Add</button></form>'
    if not chosen:
        return form
    choice = select("label", collection.labels, chosen, data_change="choose", data_key="class")
    return f'<div class="ft-line"><label>New examples go to {choice}</label>{form}</div>'


def input_forms(kind: str) -> str:
    """Where new examples come in. It never changes, so that an open camera, a recording and what is typed stay."""
    if kind == "text":
        area = tag("textarea", "", name="text", rows=3, data_key="text", aria_label="Texts, each on its own line",
                   placeholder="One text per line")
        return f'<form data-cmd="type_text">{area}<button class="ft-main" data-key="add">Add</button></form>'
    known = attributes(type="file", multiple=True, accept=",".join(SUFFIXES[kind]), data_upload="upload",
                       data_key="file", class_="ft-unseen")
    drop = f'<label class="ft-drop"><input{known}><span>Choose {KINDS[kind]}, or drop them here</span></label>'
    camera = '<div class="ft-camera" data-camera="upload"></div>' if kind == "image" else ""
    recorder = "<ft-recorder></ft-recorder>" if kind == "audio" else ""  # it puts what it hears into the field
    return f'<div class="ft-line">{recorder}{drop}{camera}</div>'


class Examples:
    """Draws the examples of all classes; remembers thumbnails."""

    def __init__(self) -> None:
        self._small: dict[tuple[Path, int], str] = {}

    def html(self, collection: Collection, whole: set[str]) -> str:
        """Counts, thumbnails or texts with a button to remove each, and what is missing before one can train.

        Args:
            collection: The examples.
            whole: Classes of which all examples are shown, not only the newest.
        """
        counts = collection.counts()
        ready = collection.missing() or f"{sum(counts.values())} examples: panel.data() makes a data set of them."
        return "".join(self._class(collection, label, label in whole) for label in counts) + tag(
            "p", ready, class_="ft-quiet")

    def _class(self, collection: Collection, label: str, whole: bool) -> str:
        items = collection.items(label)
        shown = items if whole else items[:_FIRST]
        head = tag("h4", f"{label}: {len(items)}")
        if not items:
            gone = button("Remove this class", "remove_label", f"gone {label}", {"label": label})
            return f'<div class="ft-line">{head}{gone}</div>'
        parts = "".join(f"<li>{self._one(collection.kind, label, item)}</li>" for item in shown)
        rest = button(f"Show all {len(items)}", "show_all", f"all {label}", {"label": label})
        return (f'{head}<ul class="ft-examples" data-kind="{collection.kind}">{parts}</ul>'
                f"{rest if len(items) > len(shown) else ''}")

    def _one(self, kind: str, label: str, item: Item) -> str:
        told = str(item.content) if kind == "text" else item.name
        gone = button("✕", "remove", f"remove {label} {item.name}", {"label": label, "name": item.name},
                      aria_label=f"Remove {told[:60]} from {label}", title="Remove")
        if kind == "image":
            return f"<img{attributes(src=self._thumbnail(item.content), alt=item.name)}>{gone}"
        return f"{tag('span', told if len(told) <= 200 else told[:199] + '…')}{gone}"

    def _thumbnail(self, path: Path) -> str:
        key = (path, path.stat().st_mtime_ns)
        if key not in self._small:
            try:
                with Image.open(path) as picture:
                    self._small[key] = base64.b64encode(thumbnail(picture)).decode("ascii")
            except Exception:  # a file that somebody else put there; decoders of damaged files raise nearly anything
                self._small[key] = ""
        return f"data:image/jpeg;base64,{self._small[key]}"
