"""One source, three forms: the lessons as they are, a student's copy without outputs, a teacher's with solutions.

The notebooks in notebooks/ are the source. The cell of an exercise is tagged "exercise" and holds a stub. Its metadata
hold what only teachers get: metadata.ftkit.solution, Python that takes the stub's place, and metadata.ftkit.note, a
remark for class. `make notebooks` adds metadata.ftkit.seconds, how long a cell took.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ftkit.disk import disk_errors
from ftkit.errors import DataError, UserError, check_name

FORMS = ("student", "teacher")
LONG = 5.0  # seconds: teachers are told of cells that take longer
Notebook = dict[str, Any]


def build_course(source: Path, form: str, out: Path) -> list[Path]:
    """Write one form of all lessons into a folder.

    Args:
        source: The folder of the lessons.
        form: "student" or "teacher".
        out: Made if it is not there. Must be empty: nothing of anybody's is overwritten.

    Returns:
        The notebooks written, in their order.

    Raises:
        UserError: An unknown form, or `out` is not an empty folder.
        DataError: A lesson is no notebook.
        DiskError: It cannot be written.
    """
    make = {"student": as_student, "teacher": as_teacher}[check_name("form", form, FORMS)]
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder. Name a new one: nothing in it would be overwritten otherwise.")
    written = []
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.glob("[0-9]*.ipynb")):
            place = out / file.name
            place.write_text(json.dumps(make(read_notebook(file)), indent=1, ensure_ascii=False) + "\n",
                             encoding="utf8")
            written.append(place)
    return written


def read_notebook(file: Path) -> Notebook:
    """A notebook as plain data; raises DataError if it is none."""
    try:
        notebook: Notebook = json.loads(file.read_text(encoding="utf8"))
        assert isinstance(notebook["cells"], list)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DataError(f"{file} cannot be read as a notebook ({type(error).__name__}).") from error
    return notebook


def as_student(notebook: Notebook) -> Notebook:
    """Outputs, solutions and notes out; every stub as it is."""
    made = copy.deepcopy(notebook)
    for cell in made["cells"]:
        cell["metadata"].pop("ftkit", None)
        if cell["cell_type"] == "code":
            _clear(cell)
    return made


def as_teacher(notebook: Notebook) -> Notebook:
    """Solutions in place of the stubs, notes below them, and the seconds of long cells above these."""
    cells: list[dict[str, Any]] = []
    for cell in copy.deepcopy(notebook["cells"]):
        known = cell["metadata"].pop("ftkit", {})
        if known.get("seconds", 0) >= LONG:
            cells.append(_remark(f"{cell.get('id', 'cell')}-time", f"the next cell takes about {known['seconds']:.0f} "
                                 "seconds, on the cores that the first cell names."))
        if "solution" in known:
            cell["source"] = known["solution"].splitlines(keepends=True)
            _clear(cell)
        cells.append(cell)
        if "note" in known:
            cells.append(_remark(f"{cell.get('id', 'cell')}-note", known["note"]))
    return {**copy.deepcopy(notebook), "cells": cells}


def _clear(cell: dict[str, Any]) -> None:
    cell["outputs"], cell["execution_count"] = [], None


def _remark(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {"tags": ["teacher"]},
            "source": [f"> **For teachers:** {text}"]}
