"""Saving so that nothing is lost: a new folder is written beside the old one and takes its place in one step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.backbones.quiet import quiet_transformers
from ftkit.errors import DiskError, WeightsError

if TYPE_CHECKING:
    from ftkit.backbones.model import Model
    from ftkit.tasks import Task

WEIGHTS, FACTS = "model.safetensors", "ftkit.json"
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # full, over the size limit, over the quota
# Safetensors and torch say it in words only; "unexpected pos" is how torch.save finds that less was written than meant.
_FULL_WORDS = ("No space left", "File too large", "quota exceeded", "unexpected pos",
               *(f"os error {number})" for number in _FULL))


def save_model(model: Model, folder: str | Path) -> Path:
    """Write a model: transformers networks as a plain transformers folder, others as safetensors and a small JSON.

    Raises:
        DiskError: The disk is full or the folder cannot be written. An older save is left as it was.
    """
    with atomic_folder(folder) as fresh:
        if model.spec.library == "transformers":
            with quiet_transformers():
                model.net.save_pretrained(fresh)  # type: ignore[operator]
        else:
            from safetensors.torch import save_file

            save_file({name: tensor.contiguous() for name, tensor in model.net.state_dict().items()}, fresh / WEIGHTS)
        model.processor.save_pretrained(str(fresh))
        (fresh / FACTS).write_text(json.dumps(model_facts(model), indent=2), encoding="utf8")
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


@contextlib.contextmanager
def atomic_folder(folder: str | Path, last: str = "") -> Iterator[Path]:
    """Give a temporary folder to write into, and move its files into `folder` only when all are written.

    Files of `folder` that are not written anew (a history, a checkpoint) stay. Each file is replaced in one step.

    Args:
        folder: Where the files go; made if need be.
        last: Name of a file that names the others: it is moved when they are all in place.
    """
    target = Path(folder)
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".saving-", dir=target))
    try:
        with disk_errors(target):
            yield fresh
            for file in sorted(fresh.rglob("*"), key=lambda file: (file.name == last, file)):
                if file.is_file():
                    file.chmod(target.stat().st_mode & 0o666)  # as the folder: safetensors lets only the owner read
                    place = target / file.relative_to(fresh)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(file, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: Path, hint: str = "") -> Iterator[None]:
    """Turn a failed write into a DiskError with one clear sentence, and `hint` after it if the disk is full."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in _FULL or any(words in str(error) for words in _FULL_WORDS):
            free = shutil.disk_usage(_existing(path)).free / 1e6
            raise DiskError(f"The disk is full, or a limit on file sizes is reached: {path} could not be written "
                            f"({free:.0f} MB free). Nothing older was lost.{' ' * bool(hint)}{hint}") from error
        if isinstance(error, OSError):
            raise DiskError(f"{path} could not be written: {error.strerror or error}.") from error
        raise


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)
