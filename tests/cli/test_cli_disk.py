"""A disk that is full: one clear line, and what was there before is still there.

Two ways to fill a disk: a limit on the size of files (everywhere but on Windows), and a real small one where root may
mount it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Ran, shell
from factory import tiny_text_folder

from ftkit.disk import atomic_folder, disk_errors
from ftkit.errors import DiskError

resource = pytest.importorskip("resource", reason="Windows has no limits on the size of files")


@pytest.fixture
def limited(ftkit: Callable[..., Ran]) -> Callable[..., Ran]:
    """limited(1000, "train", …): it can write no file larger than that; each library tells so in words of its own."""

    def run(most: int, *words: object) -> Ran:
        allowed, never_more = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, never_more))
        try:
            return ftkit(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, never_more))

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def one_clear_line(ran: Ran, *named: str) -> None:
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1, ran.err
    for word in ("ftkit: The disk is full", "could not be written", "Nothing older was lost", *named):
        assert word in ran.err, ran.err


def test_a_checkpoint_for_which_there_is_no_room(limited: Callable[..., Ran], texts: Path, bert: Path, saved: Path,
                                                 tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(saved, out)
    before = contents(out)
    weights = (saved / "model.safetensors").stat().st_size
    ran = limited(int(1.5 * weights), "train", "--data", texts, "--backbone", bert, "--epochs", 2, "--out", out)
    one_clear_line(ran, str(out / "checkpoint"))  # the optimizer's memory is twice the weights
    assert contents(out) == before


def test_a_model_for_which_there_is_no_room(limited: Callable[..., Ran], texts: Path, bert: Path, saved: Path,
                                            tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(saved, out)
    before = contents(out)
    most = (saved / "model.safetensors").stat().st_size // 2
    ran = limited(most, "train", "--data", texts, "--backbone", bert, "--epochs", 1, "--strategy", "probe",
                  "--out", out)
    one_clear_line(ran, str(out))
    assert contents(out) == before


def test_temporary_files_for_which_there_is_no_room(limited: Callable[..., Ran], texts: Path, bert: Path,
                                                    tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # or Python remembers the folder of before
    ran = limited(20_000, "train", "--data", texts, "--backbone", bert, "--epochs", 1)
    one_clear_line(ran, "ftkit-weights-", "set TMPDIR")
    assert contents(tmp_path / "temporary") == {}


_OWN_MOUNTS = ["unshare", "--mount", "sh", "-c"]  # the mount is seen by this command only, and goes with it


def _may_mount() -> bool:
    if shutil.which("unshare") is None or os.geteuid():
        return False
    probe = subprocess.run([*_OWN_MOUNTS, "mount -t tmpfs -o size=64k none /mnt"], capture_output=True, check=False)
    return probe.returncode == 0


@pytest.mark.parametrize("size", ["100k"] if _may_mount() else [])
def test_a_real_disk_that_is_full(texts: Path, bert: Path, saved: Path, tmp_path: Path, size: str) -> None:
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    script = (f"mount -t tmpfs -o size=300k none {disk} && cp -r {saved}/. {disk} && cp -r {disk} {after}-0 && "
              f"{sys.executable} -m ftkit train --data {texts} --backbone {bert} --epochs 1 --out {disk}; "
              f"code=$?; cp -r {disk} {after}; exit $code")
    one_clear_line(shell(*_OWN_MOUNTS, script), str(disk), "0 MB free")
    assert contents(after) == contents(Path(f"{after}-0"))


@pytest.mark.parametrize("error", [
    OSError(28, "No space left on device"), OSError(122, "Disk quota exceeded"), OSError(27, "File too large"),
    RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534"),
    Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
])
def test_every_way_of_saying_that_the_disk_is_full(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(DiskError, match=r"The disk is full.*model.*MB free.*Free it"), disk_errors(
            tmp_path / "model", "Free it."):
        raise error


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"model could not be written: Read-only file system\."), disk_errors(
            tmp_path / "model"):
        raise OSError(30, "Read-only file system")
    with pytest.raises(KeyError), disk_errors(tmp_path):
        raise KeyError("mode")


def test_nothing_is_replaced_when_writing_fails_in_the_middle(tmp_path: Path) -> None:
    def write(**files: str) -> None:
        with atomic_folder(tmp_path / "out") as fresh:
            for name, text in files.items():
                (fresh / name).write_text(text)
                if text == "last":
                    raise OSError(28, "No space left on device")

    write(a="old", b="old")
    with pytest.raises(DiskError):
        write(a="new", b="last")
    assert contents(tmp_path / "out") == {"a": b"old", "b": b"old"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"], "no leftovers"
    write(a="new")
    assert contents(tmp_path / "out") == {"a": b"new", "b": b"old"}, "what is not written anew stays"


def test_whoever_may_read_the_folder_may_read_the_weights(saved: Path) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in saved.iterdir() if file.is_file()}
    assert modes["model.safetensors"] == modes["ftkit.json"]


def test_a_full_disk_for_the_cache_does_not_end_the_run(ftkit: Callable[..., Any], texts: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    bert = tiny_text_folder(tmp_path / "bert")
    monkeypatch.setattr("ftkit.training.cache.DEFAULT_BUDGET", 0)  # so it goes to disk
    monkeypatch.setattr("ftkit.training.cache.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    ran = ftkit("train", "--data", texts, "--backbone", bert, "--strategy", "probe", "--epochs", 2)
    assert ran.code == 0
    assert "The feature cache needs" in ran.out
