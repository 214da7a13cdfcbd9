"""Speak, and see what one model hears, or two of them side by side, and where that differs from what was said."""

from __future__ import annotations

from typing import Any

import numpy as np

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.tasks.spelling import spell
from ftkit.training import predict
from ftkit.viz.audio import RATE, Sound
from ftkit.viz.sound import waveform
from ftkit.widgets.heard import Heard
from ftkit.widgets.inputs import check_audio, check_idle
from ftkit.widgets.markup import field, tag
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.sound_html import small_png, sound_form, with_player

_SOUND = "the sound that was asked about"


def recogniser(before: Any, after: Any = None, reference: str | None = None) -> Recogniser:
    """Record a sentence or choose a sound file, and see what a recogniser hears, or two side by side.

    With what was said as text, differences are marked and counted as the character error rate.

    Args:
        before: A model from `load_backbone`, anything with `transcribe(samples)`, or a function of the samples; alone,
            or as it was before fine-tuning. Samples are float32 (T,), 16,000 a second; the answer is a text.
        after: The same after fine-tuning.
        reference: What is said; it can also be typed into the panel, or given to `ask`.

    Returns:
        The panel. Without a notebook: `panel.ask("sentence.wav", "what was said")` returns what was heard.

    Raises:
        UserError: Something that cannot be asked what it hears.

    Lesson 05.
    """
    return Recogniser(before, after, reference)


class Recogniser(SmallPanel):
    """What `recogniser` returns.

    Attributes:
        answer: What was heard last, or None.
        reference: What is said; "" if that is not known.
    """

    title = "What does the model hear?"
    commands = ("upload", "refer")

    def __init__(self, before: Any, after: Any = None, reference: str | None = None) -> None:
        super().__init__()
        models = [before] if after is None else [before, after]
        for model in models:
            _check_model(model)
        self.models = dict(zip(("before", "after") if after is not None else ("the model",), models, strict=True))
        self.reference = _checked_reference(reference or "")
        self.answer: Heard | None = None
        self._sound: Sound | None = None
        self._own = False  # whether the last sound came through the page: somebody's voice, perhaps

    def ask(self, audio: Any, reference: str | None = None) -> Heard:
        """What the models hear in a sound.

        Args:
            audio: A file, or samples (T,), 16,000 a second.
            reference: What is said; None keeps what the panel knows.

        Raises:
            DataError: A file that cannot be read, or less than a tenth of a second, or more than a minute.
            UserError: No sound; or a model that is in the middle of its training, or answers with no text.
        """
        self._own = False
        return self._ask(audio, "", self.reference if reference is None else _checked_reference(reference))

    def upload(self, name: str, content: bytes) -> Heard:
        """The same for a file that was chosen, or a recording."""
        return self._ask(content, name, self.reference, own=True)

    def refer(self, text: str) -> None:
        """What is said: what was heard is compared with it at once."""
        self.reference = _checked_reference(text)
        if self.answer is not None:
            self.answer = Heard(self.answer.shown, self.answer.texts, self.reference, self.answer.notes)
        self.changed(self.answer.summary if self.answer else "Now speak, or choose a sound.")

    def _ask(self, audio: Any, name: str, reference: str, own: bool = False) -> Heard:
        given = check_audio(audio, RATE, name)
        check_idle(self.models)
        texts = {which: heard(model, given.item.samples) for which, model in self.models.items()}
        check_idle(self.models)  # a run in another thread may have gone on meanwhile, with dropout
        self.reference, self._sound, self._own = reference, given.item, own
        self.answer = Heard(given.shown, texts, reference, given.notes)
        self.changed(self.answer.summary)
        return self.answer

    # --- rendering --------------------------------------------------------------------------------------------------

    def regions(self) -> dict[str, str]:
        """Where sounds come in (never redrawn), what is said, the sound, and what was heard."""
        said = field("text", self.reference, data_key="said", maxlength=1000, autocomplete="off")
        form = (f'<form data-cmd="refer"><label>What is said (if you want to compare) {said}</label>'
                f'<button data-key="compare">Compare</button></form>')
        return {"input": sound_form(), "said": form, "sound": with_player(self._sound, _SOUND),
                "answer": self.answer.html() if self.answer else ""}

    def _text(self) -> str:
        told = self.answer.text() if self.answer else 'nothing was asked yet: panel.ask("sentence.wav")'
        return f"Recogniser: {told}"

    def _html(self) -> str:
        if self.answer is None:
            return tag("p", self._text())
        return with_player(self._sound, _SOUND, keep=not self._own) + self.answer.html()

    def _png(self) -> bytes:
        if self.answer is None or self._sound is None:
            return b""
        return small_png(waveform(self._sound, title=self.answer.summary))

    def _make_panel(self) -> Any:
        from ftkit.widgets.sound_view import SoundView

        return SoundView(self)


def heard(model: Any, audio: np.ndarray) -> str:
    """What one model hears.

    Args:
        model: A Model, anything with `transcribe`, or a function.
        audio: float32 (T,), 16,000 samples a second.

    Raises:
        UserError: The answer is no text.
    """
    if isinstance(model, Model):
        said = predict(model, audio)
        said = getattr(said, "text", getattr(said, "label", said))
    else:
        said = model.transcribe(audio) if hasattr(model, "transcribe") else model(audio)
    if not isinstance(said, str):
        raise UserError(f"A recogniser answers with a text; {type(model).__name__} gave {type(said).__name__}.")
    return " ".join(said.split())


def _check_model(model: Any) -> None:
    if isinstance(model, Model):
        if model.task.modality != "audio":
            raise UserError(f"recogniser asks models of sound; {model.spec.name} works on {model.task.modality}.")
    elif not hasattr(model, "transcribe") and not callable(model):
        raise UserError("recogniser asks a model from load_backbone, an object with transcribe(samples), or a function "
                        f"of the samples, not {type(model).__name__}.")


def _checked_reference(text: str) -> str:
    if not isinstance(text, str):
        raise UserError(f"The reference is what is said, as a text, not {type(text).__name__}.")
    if text.strip() and not spell(text):
        raise UserError(f"The reference {text!r} has no letters.")
    return text.strip()
