"""Steering a run: Ctrl-C, pause, stop and other plans, from this thread and from another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import Data, data_for, tiny

from ftkit.errors import UnknownName, UserError
from ftkit.training import TrainSession, evaluate, fit, predict

Rows = list[dict[str, Any]]
_OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "precision": "fp32", "lr": 1e-3, "cache": "off"}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints of interrupted runs lie in the test's folder."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def make(strategy: str = "full", on_step: Callable[[dict[str, Any]], None] | None = None,
         data: Data | None = None, **settings: Any) -> TrainSession:
    return TrainSession(tiny("bert"), data or data_for("text"), strategy, on_step=on_step, **{**_OPTIONS, **settings})


def interrupt_at(step: int, times: int = 1) -> Callable[[dict[str, Any]], None]:
    """An observer that presses Ctrl-C: a real signal to this process."""
    def on_step(row: dict[str, Any]) -> None:
        if row["step"] == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
    return on_step


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def test_interrupt_leaves_a_usable_model_and_a_resumable_checkpoint(own_home: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.getsignal(signal.SIGINT)
    model, data = tiny("bert"), data_for("text")
    history = fit(model, data, "full", on_step=interrupt_at(5), **_OPTIONS)
    assert history.status == "interrupted"
    assert len(history.steps) == 5  # between two steps, and at the next one
    assert signal.getsignal(signal.SIGINT) is handler
    assert not model.net.training
    assert 0 <= evaluate(model, data.test)["accuracy"] <= 1
    assert predict(model, "a great film").label in ("bad", "good")
    said = capsys.readouterr().err
    assert "Interrupted after step 5 of 18" in said
    assert "resume=True" in said
    assert history.checkpoint
    assert Path(history.checkpoint).is_relative_to(own_home)

    whole = fit(tiny("bert"), data, "full", **_OPTIONS)  # another run, from the start: the checkpoint is not its own
    resumed = fit(tiny("bert"), data, "full", resume=True, **_OPTIONS)
    assert [row["loss"] for row in resumed.steps] == [row["loss"] for row in whole.steps]
    assert resumed.status == "finished"
    assert resumed.checkpoint is None
    assert not list(own_home.rglob("session.json")), "a finished run leaves no checkpoint behind"


def test_resuming_without_an_interruption_says_so() -> None:
    with pytest.raises(UserError, match="There is no checkpoint"):
        fit(tiny("bert"), data_for("text"), "full", resume=True, **_OPTIONS)


def test_a_timer_thread_interrupts_while_a_step_runs(own_home: Path) -> None:
    session = make(epochs=200)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    history = session.run()
    timer.join()
    assert history.status == "interrupted"
    assert all(p.isfinite().all() for p in session.net.parameters())
    assert make(epochs=200).resume(history.checkpoint).step_count == len(history.steps)


def test_the_second_interrupt_breaks_off_at_once() -> None:
    session = make(on_step=interrupt_at(2, times=2))
    with pytest.raises(KeyboardInterrupt):
        session.run()
    session.on_step = None
    assert session.run().status == "finished"  # and the session is not stuck in its stop


def test_an_interrupt_in_the_last_step_finishes_the_run() -> None:
    session = make(on_step=interrupt_at(18))
    assert session.run().status == "finished"


def test_a_run_in_another_thread_leaves_signals_alone() -> None:
    handler, seen = signal.getsignal(signal.SIGINT), []
    session = make(on_step=lambda _: seen.append(signal.getsignal(signal.SIGINT) is handler))
    worker = threading.Thread(target=session.run)
    worker.start()
    worker.join()
    assert seen
    assert all(seen)


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from nets import data_for, tiny
import ftkit as ft
history = ft.fit(tiny("resnet18"), data_for("image"), "full", epochs=2000, batch_size=4, precision="fp32", lr=1e-3,
                 out=sys.argv[2], on_step=lambda row: print(row["step"], flush=True))
print("status", history.status, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    """A whole process, as a student's: it ends by itself, in order, and its checkpoint is there."""
    command = [sys.executable, "-c", _SCRIPT, str(Path(__file__).parents[1]), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == "3":
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "status interrupted" in out
    assert "Interrupted after step" in err
    assert "Traceback" not in err
    assert (tmp_path / "out" / "checkpoint" / "session.json").is_file()


# --- pause and stop -------------------------------------------------------------------------------------------------


def in_thread(session: TrainSession) -> threading.Thread:
    worker = threading.Thread(target=session.run, daemon=True)
    worker.start()
    return worker


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_pause_go_on_and_stop_from_another_thread() -> None:
    session = make(epochs=5000)
    worker = in_thread(session)
    wait_for(lambda: session.step_count >= 3)
    session.pause()
    time.sleep(0.3)
    held = session.step_count
    time.sleep(0.3)
    assert session.step_count == held
    assert worker.is_alive()
    session.resume_run()
    wait_for(lambda: session.step_count > held)
    session.stop()
    worker.join(20)
    assert not worker.is_alive()
    assert session.history.status == "stopped"
    assert make(epochs=5000).resume(session.history.checkpoint).step_count == session.step_count


def test_stop_while_paused() -> None:
    session = make(epochs=5000)
    session.pause()
    worker = in_thread(session)
    time.sleep(0.15)
    assert session.step_count == 0
    session.stop()
    worker.join(20)
    assert not worker.is_alive()
    assert session.history.status == "stopped"


def test_a_stop_that_comes_before_the_run_is_not_lost() -> None:
    session = make(epochs=5000)
    session.stop()  # a button pressed before the worker thread got going
    assert session.run().status == "stopped"
    assert session.step_count == 0


def test_a_stopped_session_can_go_on_and_finish() -> None:
    whole = make().run()
    session = make(on_step=lambda row: session.stop() if row["step"] == 4 else None)
    assert session.run().status == "stopped"
    assert not session.net.training
    history = session.run()
    assert history.status == "finished"
    assert [row["loss"] for row in history.steps] == [row["loss"] for row in whole.steps]  # dropout was on again


def test_run_some_steps() -> None:
    session = make()
    assert session.run(steps=0).steps == []
    session.run(steps=2)
    session.run(steps=3)
    assert (session.step_count, session.history.status) == (5, "running")
    assert session.run().status == "finished"
    with pytest.raises(UserError, match="This run is finished"):
        session.step()
    assert len(session.run().steps) == 18  # running what is finished does nothing


def test_an_observer_that_fails_is_not_hidden() -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("the observer's own mistake")

    session = make(on_step=fail)
    with pytest.raises(RuntimeError, match="the observer's own mistake"):
        session.run()
    assert session.step_count == 1


# --- another plan in mid-run ----------------------------------------------------------------------------------------


def test_apply_takes_effect_at_the_next_step_and_is_recorded() -> None:
    session = make("probe")
    session.run(steps=2)
    weight = session.net.bert.encoder.layer[2].output.dense.weight
    before = weight.detach().clone()
    session.apply({"head": 1, "block 2": 1})
    assert not weight.requires_grad  # not before the boundary
    session.run(steps=1)
    assert weight.requires_grad
    assert not torch.equal(weight, before)
    events = [event for event in session.history.events if event["note"] == "another plan"]
    assert events == [{"step": 2, "note": "another plan", "groups": ["block 2", "head"]}]
    session.apply(None)
    session.run(steps=1)
    assert not weight.requires_grad
    kept = weight.detach().clone()
    session.run()
    assert torch.equal(weight, kept)


def test_apply_outlives_the_epoch() -> None:
    session = make("gradual")
    session.run(steps=1)
    session.apply({"head": 1})
    session.run()
    heads = sum(session.layers.sizes[name] for name in session.layers["head"].parameters)
    assert {row["trainable"] for row in session.history.epochs} == {heads}


def test_apply_from_another_thread() -> None:
    session = make("probe", epochs=5000)
    worker = in_thread(session)
    wait_for(lambda: session.step_count >= 2)
    session.apply({"block 1": 1})
    wait_for(lambda: any(event["note"] == "another plan" for event in session.history.events))
    session.stop()
    worker.join(20)
    assert session.snapshot()["groups"][2]["trainable"] > 0


@pytest.mark.parametrize(("plan", "kind", "message"), [
    ({"blok 1": 1}, UnknownName, "Did you mean 'block 1'"), ({}, UserError, "freezes everything"),
    ({"head": 0}, UserError, "freezes everything"), ({"head": -1}, UserError, "at least 0, not -1"),
])
def test_a_plan_that_cannot_be_is_refused_at_once(plan: dict[str, float], kind: type[Exception], message: str) -> None:
    session = make("probe")
    with pytest.raises(kind, match=message):
        session.apply(plan)
    assert session.run(steps=1).steps  # and the run goes on


def test_returning_to_the_best_epoch_takes_along_what_was_thawed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.9, 0.5, 0.4])
    monkeypatch.setattr("ftkit.training.epochs.score", lambda *_: {"accuracy": next(accuracies), "loss": 1.0})
    session = make("probe")
    session.run(steps=6)  # one epoch: the best one
    then = {name: tensor.clone() for name, tensor in session.net.state_dict().items()}
    session.apply({"head": 1, "block 0": 1})
    session.run()
    assert session.history.best_epoch == 0
    assert all(torch.equal(tensor, session.net.state_dict()[name]) for name, tensor in then.items())
