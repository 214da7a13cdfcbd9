"""Ask a model, or two of them: what it said before fine-tuning and what it says after, side by side."""

from __future__ import annotations

import base64
from typing import Any

from PIL import Image

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training import predict
from ftkit.viz.audio import RATE, Sound
from ftkit.widgets.answer import Answer
from ftkit.widgets.inputs import KINDS, Given, check_audio, check_idle, check_image, check_suffix, check_text, thumbnail
from ftkit.widgets.markup import attributes, tag
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.sound_html import sound_form, with_player


def predictor(before: Model, after: Model | None = None) -> Predictor:
    """Give a text, an image or a sound, and see the probabilities of one model, or of two side by side.

    Sounds come from files or from the microphone.

    Args:
        before: From `load_backbone`; alone, or as it was before fine-tuning.
        after: The same task after fine-tuning.

    Returns:
        The panel. Without a notebook: `panel.ask("a text")` returns the rows and shows them.

    Raises:
        UserError: Not models, models of different classes, or of a kind that the panel cannot feed.

    Lesson 02.
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
        if self.task.modality not in KINDS or not self.task.labels:
            raise UserError(f"predictor shows the classes of texts, images and sounds; '{self.task.name}' has none. "
                            "ft.widgets.recogniser shows what a model hears.")
        if after and (after.task.labels, after.task.modality) != (before.task.labels, before.task.modality):
            raise UserError(f"The models must answer the same question: the first knows {_named(before)}, the second "
                            f"{_named(after)}.")
        self.answer: Answer | None = None
        self._picture = b""  # a small JPEG of the last image
        self._sound: Sound | None = None
        self._own = False  # whether the last sound came through the page: a voice then, perhaps

    def ask(self, text: Any) -> Answer:
        """What the models say to a text, to an image (a path, a PIL image or an array), or to a sound.

        A sound is a path, or samples (T,) at the rate of the model, 16,000 a second for most.

        Returns:
            The rows: {"label": …, "before": …, "after": …} with one probability per model.

        Raises:
            DataError: An empty or very long text, a broken file, or something else altogether.
            UserError: A model is in the middle of its training.
        """
        self._own = False
        if self.task.modality == "text":
            return self._ask(check_text(text, self.models[self._names[-1]]))
        return self._ask(self._checked(text))

    def upload(self, name: str, content: bytes) -> Answer:
        """The same for a file that was dropped on the panel."""
        if self.task.modality == "text":
            check_suffix(name, "text")
        given = self._checked(content, name)
        self._own = True
        return self._ask(given)

    def _checked(self, item: Any, name: str = "") -> Given:
        """An image or a sound."""
        if self.task.modality == "image":
            return check_image(item, name)
        return check_audio(item, getattr(self.models[self._names[-1]].processor, "rate", RATE), name)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.models)

    def _ask(self, given: Given) -> Answer:
        item = given.item.samples if isinstance(given.item, Sound) else given.item
        check_idle(self.models)
        said = {name: predict(model, item).probabilities for name, model in self.models.items()}
        check_idle(self.models)  # a run in another thread may have gone on meanwhile, with dropout
        rows = [{"label": label, **{name: probabilities[label] for name, probabilities in said.items()}}
                for label in self.task.labels]
        rows.sort(key=lambda row: -max(row[name] for name in said))
        self.answer = Answer(given.shown, self._names, tuple(rows), given.notes, self.task.multilabel)
        self._picture = thumbnail(given.item, 160) if isinstance(given.item, Image.Image) else b""
        self._sound = given.item if isinstance(given.item, Sound) else None
        self.changed(self.answer.summary)
        return self.answer

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """What to fill in, and the answer; the first is never redrawn, so that what is typed stays."""
        found = self.answer.html() if self.answer else ""
        if self.task.modality == "audio":  # apart: a sound that plays must not be drawn anew
            return {"input": self._form(), "sound": self._sound_html(), "answer": found}
        return {"input": self._form(), "answer": self._picture_html() + found}

    def _form(self) -> str:
        if self.task.modality == "text":
            area = tag("textarea", "", name="text", rows=3, data_key="text", maxlength=100_000,
                       aria_label="A text for the model", placeholder="Type a text")
            return f'<form data-cmd="ask">{area}<button class="ft-main" data-key="ask">Ask</button></form>'
        if self.task.modality == "audio":
            return sound_form()
        known = attributes(type="file", accept="image/*", data_upload="upload", data_key="file", class_="ft-unseen")
        return f'<label class="ft-drop"><input{known}><span>Choose an image, or drop one here</span></label>'

    def _picture_html(self) -> str:
        if not self._picture:
            return ""
        source = f"data:image/jpeg;base64,{base64.b64encode(self._picture).decode('ascii')}"
        return f"<img{attributes(src=source, alt='The image that was asked about')}>"

    def _sound_html(self, static: bool = False) -> str:
        return with_player(self._sound, "the sound that was asked about", keep=not (static and self._own))

    def _text(self) -> str:
        asked = self.answer.text() if self.answer else 'nothing was asked yet: panel.ask("…")'
        return f"Predictor over {_labels(self.task.labels)}: {asked}"

    def _html(self) -> str:
        if self.answer:
            return self._picture_html() + self._sound_html(static=True) + self.answer.html()
        return tag("p", self._text())

    def _png(self) -> bytes:
        return self.answer.picture().png() if self.answer else b""

    def _make_panel(self) -> Any:
        if self.task.modality != "audio":
            return super()._make_panel()
        from ftkit.widgets.sound_view import SoundView

        return SoundView(self)


def _named(model: Model) -> str:
    return f"{_labels(model.task.labels)} ({KINDS.get(model.task.modality, model.task.modality)})"


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
