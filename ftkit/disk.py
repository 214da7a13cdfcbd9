"""Writing so that nothing is lost: what is new is written beside what is old, and takes its place in one step."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ftkit.errors import DiskError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # full, over the size limit, over the quota
# Safetensors and torch say it in words only; "unexpected pos" is how torch.save finds that less was written than meant.
_FULL_WORDS = ("No space left", "File too large", "quota exceeded", "unexpected pos",
               *(f"os error {number})" for number in _FULL))


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


def write_whole(place: Path, content: bytes) -> None:
    """Write a file so that at any moment there is the old one or the whole new one.

    Raises:
        DiskError: The disk is full or the folder cannot be written; what was there is still there.
    """
    with disk_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix=".saving-", dir=place.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(fresh, place.parent.stat().st_mode & 0o666)  # as the folder: mkstemp lets only the owner read
            os.replace(fresh, place)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise


def file_sha256(file: Path) -> str:
    """Of a file's content, as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
