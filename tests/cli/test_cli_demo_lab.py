"""`ftkit demo`, the whole story in a terminal, and `ftkit lab`, which opens the lessons."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftkit import load_backbone, load_data
from ftkit.commands import demo, lab

Run = Callable[..., Any]


# --- demo -------------------------------------------------------------------------------------------------------


def test_the_demo_tells_the_whole_story(ftkit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "QUICK", 24)  # real weights, fewer reviews than anyone would learn from
    monkeypatch.setattr(demo, "EPOCHS", 1)
    ran = ftkit("demo", "--quick", "--out", "pictures/story.png")
    assert ran.code == 0, ran.err
    for word in ("24", "block 3", "from scratch", "frozen body", "fine-tuned", "test accuracy", "trainable parameters",
                 "Guessing would be right"):
        assert word in ran.out, word
    for name in ("story.png", "story-freeze-map.png"):
        assert (tmp_path / "pictures" / name).read_bytes().startswith(b"\x89PNG")
        assert f"pictures/{name}" in ran.out


def test_the_freeze_map_as_text(bert: Path, texts: Path) -> None:
    model = load_backbone(bert, load_data(texts).task)
    lines = demo.freeze_map(model, ["probe", "gradual", "full"], 3).splitlines()
    assert lines[0].split() == ["layers", "parameters", "probe", "gradual", "full"]
    assert [" ".join(line.split()[-3:]) for line in lines[1:]] == [
        "... ... ###", "... ... ###", "... ..# ###", "... .## ###", "### ### ###"]


@pytest.mark.parametrize(("out", "named"), [("story.pdf", ".png"), ("folder.png", ".png"), ("file/below.png", "file")])
def test_a_picture_that_cannot_be_written_is_refused_before_training(
        mistake: Callable[..., str], tmp_path: Path, out: str, named: str) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("in the way")
    mistake(["demo", "--out", out], named)


# --- lab --------------------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were started instead of a server."""
    commands: list[list[str]] = []

    class Server:
        def __init__(self, command: list[str]) -> None:
            commands.append(command)
            self.presses = 1

        def wait(self) -> int:
            if self.presses:  # Ctrl-C reaches both; the server decides what to do with it
                self.presses -= 1
                raise KeyboardInterrupt
            return 0

    monkeypatch.setattr(lab.subprocess, "Popen", Server)
    return commands


def test_lab_opens_the_first_lesson(ftkit: Run, started: list[list[str]]) -> None:
    assert ftkit("lab").code == 0
    (command,) = started
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[3].endswith("00_start_here.ipynb")
    assert Path(command[3]).is_file()


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_lab_opens_in_a_container_too(ftkit: Run, started: list[list[str]], monkeypatch: pytest.MonkeyPatch,
                                      user: int, allowed: bool) -> None:
    """There one is root, and JupyterLab refuses root unless it is told."""
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    assert ftkit("lab").code == 0
    assert ("--allow-root" in started[0]) is allowed


def test_lab_opens_what_is_named(ftkit: Run, started: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "mine.ipynb").write_text("{}")
    for name in ("mine.ipynb", ".", "01_bert_text_classification", "1", "01"):
        assert ftkit("lab", name, "--no-browser").code == 0
    opened = [command[3].split("/")[-1] for command in started]
    assert opened == ["mine.ipynb", ".", *["01_bert_text_classification.ipynb"] * 3]
    assert all(command[4] == "--no-browser" for command in started)


def test_lab_names_the_nearest_lesson(mistake: Callable[..., str], started: list[list[str]]) -> None:
    mistake(["lab", "01_bert_text"], "'01_bert_text.ipynb'", "Did you mean '01_bert_text_classification.ipynb'")
    mistake(["lab", "77"], "'77.ipynb'", "00_start_here.ipynb")
    assert not started


def test_lab_without_jupyterlab_says_how_to_get_it(mistake: Callable[..., str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jupyterlab" else real(name))
    mistake(["lab"], "JupyterLab is not installed", 'pip install "ftkit[lab]"')


def test_installed_lessons_are_copied_and_a_changed_one_is_never_overwritten(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "installed", tmp_path / "mine"
    (source / "images").mkdir(parents=True)
    for name, text in (("00.ipynb", "one"), ("01.ipynb", "one"), ("images/a.png", "one")):
        (source / name).write_text(text)

    def copy() -> dict[str, str]:
        lab.copy_lessons(source, target)
        return {file.relative_to(target).as_posix(): file.read_text() for file in target.rglob("*")
                if file.is_file() and not file.name.startswith(".")}

    assert copy() == {"00.ipynb": "one", "01.ipynb": "one", "images/a.png": "one"}
    (target / "00.ipynb").write_text("my solution")
    for name in ("00.ipynb", "01.ipynb"):
        (source / name).write_text("a new edition")
    assert copy() == {"00.ipynb": "my solution", "01.ipynb": "a new edition", "images/a.png": "one"}
    assert "stay as they are: 00.ipynb" in capsys.readouterr().err
    (target / "00.ipynb").write_text("a new edition")
    (target / "01.ipynb").unlink()
    assert copy() == {"00.ipynb": "a new edition", "01.ipynb": "a new edition", "images/a.png": "one"}
    assert capsys.readouterr().err == ""
    (target / lab._MANIFEST).write_text("nonsense")
    (source / "01.ipynb").write_text("a third edition")
    assert copy()["01.ipynb"] == "a new edition", "without a record of what was copied it may be the reader's own"


def test_lessons_of_an_installed_package_are_copied_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "ftkit"
    (package / "_notebooks").mkdir(parents=True)
    (package / "commands").mkdir()
    (package / "_notebooks" / lab.FIRST).write_text("{}")
    monkeypatch.setattr(lab, "__file__", str(package / "commands" / "lab.py"))
    assert lab.lessons() == Path("ftkit-notebooks")
    assert (tmp_path / "ftkit-notebooks" / lab.FIRST).is_file()
