"""Is a synthetic voice understood? A recogniser listens to what it says."""

from __future__ import annotations

from typing import Any

import numpy as np

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.tasks.spelling import error_rates
from ftkit.training import predict, speak


def intelligibility(model: Model, split: Any, recogniser: Model, *, vocoder: Any = None, seed: int = 0
                    ) -> dict[str, float]:
    """Let a recogniser write down what a synthesiser says, and count wrong letters and words.

    The recogniser makes mistakes of its own. So it hears the true recordings too: what it gets wrong there is not the
    synthesiser's fault.

    Args:
        model: A synthesiser.
        split: Texts and their recordings, such as `data.test` of `load_data(…, task="text-to-speech")`.
        recogniser: A model for "ctc" or "speech-to-text".
        vocoder: As in `ftkit.speak`.
        seed: As in `ftkit.speak`.

    Returns:
        "cer" and "wer" of what was synthesised, "recorded_cer" and "recorded_wer" of the recordings.

    Raises:
        UserError: The recogniser writes no texts; the split has no recordings.

    Lesson 06.
    """
    if getattr(getattr(recogniser, "task", None), "name", "") not in ("ctc", "speech-to-text"):
        raise UserError("intelligibility needs a recogniser, a model for 'ctc' or 'speech-to-text', to listen.")
    if not hasattr(split, "inputs") or not len(split) or not isinstance(split.inputs[0], str):
        raise UserError("intelligibility needs one split of texts and recordings, such as data.test of load_data(…, "
                        "task='text-to-speech').")
    texts, rate = list(split.inputs), recogniser.processor.rate
    said = speak(model, texts, vocoder=vocoder, seed=seed)
    own = error_rates(_heard(recogniser, [_at(one.samples, one.rate, rate) for one in said]), texts)
    true = error_rates(_heard(recogniser, list(split.targets)), texts)
    return {**own, **{f"recorded_{name}": value for name, value in true.items()}}


def _heard(recogniser: Model, sounds: list[Any]) -> list[str]:
    return [one.text for one in predict(recogniser, sounds)]


def _at(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """The sound (T,) at another rate."""
    if own == rate:
        return samples
    import soxr

    return soxr.resample(samples, own, rate)
