"""`ftkit progress`: a class in one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ftkit.lessons import check, progress

Run = Any


@pytest.fixture
def handed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bea has solved two of lesson 00; ada, in a folder of her own, one, and has edited her file."""
    folder = tmp_path / "class"
    for name, answers in (("Bea", {"00.2": "b", "00.3": 0}), ("ada", {"00.2": "b", "00.1": 8})):
        file = folder / name / "p.json"
        file.parent.mkdir(parents=True)
        monkeypatch.setenv("FTKIT_PROGRESS", str(file))
        for number, answer in answers.items():
            check(number, answer)
        progress(student=name)
    content = json.loads(file.read_text())
    content["exercises"]["00.1"]["tries"] = 1000
    file.write_text(json.dumps(content))
    return folder


def test_one_row_per_student(ftkit: Run, handed_in: Path, tmp_path: Path) -> None:
    ran = ftkit("progress", handed_in, "--csv", tmp_path / "class.csv")
    assert ran.code == 0
    header, first, second = ran.out.splitlines()
    assert header.split()[:3] == ["student", "lesson", "00"]
    assert first.split()[:2] == ["ada", "1/5"]
    assert "DOES NOT FIT" in first
    assert second.split()[:2] == ["Bea", "2/5"]
    assert "fits" in second
    with (tmp_path / "class.csv").open(encoding="utf8", newline="") as stream:
        assert [row["lesson 00"] for row in csv.DictReader(stream)] == ["1/5", "2/5"]


def test_other_files_are_named_and_the_rest_is_shown(ftkit: Run, handed_in: Path) -> None:
    (handed_in / "notes.json").write_text("{}")
    ran = ftkit("progress", handed_in, "--json")
    assert ran.code == 1
    assert [row["student"] for row in ran.result["students"]] == ["ada", "Bea"]
    assert "notes.json" in ran.result["broken"][0]


def test_nothing_to_collect(ftkit: Run, tmp_path: Path) -> None:
    assert "There is no folder" in ftkit("progress", tmp_path / "none").err
    ran = ftkit("progress", tmp_path)
    assert ran.code == 2
    assert "no progress file" in ran.err
