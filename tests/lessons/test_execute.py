"""`make notebooks`: runs a lesson, writes back what came out, how long it took and how much memory it needed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from ftkit.lessons import execute as module
from ftkit.lessons.execute import MEASURED, execute
from ftkit.training.precision import cpu_has_bf16

measure_torch = cache(module.memory_of_torch)  # once for all tests: a process that imports torch


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three cells, the second of which is an exercise with a solution and takes a while."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # by the clock
    monkeypatch.setattr(module, "LONG", 1.0)
    monkeypatch.setattr(module, "memory_of_torch", measure_torch)
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# A lesson"), v4.new_code_cell("import time, os\nmany = bytearray(200_000_000)"),
             v4.new_code_cell("time.sleep(1.2)\nprint(os.path.abspath('x'))",
                              metadata={"tags": ["exercise"], "ftkit": {"solution": "1", "seconds": 99}})]
    file = tmp_path / "00_lesson.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), file)
    return file


def test_time_and_memory_are_measured_and_written(lesson: Path) -> None:
    execute(lesson)
    first = nbformat.read(lesson, 4)
    text = first.cells[0].source
    assert text.startswith(f"# A lesson\n\n{MEASURED[0]}\nLast run: ")
    assert "GB of memory" in text
    assert float(text.split("at most ")[1].split()[0]) >= 0.2, "the 200 MB are counted"
    assert "torch" in text
    assert first.cells[2].metadata["ftkit"] == {"solution": "1", "seconds": 1}  # not the old 99
    assert "seconds" not in first.cells[1].metadata.get("ftkit", {})
    assert "…" in first.cells[2].outputs[0].text
    execute(lesson)
    again = nbformat.read(lesson, 4).cells[0].source
    assert again.count(MEASURED[0]) == 1
    assert again.count("Last run") == 1


def test_a_lesson_that_fails_stays_as_it_was(lesson: Path) -> None:
    notebook = nbformat.read(lesson, 4)
    notebook.cells[1].source = "1 / 0"
    nbformat.write(notebook, lesson)
    before = lesson.read_bytes()
    with pytest.raises(CellExecutionError):
        execute(lesson)
    assert lesson.read_bytes() == before


def test_a_picture_keeps_its_alternative_text_and_nothing_else(lesson: Path) -> None:
    notebook = nbformat.read(lesson, 4)
    notebook.cells[1].source = (
        "from IPython.display import display\n"
        "bundle = {'image/png': 'iVBORw0KGgo=', 'text/plain': 'A line that rises.'}\n"
        "display(bundle, raw=True, metadata={'image/png': {'alt': 'A line that rises.', 'width': 7}, 'other': 1})")
    notebook.cells[2].source = "1"
    nbformat.write(notebook, lesson)
    execute(lesson)
    (output,) = nbformat.read(lesson, 4).cells[1].outputs
    assert output.metadata == {"image/png": {"alt": "A line that rises."}}


def test_one_core_is_measured_by_its_own_clock(lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sleeps, or waits for another program, uses no processor time; what computes does."""
    if not Path("/proc/self/stat").is_file():
        assert not module.one_core()
        return
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(lesson, 4)
    notebook.cells[2].source = "time.sleep(3)"
    nbformat.write(notebook, lesson)
    idle = execute(lesson)
    notebook.cells[2].source = "until = time.process_time() + 3\nwhile time.process_time() < until: pass"
    nbformat.write(notebook, lesson)
    assert execute(lesson) - idle == pytest.approx(3, abs=1)
    text = nbformat.read(lesson, 4).cells[0].source
    assert "seconds of computing on 1 core" in text
    assert ("without bf16" in text) != cpu_has_bf16()
