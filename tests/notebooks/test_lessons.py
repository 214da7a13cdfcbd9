"""Every lesson runs, by nbval, without a network; and what is committed is clean."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def read(lesson: Path) -> dict:
    return json.loads(lesson.read_text(encoding="utf8"))


def outputs(lesson: Path) -> list[dict]:
    return [out for cell in read(lesson)["cells"] for out in cell.get("outputs", [])]


def test_there_are_lessons() -> None:
    numbers = [lesson.name[:2] for lesson in LESSONS]
    assert numbers[0] == "00"
    assert len(set(numbers)) == len(numbers) >= 2


def test_the_kernel_has_no_network(tmp_path: Path) -> None:
    """The block that the lessons run under does refuse a connection (to an address that exists nowhere)."""
    code = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    tried = tmp_path / "tried.txt"
    run = subprocess.run([sys.executable, "-c", code], env=offline(tried), capture_output=True, text=True, timeout=60)
    assert "this test has no network" in run.stderr
    assert "192.0.2.1" in tried.read_text()


def offline(tried: Path) -> dict[str, str]:
    """A student's environment, but without a network; every attempt to reach one is written into `tried`.

    HF_HUB_OFFLINE is taken out: with it, a lesson that asks the hub would not be found out.
    """
    paths = [str(ROOT / "tests" / "netblock"), os.environ.get("PYTHONPATH", "")]
    own = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return {**own, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "NETBLOCK_LOG": str(tried)}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lesson_runs(lesson: Path, tmp_path: Path) -> None:
    """Every cell of a fresh kernel gives no error, within the time that nbval grants a cell, and none asks the network.
    """
    tried = tmp_path / "tried.txt"
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-cell-timeout=300", "-p",
               "no:cacheprovider", "-o", "addopts=", str(lesson)]
    run = subprocess.run(command, env=offline(tried), cwd=ROOT, capture_output=True, text=True, timeout=880)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert re.search(r"\d+ passed", run.stdout)
    assert not tried.exists(), tried.read_text()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lesson_is_committed_with_outputs_and_clean(lesson: Path) -> None:
    notebook = read(lesson)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code), "run: make notebooks"
    assert sum("image/png" in out.get("data", {}) for out in outputs(lesson)) >= 3, "a lesson shows pictures"
    assert "widgets" not in notebook["metadata"]
    text = json.dumps(notebook)
    assert "widget-view+json" not in text
    assert not re.search(r"/(home|root|tmp|Users|work)/", text), "a path of the machine that ran it"
    assert not any("execution" in cell["metadata"] for cell in code), "timestamps"
    assert not any(out["output_type"] == "error" for out in outputs(lesson))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_every_exercise_of_a_lesson_is_in_it(lesson: Path) -> None:
    from ftkit.lessons import exercises

    text = "".join("".join(cell["source"]) for cell in read(lesson)["cells"])
    numbers = exercises(lesson.name[:2])
    assert numbers
    for number in numbers:
        assert f'check("{number}"' in text, number
    assert set(re.findall(r'check\("([^"]+)"', text)) == set(numbers)
