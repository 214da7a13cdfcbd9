"""The panel of a run: it follows, it stops, and the run is bit for bit the same without it."""

from __future__ import annotations

import base64
import gc
import itertools
import re
import threading
import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
from kernels import executed
from nets import data_for, tiny

import ftkit as ft
from ftkit.errors import UnknownName
from ftkit.lessons.execute import clean
from ftkit.training import TrainSession, progress
from ftkit.widgets.progress import PAUSE, RunPanel
from ftkit.widgets.progress_svg import Trail
from ftkit.widgets.progress_words import duration

_OPTIONS: dict[str, Any] = {"epochs": 3, "precision": "fp32", "batch_size": 4}


class Clock:
    """Time that goes by `tick` at each look."""

    def __init__(self, tick: float = 1.0) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def panel_of(strategy: str = "probe", clock: Any = None, data: Any = None, **options: Any) -> RunPanel:
    session = TrainSession(tiny("bert"), data or data_for("text"), strategy, **{**_OPTIONS, **options})
    return RunPanel(session, clock or Clock())


def run(panel: RunPanel, steps: int | None = None) -> RunPanel:
    panel.session.on_step, panel.session.on_epoch = panel.step, panel.epoch
    panel.session.run(steps)
    return panel


# --- it follows ---------------------------------------------------------------------------------------------------


def test_the_bar_says_where_the_run_is_and_how_long_it_takes() -> None:
    panel = panel_of()
    assert "step 0 of 18 · epoch 1 of 3 · the first step is under way" in panel.regions()["bar"]
    run(panel, 9)
    bar = panel.regions()["bar"]
    row = panel.session.history.epochs[0]
    assert f"step 9 of 18 · epoch 2 of 3 · loss {panel.session.history.steps[-1]['loss']:.3f}" in bar
    assert f"accuracy {row['accuracy']:.3f}" in bar
    assert '<progress max="18" value="9" aria-label="Steps done">' in bar
    left = panel.seconds_left
    assert left is not None
    assert 7 < left < 13  # one look at the clock per step and one per epoch: about a second each
    assert panel.say == f"Epoch 1: training loss {row['train_loss']:.3f}, validation accuracy {row['accuracy']:.3f}."


def test_at_most_five_drawings_a_second() -> None:
    drawn: list[float] = []
    panel = panel_of(clock=Clock(0.01))
    panel.on_change.append(lambda: drawn.append(panel.drawn))
    run(panel)
    assert panel.clock.now < 0.3  # type: ignore[attr-defined]
    assert len(drawn) <= 1
    panel = panel_of(clock=Clock(PAUSE / 2))
    panel.on_change.append(lambda: drawn.append(panel.drawn))
    drawn.clear()
    run(panel)
    assert 5 <= len(drawn) <= 11
    assert min(later - earlier for earlier, later in itertools.pairwise(drawn)) >= PAUSE - 1e-9


def test_curves_grow_towards_the_end_of_the_axis() -> None:
    panel = panel_of()
    assert panel.regions()["curves"].count("polyline") == 0
    assert "comes after the first epoch" in panel.regions()["curves"]
    run(panel, 9)
    first = panel.regions()["curves"]
    run(panel)
    last = panel.regions()["curves"]
    assert _rightmost(first) < _rightmost(last) == 330.0
    assert first.count("<rect") == 2  # one epoch: a mark in each chart
    assert last.count("<rect") == 6
    assert 'role="img" aria-label="Loss: training (line), validation (squares). The line ends at ' in first
    assert 'aria-label="Validation accuracy. The last mark is at' in last


def drawing(html: str) -> str:
    """The SVG in an image."""
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return base64.b64decode(source).decode()


def _rightmost(svg: str) -> float:
    return max(float(x) for points in re.findall(r'points="([^"]+)"', svg)
               for x, _ in (point.split(",") for point in points.split()))


