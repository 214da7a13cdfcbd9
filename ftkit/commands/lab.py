"""`ftkit lab`: the lessons in JupyterLab."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from ftkit.disk import disk_errors
from ftkit.errors import DataError, UserError, check_name

FIRST = "00_start_here.ipynb"
COPY = "ftkit-notebooks"
_MANIFEST = ".ftkit-copied.json"


def run(args: argparse.Namespace) -> int:
    """Open a notebook, and wait until the server ends; returns its exit code."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise UserError('JupyterLab is not installed. Install it with: python -m pip install "ftkit[lab]"')
    path = _chosen(args.path) if args.path else lessons() / FIRST
    if not path.exists():
        raise DataError(f"The lesson {path} is not there. Install ftkit again.")
    command = [sys.executable, "-m", "jupyterlab", str(path), *(["--no-browser"] if args.no_browser else [])]
    if getattr(os, "geteuid", lambda: 1)() == 0:  # in a container one is root, and Jupyter would refuse
        command.append("--allow-root")
    print(f"Opening {path}. Ctrl-C ends it.", file=sys.stderr)
    server = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the server: it asks whether to shut down
            return server.wait()


def _chosen(name: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        return path
    folder = lessons()
    known = sorted(file.name for file in folder.glob("*.ipynb"))
    if name.isdecimal():  # a lesson's number: 3 or 03
        name = next((file for file in known if file.startswith(f"{int(name):02d}_")), name)
    lesson = name if name.endswith(".ipynb") else f"{name}.ipynb"
    return folder / check_name("notebook", lesson, known, f"There is no file or folder {name} either.")


def lessons() -> Path:
    """The folder of the lessons: a checkout's own, or a copy in ./ftkit-notebooks of those that were installed."""
    source = lessons_source()
    return copy_lessons(source, Path(COPY)) if source.name == "_notebooks" else source


def lessons_source() -> Path:
    """Where the lessons that came with ftkit lie; nobody should work in the installed ones."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise DataError("The lessons are not there: neither ftkit/_notebooks nor notebooks/. Install ftkit again.")


def copy_lessons(source: Path, target: Path) -> Path:
    """Copy what is missing and what the reader has not changed since it was copied; a changed file stays as it is."""
    manifest = target / _MANIFEST
    copied: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        copied = json.loads(manifest.read_text(encoding="utf8"))
    kept = []
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source).as_posix()
        place, fresh = target / name, file.read_bytes()
        with disk_errors(place):
            if place.exists() and _digest(place.read_bytes()) not in (copied.get(name), _digest(fresh)):
                kept.append(name)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(fresh)
        copied[name] = _digest(fresh)
    with disk_errors(manifest):
        manifest.write_text(json.dumps(copied, indent=1), encoding="utf8")
    if kept:
        print(f"Your changed copies stay as they are: {', '.join(kept)}.", file=sys.stderr)
    return target


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
