"""Tasks: one file each. `make_task` finds one by its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.errors import check_name
from ftkit.tasks.base import Batch, Encoded, LossSum, Task
from ftkit.tasks.image_classification import ImageClassification
from ftkit.tasks.text_classification import TextClassification

TASKS: dict[str, type[Task]] = {task.name: task for task in (TextClassification, ImageClassification)}
"""Every task by its name, such as "text-classification"."""

__all__ = ["TASKS", "Batch", "Encoded", "ImageClassification", "LossSum", "Task", "TextClassification", "make_task"]


def make_task(name: str, labels: Sequence[str], multilabel: bool = False) -> Task:
    """The task called `name` over these labels.

    Raises:
        UnknownName: No such task; the nearest one is named.
    """
    return TASKS[check_name("task", name, TASKS)](tuple(labels), multilabel)