def test_without_a_validation_split_there_is_one_chart_and_no_accuracy() -> None:
    data = data_for("text", n_valid=0)
    panel = run(panel_of(data=data))
    panel.close()
    assert panel.regions()["curves"].count("<svg") == 1
    assert "accuracy" not in repr(panel)


def test_a_long_run_is_drawn_with_few_points_that_are_its_means() -> None:
    trail = Trail(100_000)
    for step in range(1, 100_001):
        trail.add(step, float(step))
    assert len(trail.points) == 200
    assert trail.points[0] == pytest.approx((250.5, 250.5))
    assert trail.points[-1] == pytest.approx((99_750.5, 99_750.5))
    short = Trail(3)
    for step in (1, 2, 3):
        short.add(step, 1.0)
    assert [step for step, _ in short.points] == [1, 2, 3]


def test_a_resumed_run_shows_the_steps_before_it(tmp_path: Path) -> None:
    first = run(panel_of(), 7).session
    first.save(tmp_path)
    again = TrainSession(tiny("bert"), data_for("text"), "probe", **_OPTIONS).resume(tmp_path)
    panel = RunPanel(again, Clock())
    assert len(panel.trail.points) == 7
    assert panel.seconds_left is None
    run(panel)
    assert len(panel.trail.points) == 18


def test_durations() -> None:
    assert [duration(s) for s in (-1, 0.4, 59.4, 200, 3900)] == ["0 s", "0 s", "59 s", "3 min 20 s", "1 h 5 min"]


# --- it changes nothing, and stops ----------------------------------------------------------------------------------


def test_bit_identical_with_and_without_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(display: Any) -> tuple[list[float], list[dict[str, Any]], Any]:
        monkeypatch.setattr(progress, "notebook_panel", display)
        model = tiny("bert")
        history = ft.fit(model, data_for("text"), "gradual", progress=display is not None, **_OPTIONS)
        rows = [{k: v for k, v in row.items() if k not in ("seconds", "peak_memory_mb")} for row in history.epochs]
        return [row["loss"] for row in history.steps], rows, model.net.state_dict()

    panels: list[RunPanel] = []

    def show(session: TrainSession) -> RunPanel:
        panels.append(RunPanel(session, Clock()))  # a drawing at every step
        panels[-1].on_change.append(lambda: panels[-1].regions())  # type: ignore[arg-type, return-value]
        return panels[-1]

    plain, shown = trained(None), trained(show)
    assert panels[0].ended
    assert shown[0] == plain[0]
    assert shown[1] == plain[1]
    assert all((a == b).all() for a, b in zip(shown[2].values(), plain[2].values(), strict=True))


def test_the_stop_button_leaves_a_usable_model_and_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pressed from another thread, as a kernel's subshell does; the same call with resume=True goes on from there."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    panels: list[RunPanel] = []

    def show(session: TrainSession) -> RunPanel:
        panels.append(RunPanel(session, Clock()))
        return panels[-1]

    def press(row: dict[str, Any]) -> None:
        if row["step"] == 5:
            thread = threading.Thread(target=panels[0].command, args=("stop",))
            thread.start()
            thread.join()

    monkeypatch.setattr(progress, "notebook_panel", show)
    model, data = tiny("bert"), data_for("text")
    history = ft.fit(model, data, "probe", progress=True, on_step=press, **_OPTIONS)
    assert (history.status, len(history.steps)) == ("stopped", 5)
    assert "Stopping after this step" in panels[0].say
    assert _rightmost(drawing(panels[0].static_bundle()["text/html"])) > 300  # what was done fills the picture
    assert re.match(r"Stopped: 5 of 18 steps in \d+ s: training loss \d\.\d{3}\.$", repr(panels[0]))
    assert ft.predict(model, "a kind film").label in data.task.labels
    assert history.checkpoint
    assert Path(history.checkpoint).is_dir()
    assert "resume=True" in capsys.readouterr().err
    whole = ft.fit(tiny("bert"), data, "probe", progress=False, **_OPTIONS)
    rest = ft.fit(model, data, "probe", progress=False, resume=True, **_OPTIONS)
    assert [row["loss"] for row in rest.steps] == [row["loss"] for row in whole.steps]


