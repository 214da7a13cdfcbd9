"""Ask a model, or two of them: what it said before fine-tuning and what it says after, side by side."""

from __future__ import annotations

import base64
from typing import Any

from PIL import Image

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training import predict
from ftkit.widgets.answer import Answer
from ftkit.widgets.inputs import KINDS, Given, check_image, check_suffix, check_text, thumbnail
from ftkit.widgets.markup import attributes, tag
from ftkit.widgets.small_panel import SmallPanel


def predictor(before: Model, after: Model | None = None) -> Predictor:
    """Type a text or drop an image, and see the probabilities of one model, or of two side by side.

    Args:
        before: From `load_backbone`; alone, or as it was before fine-tuning.
        after: The same task after fine-tuning.

    Returns:
        The panel. Without a notebook: `panel.ask("a text")` returns the rows and shows them.

    Raises:
        UserError: Not models, models of different classes, or of a kind that the panel cannot feed.

    Lesson 01.
    """
    return Predictor(before, after)


class Predictor(SmallPanel):
    """What `predictor` returns.

    Attributes:
        answer: The last answer, or None.
    """

    title = "Ask the model"
    commands = ("ask", "upload")

    def __init__(self, before: Model, after: Model | None = None) -> None:
        super().__init__()
        models = [before] if after is None else [before, after]
        for model in models:
            if not isinstance(model, Model):
                raise UserError(f"predictor asks models from load_backbone, not {type(model).__name__}.")
        self.models = dict(zip(("before", "after") if after else ("probability",), models, strict=True))
        self.task = before.task
        if self.task.modality not in ("text", "image"):
            raise UserError(f"predictor shows texts and images; ftkit has no panel for "
                            f"{KINDS.get(self.task.modality, self.task.modality)} yet.")
        if after and (after.task.labels, after.task.modality) != (before.task.labels, before.task.modality):
            raise UserError(f"The models must answer the same question: the first knows {_named(before)}, the second "
                            f"{_named(after)}.")
        self.answer: Answer | None = None
        self._picture = b""  # a small JPEG of the last image

    def ask(self, text: Any) -> Answer:
        """What the models say to a text, or to an image (a path, a PIL image or an array).

        Returns:
            The rows: {"label": …, "before": …, "after": …} with one probability per model.

        Raises:
            DataError: An empty or very long text, a broken image, or something else altogether.
            UserError: A model is in the middle of its training.
        """
        given = check_text(text, self.models[self._names[-1]]) if self.task.modality == "text" else check_image(text)
        return self._ask(given)

    def upload(self, name: str, content: bytes) -> Answer:
        """The same for a file that was dropped on the panel."""
        if self.task.modality == "text":
            check_suffix(name, "text")
        return self._ask(check_image(content, name))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.models)

    def _ask(self, given: Given) -> Answer:
        self._check_idle()
        said = {name: predict(model, given.item).probabilities for name, model in self.models.items()}
        self._check_idle()  # a run in another thread may have gone on meanwhile, with dropout
        rows = [{"label": label, **{name: probabilities[label] for name, probabilities in said.items()}}
                for label in self.task.labels]
        rows.sort(key=lambda row: -max(row[name] for name in said))
        self.answer = Answer(given.shown, self._names, tuple(rows), given.notes, self.task.multilabel)
        self._picture = thumbnail(given.item, 160) if isinstance(given.item, Image.Image) else b""
        self.changed(self.answer.summary)
        return self.answer

    def _check_idle(self) -> None:
        for name, model in self.models.items():
            if any(module.training for module in model.net.modules()):
                which = "" if len(self.models) == 1 else f" “{name}”"
                raise UserError(f"The model{which} is being trained. Ask again when its run has ended.")

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """What to fill in, and the answer; the first is never redrawn, so that what is typed stays."""
        return {"input": self._form(), "answer": self._picture_html() + (self.answer.html() if self.answer else "")}

    def _form(self) -> str:
        if self.task.modality == "text":
            area = tag("textarea", "", name="text", rows=3, data_key="text", maxlength=100_000,
                       aria_label="A text for the model", placeholder="Type a text")
            return f'<form data-cmd="ask">{area}<button class="ft-main" data-key="ask">Ask</button></form>'
        known = attributes(type="file", accept="image/*", data_upload="upload", data_key="file", class_="ft-unseen")
        return f'<label class="ft-drop"><input{known}><span>Choose an image, or drop one here</span></label>'

    def _picture_html(self) -> str:
        if not self._picture:
            return ""
        source = f"data:image/jpeg;base64,{base64.b64encode(self._picture).decode('ascii')}"
        return f"<img{attributes(src=source, alt='The image that was asked about')}>"

    def _text(self) -> str:
        asked = self.answer.text() if self.answer else 'nothing was asked yet: panel.ask("…")'
        return f"Predictor over {_labels(self.task.labels)}: {asked}"

    def _html(self) -> str:
        if self.answer:
            return self._picture_html() + self.answer.html()
        return tag("p", self._text())

    def _png(self) -> bytes:
        return self.answer.picture().png() if self.answer else b""


def _named(model: Model) -> str:
    return f"{_labels(model.task.labels)} ({KINDS.get(model.task.modality, model.task.modality)})"


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
