"""Progress is kept in one file, without answers, and never gets in the way of an exercise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftkit.errors import DataError
from ftkit.lessons import check, exercises, progress
from ftkit.lessons.progress import FILE, read_progress

Run = Any


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebook's folder."""
    monkeypatch.delenv("FTKIT_PROGRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tries_are_counted_until_the_answer_is_right(here: Path) -> None:
    check("00.2", "a")
    check("00.2", "c")
    assert progress().solved(["00.2"]) == 0
    assert check("00.2", "b")
    when = progress().exercises["00.2"].right
    check("00.2", "a")  # playing on changes nothing
    found = progress().exercises["00.2"]
    assert (found.tries, found.right) == (3, when)
    assert when.startswith("20")
    assert "lesson 00: 1 of" in repr(progress())


def test_an_exercise_that_nobody_has_begun_leaves_no_file(here: Path) -> None:
    """As when a lesson is run from top to bottom: the dots are no answer."""
    for number in exercises():
        check(number, ...)
    assert list(here.iterdir()) == []


def test_the_file_holds_the_name_and_no_answer(here: Path) -> None:
    check("00.1", 987654321)
    progress(student=" Ada Lovelace ")
    text = (here / FILE).read_text(encoding="utf8")
    assert progress().student == "Ada Lovelace"
    assert "987654321" not in text
    assert read_progress(here / FILE).whole


def test_an_edited_file_is_found_out_and_stays_so(here: Path) -> None:
    check("00.1", 1)
    file = here / FILE
    content = json.loads(file.read_text())
    content["exercises"]["00.q1"] = {"tries": 1, "right": "2026-01-01T00:00:00+00:00"}
    file.write_text(json.dumps(content))
    assert not progress().whole
    progress(student="Ada")  # which writes it anew
    assert not progress().whole


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "ftkit progress 9"}', "no JSON"])
def test_a_broken_file_is_reported_kept_and_no_obstacle(here: Path, content: str) -> None:
    (here / FILE).write_text(content)
    with pytest.warns(UserWarning, match="not a progress file"):
        assert check("00.2", "b")
    assert (here / FILE).read_text() == content
    with pytest.raises(DataError, match="Move it away"):
        progress()


def test_a_place_that_cannot_be_written_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTKIT_PROGRESS", str(tmp_path / "file" / "p.json"))
    with pytest.warns(UserWarning, match="not kept"):
        assert check("00.2", "b")


def test_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FTKIT_PROGRESS", str(tmp_path / "mine.json"))
    check("00.2", "b")
    assert progress().file == tmp_path / "mine.json"
    assert read_progress(tmp_path / "mine.json").solved(["00.2"]) == 1
