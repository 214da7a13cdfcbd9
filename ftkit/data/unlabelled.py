"""The bundled texts that have no classes: a style to learn, stories to measure by, and pairs of replies to prefer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ftkit.bundle import bundled_root
from ftkit.data.pairs import before
from ftkit.data.report import DataReport
from ftkit.data.split import Data, Split
from ftkit.errors import DataError


@dataclass(frozen=True)
class Unlabelled:
    """One data set without classes.

    Args:
        name: For load_data.
        input: The column that a model is given.
        targets: The columns that it learns from besides; none for plain text.
        description: One line.
        tasks: What a model learns from it; the first one if nothing else is asked for.
    """

    name: str
    input: str
    targets: tuple[str, ...]
    description: str
    tasks: tuple[str, ...] = ("causal-lm",)


UNLABELLED = {spec.name: spec for spec in (
    Unlabelled("logbook", "text", (), "Entries of an invented ship's log: a style for a text generator"),
    Unlabelled("stories", "text", (), "Beginnings of plain stories, to measure what a text generator forgets; all in "
               "the test split"),
    Unlabelled("replies", "prompt", ("chosen", "rejected", "flaw"),
               "Prompts with a preferred and a rejected reply: for preference tuning",
               ("dpo", "ipo", "reward", "causal-lm")),
)}


def read_unlabelled(name: str, limit: int | None = None, task: str | None = None) -> Data:
    """Texts in three splits, without classes.

    Args:
        name: "logbook", "stories" or "replies".
        limit: Take so many training examples, the first ones.
        task: Of those that the data are for; None takes the first.

    Returns:
        Data whose inputs are texts (prompts). Targets are None for texts, and for `replies` a dict with "chosen",
        "rejected" and "flaw" (what is wrong with the rejected one); for "causal-lm" only the chosen reply.

    Raises:
        DataError: The file is missing or damaged.

    Lessons 07 and 09.
    """
    from ftkit.tasks import make_task  # imports torch: `ftkit list` need not wait for it

    spec, report = UNLABELLED[name], DataReport()
    rows = _rows(name)
    splits = {}
    for split in ("train", "valid", "test"):
        mine = [row for row in rows if row["split"] == split]
        if split == "train" and limit is not None:
            mine = mine[:limit]
        targets: Any = [row["chosen"] if spec.targets and task == "causal-lm" else
                        {key: row[key] for key in spec.targets} or None for row in mine]
        inputs = [before(row[spec.input]) if spec.targets else row[spec.input] for row in mine]
        splits[split] = Split(split, inputs, targets)
        report.examples[split], report.balance[split] = len(mine), {}
    report.name, report.modality = name, "text"
    chosen = make_task(task or spec.tasks[0], ())
    report.notes.append(f"there are no classes; the task is {chosen.name}")
    return Data(name, "text", splits["train"], splits["valid"], splits["test"], chosen, report)


def list_unlabelled() -> list[dict[str, Any]]:
    """The rows of these data sets for `list_data`."""
    return [{"name": spec.name, "modality": "text", "examples": len(_rows(spec.name)), "labels": [],
             "description": spec.description} for spec in UNLABELLED.values()]


def _rows(name: str) -> list[dict[str, Any]]:
    file = bundled_root() / name / f"{name}.jsonl"
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise DataError(f"The bundled data set '{name}' cannot be read ({error}). Install ftkit again.") from error