def test_a_panel_that_is_closed_does_not_keep_its_run_in_memory() -> None:
    panel = panel_of()
    live, session = panel.panel, weakref.ref(panel.session)
    gc.collect()
    gc.disable()
    try:
        live.close()
        del panel
        assert session() is None
    finally:
        gc.enable()


def test_the_page_can_stop_and_nothing_else() -> None:
    panel = panel_of()
    with pytest.raises(UnknownName, match="Valid: stop"):
        panel.command("close")


def test_what_is_left_when_a_run_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    panels: list[RunPanel] = []

    def show(session: TrainSession) -> RunPanel:
        panels.append(RunPanel(session, Clock()))
        return panels[-1]

    monkeypatch.setattr(progress, "notebook_panel", show)
    with pytest.raises(ZeroDivisionError):
        ft.fit(tiny("bert"), data_for("text"), "probe", progress=True, on_step=lambda row: 1 / (3 - row["step"]),
               **_OPTIONS)
    assert repr(panels[0]).startswith("Broke off: 3 of 18 steps in ")


def test_the_end_in_words_and_as_a_page_without_buttons() -> None:
    panel = run(panel_of())
    panel.close()
    history = panel.session.history
    best = history.epochs[history.best_epoch or 0]
    assert re.sub(r"in \d+ s", "in N s", repr(panel)) == (
        f"Trained 3 epochs, 18 steps in N s: training loss {history.epochs[-1]['train_loss']:.3f}, validation accuracy "
        f"{best['accuracy']:.3f} in epoch {best['epoch'] + 1}, whose weights were kept.")
    bundle = panel.static_bundle()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "<button" not in bundle["text/html"]
    assert drawing(bundle["text/html"]).count("<polyline") == 3
    ElementTree.fromstring(drawing(bundle["text/html"]))  # as an image it must be whole XML
    assert "<svg" not in bundle["text/html"]  # GitHub would leave its words as loose text
    assert 'alt="Loss: training (line), validation (squares). The line ends at' in bundle["text/html"]


# --- in a notebook --------------------------------------------------------------------------------------------------

_CELLS = ["""
import sys
sys.path.insert(0, TESTS)
from nets import data_for, tiny
import ftkit as ft
history = ft.fit(tiny("bert"), data_for("text"), "probe", epochs=2, precision="fp32", batch_size=4)
""", """
from ftkit.widgets import progress
progress.RunPanel.epoch = lambda *_: 1 / 0     # a panel that breaks in the middle of a run
again = ft.fit(tiny("bert"), data_for("text"), "probe", epochs=2, precision="fp32", batch_size=4)
print([row["loss"] for row in again.steps] == [row["loss"] for row in history.steps])
"""]


@pytest.mark.timeout(300)
def test_an_executed_notebook_keeps_the_sentence_and_the_curves_and_no_widget() -> None:
    """By nbclient, as `make notebooks` and nbval do it: there is no front end, and it must not hang."""
    tests = str(Path(__file__).parents[1])
    notebook = executed(*(cell.replace("TESTS", repr(tests)) for cell in _CELLS), timeout=200)
    clean(notebook)
    first, second = (cell.outputs for cell in notebook.cells)
    assert [out.output_type for out in first] == ["display_data"]
    assert set(first[0].data) == {"text/html", "text/plain"}
    assert first[0].data["text/plain"].startswith("Trained 2 epochs, 12 steps in ")
    assert drawing(first[0].data["text/html"]).count("<polyline") == 3
    assert "True" in "".join(out.get("text", "") for out in second)
    whole = nbformat.writes(notebook)
    assert "ftkit-static-only" in whole  # the same in each run: a name made at random would change every commit
    assert not re.search("ftkit-static-[0-9a-f]{12}", whole)
    assert "widget-view+json" not in whole
    assert "widgets" not in notebook.metadata
