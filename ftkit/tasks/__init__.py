"""Tasks: one file each. `make_task` finds one by its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.errors import check_name
from ftkit.tasks.audio_classification import AudioClassification
from ftkit.tasks.base import Batch, Encoded, LossSum, Task
from ftkit.tasks.causal_lm import CausalLM
from ftkit.tasks.ctc import CTC
from ftkit.tasks.dpo import DPO, IPO
from ftkit.tasks.image_classification import ImageClassification
from ftkit.tasks.reward import Reward
from ftkit.tasks.speech_to_text import SpeechToText
from ftkit.tasks.text_classification import TextClassification
from ftkit.tasks.text_to_speech import TextToSpeech

TASKS: dict[str, type[Task]] = {task.name: task for task in (
    TextClassification, ImageClassification, AudioClassification, CTC, SpeechToText, TextToSpeech, CausalLM, DPO, IPO,
    Reward)}
"""Every task by its name, such as "text-classification"."""

__all__ = ["CTC", "DPO", "IPO", "TASKS", "AudioClassification", "Batch", "CausalLM", "Encoded", "ImageClassification",
           "LossSum", "Reward", "SpeechToText", "Task", "TextClassification", "TextToSpeech", "make_task"]


def make_task(name: str, labels: Sequence[str], multilabel: bool = False) -> Task:
    """The task called `name` over these labels.

    Raises:
        UnknownName: No such task; the nearest one is named.
    """
    return TASKS[check_name("task", name, TASKS)](tuple(labels), multilabel)
