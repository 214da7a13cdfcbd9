"""speak: what a synthesiser makes of a text."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.speech.spoken import Speech
from ftkit.tasks import TextToSpeech
from ftkit.training.cpu import use_all_cores


def speak(model: Model, text: str | Sequence[str], *, vocoder: Any = None, speaker: Any = None, seed: int = 0) -> Any:
    """Say a text, or several. In a notebook the result is a player.

    Args:
        model: A synthesiser: `load_backbone("tacotron-mini")`, before or after `fit`.
        text: A sentence, or a list of sentences. Numbers and signs have to be written as words.
        vocoder: What makes sound of the picture that the synthesiser draws: None is Griffin-Lim, which needs no
            network; a WaveNet or its folder takes longer. SpeechT5 needs a HiFi-GAN, by default its own.
        speaker: For voices that have several: a number (VITS), or an x-vector (SpeechT5).
        seed: Chance is part of this voice (see `Tacotron.generate`): equal seeds give equal sounds.

    Returns:
        A Speech, or a list of them. `.samples` are float32 (T,), `.save("said.wav")` writes a file.

    Raises:
        UserError: A model that is no synthesiser, or is being trained; a vocoder that does not fit.
        DataError: Digits, no letters, too many letters.

    A voice that finds no end is cut off, with a warning. Lesson 06.
    """
    if not isinstance(model, Model) or not isinstance(model.task, TextToSpeech):
        what = f"a model for {model.task.name}" if isinstance(model, Model) else type(model).__name__
        raise UserError(f"speak needs a synthesiser, as load_backbone('tacotron-mini') gives one, not {what}.")
    if any(module.training for module in model.net.modules()):
        raise UserError("The model is being trained. Ask it to speak when its run has ended.")
    texts = [text] if isinstance(text, str) else list(text)
    if not texts:
        return []
    use_all_cores()
    said: list[Speech] = model.processor.speak(model.net, model.task, texts, vocoder, seed, speaker)
    endless = [one.text for one in said if not one.stopped]
    if endless:
        warnings.warn(f"The voice did not find the end of {len(endless)} of {len(texts)} texts, such as "
                      f"'{endless[0][:60]}', and was cut off. Look at the alignment: has it reached the last letter?",
                      stacklevel=2)
    return said[0] if isinstance(text, str) else said
