"""`ftkit course`: the lessons in a folder, as they are, for students, for teachers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftkit.errors import DataError
from ftkit.lessons.course import as_student, as_teacher, read_notebook

Run = Any
LESSONS = sorted(path.name for path in (Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))


def cells(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text(encoding="utf8"))["cells"]


def test_get_copies_the_lessons_and_leaves_what_was_changed(ftkit: Run, tmp_path: Path) -> None:
    assert ftkit("course", "get", tmp_path / "mine").code == 0
    assert sorted(path.name for path in (tmp_path / "mine").glob("[0-9]*.ipynb")) == LESSONS
    (tmp_path / "mine" / LESSONS[0]).write_text("my work")
    ran = ftkit("course", "get", tmp_path / "mine")
    assert ran.code == 0
    assert LESSONS[0] in ran.err
    assert (tmp_path / "mine" / LESSONS[0]).read_text() == "my work"


def test_students_get_stubs_and_no_outputs(ftkit: Run, tmp_path: Path) -> None:
    assert ftkit("course", "build", "--student", "--out", tmp_path / "class").code == 0
    assert sorted(path.name for path in (tmp_path / "class").iterdir()) == LESSONS
    text = (tmp_path / "class" / LESSONS[0]).read_text(encoding="utf8")
    assert '"solution"' not in text
    assert "148_610" not in text
    assert not any(cell.get("outputs") for name in LESSONS for cell in cells(tmp_path / "class" / name))


def test_teachers_get_solutions_and_notes(ftkit: Run, tmp_path: Path) -> None:
    assert ftkit("course", "build", "--teacher", "--out", tmp_path / "me").code == 0
    found = cells(tmp_path / "me" / LESSONS[0])
    assert any("".join(cell["source"]) == 'ft.lessons.check("00.1", 148_610)' for cell in found)
    assert any("For teachers" in "".join(cell["source"]) for cell in found)
    assert not any("..." in "".join(cell["source"]) and "check(" in "".join(cell["source"]) for cell in found)
    assert any(cell.get("outputs") for cell in found)


def test_long_cells_are_announced_to_teachers_alone() -> None:
    notebook = {"cells": [{"cell_type": "code", "id": "a", "metadata": {"ftkit": {"seconds": 31.2}}, "source": ["x"],
                           "outputs": [1], "execution_count": 3}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    teacher, student = as_teacher(notebook), as_student(notebook)
    assert "about 31 seconds" in teacher["cells"][0]["source"][0]
    assert teacher["cells"][1]["outputs"] == [1]
    assert student["cells"] == [{"cell_type": "code", "id": "a", "metadata": {}, "source": ["x"], "outputs": [],
                                 "execution_count": None}]
    assert notebook["cells"][0]["metadata"] == {"ftkit": {"seconds": 31.2}}, "the source is untouched"


@pytest.mark.parametrize(("words", "said"), [
    (("build", "--student"), "--out DIR"), (("build", "--out", "x"), "Which form"),
    (("build", "--student", "--teacher", "--out", "x"), "Which form"), (("get",), "ftkit course get DIR"),
    (("gett", "x"), "'get'"),
])
def test_mistakes_say_what_is_wanted(ftkit: Run, words: tuple[str, ...], said: str) -> None:
    ran = ftkit("course", *words)
    assert ran.code == 2
    assert said in ran.err


def test_a_folder_with_something_in_it_is_refused(ftkit: Run, tmp_path: Path) -> None:
    (tmp_path / "old.ipynb").write_text("mine")
    ran = ftkit("course", "build", "--student", "--out", tmp_path)
    assert ran.code == 2
    assert "not an empty folder" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["old.ipynb"]


def test_a_file_that_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "00.ipynb").write_text("{}")
    with pytest.raises(DataError, match="cannot be read as a notebook"):
        read_notebook(tmp_path / "00.ipynb")
