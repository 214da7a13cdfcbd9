"""Saving so that nothing is lost: a new folder is written beside the old one and takes its place in one step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.backbones.quiet import quiet_transformers
from ftkit.disk import atomic_folder
from ftkit.errors import WeightsError

if TYPE_CHECKING:
    from ftkit.backbones.model import Model
    from ftkit.tasks import Task

WEIGHTS, FACTS = "model.safetensors", "ftkit.json"


def save_model(model: Model, folder: str | Path) -> Path:
    """Write a model: transformers networks as a plain transformers folder, others as safetensors and a small JSON.

    Raises:
        DiskError: The disk is full or the folder cannot be written. An older save is left as it was.
    """
    with atomic_folder(folder) as fresh:
        if model.spec.library == "transformers":
            with quiet_transformers():
                model.net.save_pretrained(fresh)  # type: ignore[operator]
        elif model.spec.library == "ftkit":
            from ftkit.speech.pairs import save_synthesiser

            save_synthesiser(model.net, fresh, model.processor.settings)
        else:
            from safetensors.torch import save_file

            save_file({name: tensor.contiguous() for name, tensor in model.net.state_dict().items()}, fresh / WEIGHTS)
        model.processor.save_pretrained(str(fresh))
        (fresh / FACTS).write_text(json.dumps(model_facts(model), indent=2), encoding="utf8")
    for stale in ("adapter_config.json", "adapter_model.safetensors"):  # else these would be opened on top of it
        Path(folder, stale).unlink(missing_ok=True)
    return Path(folder)


def model_facts(model: Model) -> dict[str, Any]:
    """What ftkit.json says about a model."""
    import ftkit

    return {
        "ftkit": ftkit.__version__, "task": model.task.name, "labels": list(model.task.labels),
        "multilabel": model.task.multilabel, "options": _options(model.task),
        "library": model.spec.library, "modality": model.spec.modality,
        "builder": model.spec.source if model.spec.library == "torchvision" else "", "backbone": model.spec.name,
    }


def _options(task: Task) -> dict[str, Any]:
    """What a task needs beside its labels to see inputs as in training, such as a text's greatest length."""
    common = {"labels", "multilabel", "augment"}
    return {field.name: getattr(task, field.name) for field in fields(task) if field.name not in common}


def load_weights(net: Any, folder: Path, skip: Sequence[str] = ()) -> None:
    """Fill a network from the folder's model.safetensors; tensors named in `skip` stay as they are.

    Raises:
        WeightsError: The file is missing, damaged, or of another architecture.
    """
    from safetensors.torch import load_file

    try:
        state, own = load_file(folder / WEIGHTS), net.state_dict()
        net.load_state_dict(state | {name: own[name] for name in skip})
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["?"])[0]
        raise WeightsError(f"The weights in {folder / WEIGHTS} cannot be loaded: {reason[:200]}") from error
