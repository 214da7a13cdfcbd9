"""Experiment: checkpoints, branches, scrubbing, exported runs, and guesses."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import data_for, tiny

from ftkit.errors import DiskError, UserError
from ftkit.report import audit
from ftkit.widgets import branches as branches_module
from ftkit.widgets import timeline as timeline_module
from ftkit.widgets.branches import Branch, letters, thin
from ftkit.widgets.experiment import Experiment
from ftkit.widgets.plans import listed
from ftkit.widgets.prediction import points
from ftkit.widgets.recording import Recording

_OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "precision": "fp32", "cache": "off"}
_STEPS = 18


def make(family: str = "bert", strategy: Any = "probe", **settings: Any) -> Experiment:
    model = tiny(family)
    return Experiment(model, data_for(model.task.modality), strategy, **{**_OPTIONS, **settings})


def losses(experiment: Experiment) -> list[float]:
    return [row["loss"] for row in experiment.session.history.steps]


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


# --- branches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [2, 6, 8], ids=["mid-epoch", "boundary", "second epoch"])
@pytest.mark.parametrize(("family", "strategy", "optimizer"), [
    ("bert", "full", "adamw"), ("bert", "gradual:step=2", "adamw"), ("bert", "full", "sgd"),
    ("resnet", "bn_only", "adamw")])
def test_a_branch_with_the_same_plan_repeats_the_run_bit_for_bit(family: str, strategy: str, optimizer: str,
                                                                 at: int) -> None:
    experiment = make(family, strategy, optimizer=optimizer)
    experiment.train(steps=at)
    mark = experiment.checkpoint()
    experiment.train()
    whole, end = losses(experiment), {n: t.clone() for n, t in experiment.session.net.state_dict().items()}
    for checkpoint in (mark, "start", mark):
        experiment.branch(checkpoint)
        experiment.train("wrong_way" if family == "bert" else "all", 3)  # astray, with momentum that must be forgotten
        experiment.branch(checkpoint)
        experiment.train()
        assert losses(experiment) == whole
        assert all(torch.equal(tensor, end[name]) for name, tensor in experiment.session.net.state_dict().items())
    curves = {curve["id"]: curve for curve in experiment.snapshot()["curves"]}
    first, last = curves["a"], experiment.snapshot()["curves"][0]
    assert last["train"] == [point for point in first["train"] if point[0] > at]
    assert last["valid"] == [point for point in first["valid"] if point[0] > at]


def test_another_plan_from_a_checkpoint() -> None:
    experiment = make()
    experiment.train(steps=5)
    mark = experiment.checkpoint("before the thaw")
    experiment.train("all", 7)
    experiment.branch(mark, "last_k")
    assert experiment.wait(10)
    back = experiment.snapshot()
    assert (back["step"], back["status"], back["message"]) == (5, "paused", "")
    assert back["checkpoints"] == [{"id": "start", "step": 0, "label": "start"},
                                   {"id": "1", "step": 5, "label": "before the thaw"}]
    assert [(curve["id"], curve["name"], curve["from_step"]) for curve in back["curves"]] == [
        ("b", "last 2 blocks", 5), ("a", "head only", 0)]
    assert len(back["curves"][1]["train"]) == 12  # the other way stays to be seen
    after = experiment.train(steps=2)
    assert [group["state"] for group in after["groups"]] == ["frozen", "frozen", "trains", "trains", "trains"]
    assert after["curves"][0]["events"] == [{"step": 5, "text": "blocks 1 to 2 thawed"}]
    straight = make()
    straight.train(steps=5)
    straight.train("last_k", 2)
    assert losses(experiment) == losses(straight)
    drifts = [{group["name"]: group["drift"] for group in each.snapshot()["groups"]} for each in (experiment, straight)]
    assert drifts[0] == drifts[1]
    assert drifts[0]["stem"] == 0  # it moved on the other branch, and is back
    assert not audit(experiment.session.model, experiment.session.history).warnings
    assert not any(group["warnings"] for group in experiment.snapshot()["groups"])


def test_a_checkpoint_and_a_branch_while_it_runs() -> None:
    experiment = make(epochs=400)
    experiment.run()
    wait_for(lambda: experiment.session.step_count > 4)
    mark = experiment.checkpoint()
    experiment.branch(mark, {"head": 1, "block 1": 0.5})
    experiment.toggle("stem")  # given at once, meant for the branch
    assert experiment.running
    wait_for(lambda: len(experiment.watcher.branch.train) > 2 and experiment.watcher.branch.id == "b")
    experiment.stop()
    assert experiment.wait(20)
    snapshot = experiment.snapshot()
    assert (snapshot["status"], snapshot["message"]) == ("stopped", "")
    assert [curve["id"] for curve in snapshot["curves"]] == ["b", "a"]
    assert snapshot["checkpoints"][1]["step"] == snapshot["curves"][0]["from_step"] > 4
    states = {group["name"]: group["state"] for group in snapshot["groups"]}
    assert states == {"stem": "trains", "block 0": "frozen", "block 1": "trains", "block 2": "frozen", "head": "trains"}


def test_a_finished_run_goes_on_from_a_checkpoint() -> None:
    experiment = make()
    experiment.train()
    experiment.branch("start", "all")
    experiment.run()  # at once: the branch opens the run again
    assert experiment.wait(30)
    snapshot = experiment.snapshot()
    assert (snapshot["status"], snapshot["step"]) == ("finished", _STEPS)
    assert len(snapshot["curves"][0]["train"]) == len(snapshot["curves"][1]["train"]) == _STEPS


def test_a_checkpoint_keeps_only_what_has_trained() -> None:
    experiment = make()
    experiment.train(steps=3)
    mark = experiment.checkpoint()
    assert experiment.wait(10)
    size = {name: sum(file.stat().st_size for file in checkpoint.moment.folder.glob("*.safetensors"))
            for name, checkpoint in ((c.id, c) for c in experiment.timeline.checkpoints)}
    head = sum(experiment.session.layers.sizes[n] for n in experiment.session.layers["head"].parameters)
    assert size["start"] < 2000
    assert 4 * head < size[mark] < 4 * head + 6000
    folder = experiment.timeline.checkpoints[1].moment.folder
    del experiment.timeline.checkpoints[1]
    assert not folder.exists()


def test_a_full_disk_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make()

    def full(_: Any) -> None:
        raise DiskError("The disk is full.")

    monkeypatch.setattr(timeline_module, "Moment", full)
    experiment.train(steps=2)
    mark = experiment.checkpoint()
    assert experiment.wait(10)
    assert experiment.snapshot()["message"] == "No checkpoint: The disk is full."
    assert experiment.train(steps=2)["status"] == "paused"
    experiment.branch(mark)
    assert experiment.wait(10)
    assert "nothing to go back to" in experiment.snapshot()["message"]
    assert experiment.snapshot()["step"] == 4


def test_letters() -> None:
    assert [letters(i) for i in (0, 1, 25, 26, 27, 51, 52)] == ["a", "b", "z", "aa", "ab", "az", "ba"]


def test_names_in_words() -> None:
    assert listed(["stem", "block 0", "block 1", "block 2", "block 4", "head"]) == "stem, blocks 0 to 2, block 4, head"
    assert listed(["block 9", "block 10"]) == "blocks 9 to 10"


# --- looking back ---------------------------------------------------------------------------------------------------


def test_scrubbing_shows_what_was_and_changes_nothing() -> None:
    experiment = make()
    seen = {0: experiment.snapshot()}
    for _ in range(3):
        snapshot = experiment.train("all" if len(seen) == 2 else None, 4)
        seen[snapshot["step"]] = snapshot
    before = experiment.snapshot()
    assert before["recorded"][0] == 0
    assert {4, 8, 12} <= set(before["recorded"])
    for step in (0, 4, 8, 12):
        experiment.scrub(step)
        back = experiment.snapshot()
        assert (back["showing"], back["step"], back["status"]) == (step, 12, "paused")
        assert back["loss"] == seen[step]["loss"]
        assert back["groups"] == seen[step]["groups"]
        assert back["curves"] == before["curves"]
    experiment.scrub(11_000)
    assert experiment.snapshot()["showing"] == 12
    experiment.scrub(None)
    now = experiment.snapshot()
    assert {k: v for k, v in now.items() if k != "header"} == {k: v for k, v in before.items() if k != "header"}
    experiment.scrub(4)
    experiment.toggle("stem")  # who steers, looks at now
    assert experiment.snapshot()["showing"] is None
    experiment.scrub(4)
    assert experiment.train(steps=1)["showing"] is None


def test_a_branch_can_be_scrubbed_back_to_the_beginning() -> None:
    experiment = make()
    experiment.train(steps=4)
    mark = experiment.checkpoint()
    experiment.train("all", 8)
    experiment.branch(mark, "last_k")
    snapshot = experiment.train(steps=2)
    assert {0, 4, 6} <= set(snapshot["recorded"])
    assert max(snapshot["recorded"]) == 6
    experiment.scrub(0)
    assert experiment.snapshot()["groups"][2]["state"] == "frozen"


def test_long_runs_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches_module, "FRAMES", 10)
    branch = Branch("a", "long")
    for step in range(1000):
        branch.keep({"step": step})
        branch.train.append((step, 0.5))
    assert len(branch.frames) <= 10
    assert {0, 999} <= set(branch.line())
    assert list(branch.line()) == sorted(branch.line())
    train = branch.curve()["train"]
    assert len(train) <= 400
    assert train[-1] == [999, 0.5]
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(train)}
    assert len(gaps) == 1
    assert thin(list(range(401))) == list(range(0, 401, 2))
    assert thin(list(range(400))) == list(range(400))
    assert thin([]) == []


# --- exported -------------------------------------------------------------------------------------------------------


def played() -> Experiment:
    experiment = make()
    experiment.train(steps=4)
    experiment.ask("accuracy")
    experiment.guess(50)
    experiment.train("last_k", None)
    return experiment


def test_an_exported_run_replays_without_the_model() -> None:
    experiment = played()
    text = json.dumps(experiment.export(), allow_nan=False)
    recording = Recording.from_export(json.loads(text))
    experiment.scrub(None)
    live, replayed = experiment.snapshot(), recording.snapshot()
    live["header"].pop("memory_mb"), replayed["header"].pop("memory_mb")
    assert replayed == live
    heard: list[int] = []
    recording.on_change.append(lambda: heard.append(1))
    for step in (0, 4, _STEPS, 5):
        recording.command("scrub", step=step)
        experiment.command("scrub", step=step)
        live, replayed = experiment.snapshot(), recording.snapshot()
        live["header"].pop("memory_mb"), replayed["header"].pop("memory_mb")
        assert replayed == live
    assert len(heard) == 4
    recording.command("scrub")
    assert recording.snapshot()["showing"] is None
    assert recording.code() == experiment.code()
    assert json.dumps(recording.export()) == text
    for command, arguments in (("toggle", {"group": "head"}), ("run", {}), ("scrub", {"at": 3})):
        with pytest.raises(UserError, match="This is a recording"):
            recording.command(command, **arguments)
    recording.snapshot()["groups"].clear()
    assert recording.snapshot()["groups"]


def test_a_run_exported_while_it_runs_is_at_rest_in_the_recording() -> None:
    experiment = make(epochs=400)
    experiment.run()
    run = experiment.export()
    experiment.stop()
    assert experiment.wait(20)
    assert Recording.from_export(run).snapshot()["status"] == "stopped"
    assert [state["step"] for state in run["states"]] == run["final"]["recorded"]


@pytest.mark.parametrize(("damage", "message"), [
    (lambda run: None, "not an exported run"), (lambda run: [], "not an exported run"),
    (lambda run: {**run, "kind": "history"}, "not an exported run"), (lambda run: {**run, "version": 2}, "version 2"),
    (lambda run: {k: v for k, v in run.items() if k not in ("states", "code")}, "it has no states, code"),
])
def test_what_is_no_exported_run_is_refused(damage: Any, message: str) -> None:
    run = {"version": 1, "kind": "ftkit run", "final": {}, "states": [], "code": {}}
    with pytest.raises(UserError, match=message):
        Recording.from_export(damage(run))


# --- guesses --------------------------------------------------------------------------------------------------------


def test_the_accuracy_is_revealed_at_the_end() -> None:
    experiment = make()
    experiment.ask("accuracy")
    asked = experiment.snapshot()["question"]
    assert (asked["kind"], asked["unit"], asked["guess"], asked["answer"], asked["score"]) == (
        "accuracy", "%", None, None, None)
    experiment.guess(62.5)
    assert experiment.train(steps=8)["question"]["answer"] is None  # an epoch is over, the run is not
    snapshot = experiment.train()
    reached = snapshot["curves"][0]["valid"][-1][2]
    assert snapshot["question"]["answer"] == 100 * reached
    assert snapshot["question"]["score"] == round(max(0, 100 - 5 * abs(62.5 - 100 * reached)))
    with pytest.raises(UserError, match="answered"):
        experiment.guess(70)
    with pytest.raises(UserError, match="The run is over"):
        experiment.ask("accuracy")


def test_the_cost_is_held_back_until_there_is_a_guess() -> None:
    experiment = make()
    experiment.train("last_k", 5)
    hidden = ("step_ms", "full_step_ms", "cost")
    assert all(experiment.snapshot()["header"][key] for key in hidden)
    experiment.ask("cost")
    assert [experiment.snapshot()["header"][key] for key in hidden] == [None] * 3
    experiment.scrub(5)
    assert experiment.snapshot()["header"]["cost"] is None  # not by looking back either
    experiment.scrub(None)
    experiment.guess(40)
    snapshot = experiment.snapshot()
    assert snapshot["question"]["answer"] == pytest.approx(100 * snapshot["header"]["cost"])
    assert snapshot["question"]["score"] == points("cost", 40, snapshot["question"]["answer"])


def test_the_cost_of_a_plan_that_has_not_run_is_not_known_yet() -> None:
    experiment = make()
    experiment.train("last_k", 5)
    experiment.preset("wrong_way")
    experiment.ask("cost")
    experiment.guess(40)
    assert experiment.snapshot()["question"]["answer"] is None
    assert experiment.train(steps=2)["question"]["answer"] is None
    assert experiment.train(steps=1)["question"]["answer"] is not None


def test_the_share_is_known_at_once() -> None:
    experiment = make()
    experiment.preset("last_k", k=1)
    experiment.ask("trainable")
    header = experiment.snapshot()["header"]
    assert (header["trainable"], header["share"]) == (None, None)
    experiment.guess(100)
    snapshot = experiment.snapshot()
    assert snapshot["question"]["answer"] == 100 * snapshot["header"]["share"]
    assert snapshot["header"]["trainable"] > 0


@pytest.mark.parametrize(("kind", "guess", "answer", "expected"), [
    ("accuracy", 80, 80, 100), ("accuracy", 80, 86, 70), ("accuracy", 50, 90, 0), ("cost", 50, 50, 100),
    ("cost", 100, 50, 50), ("cost", 25, 50, 50), ("cost", 10, 50, 0), ("trainable", 0, 5, 0), ("trainable", 0, 0, 100),
])
def test_scores(kind: str, guess: float, answer: float, expected: int) -> None:
    assert points(kind, guess, answer) == expected


@pytest.mark.parametrize("value", [-1, 101, float("nan"), float("inf"), "80", True, None])
def test_guesses_that_are_none(value: Any) -> None:
    experiment = make()
    experiment.ask("accuracy")
    with pytest.raises(UserError, match="A guess is"):
        experiment.guess(value)
    assert experiment.snapshot()["question"]["guess"] is None


# --- breaking off ---------------------------------------------------------------------------------------------------


def press_at(experiment: Experiment, step: int, times: int) -> None:
    """Ctrl-C, really, at the end of a backward pass."""
    watching = experiment.session.on_gradients

    def on_gradients(now: int) -> None:
        assert watching
        watching(now)
        if now == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    experiment.session.on_gradients = on_gradients


def test_ctrl_c_ends_after_the_step_and_the_run_goes_on_as_if_nothing_had_been() -> None:
    experiment, whole = make(strategy="full"), make(strategy="full")
    whole.train()
    press_at(experiment, 5, times=1)
    snapshot = experiment.train()
    assert (snapshot["status"], snapshot["message"], snapshot["step"]) == ("stopped", "Interrupted.", 5)
    assert experiment.train()["status"] == "finished"
    assert losses(experiment) == losses(whole)


def test_ctrl_c_twice_breaks_off_at_once_and_the_run_goes_on_as_if_nothing_had_been() -> None:
    experiment, whole = make("resnet", strategy="full"), make("resnet", strategy="full")
    whole.train()
    watching = experiment.session.on_gradients
    press_at(experiment, 5, times=2)
    with pytest.raises(KeyboardInterrupt):
        experiment.train()
    snapshot = experiment.snapshot()
    assert (snapshot["status"], snapshot["message"], snapshot["step"]) == ("stopped", "Interrupted.", 4)
    experiment.session.on_gradients = watching
    assert experiment.train()["status"] == "finished"
    assert losses(experiment) == losses(whole)  # half a gradient and the statistics of half a step are forgotten


_SCRIPT = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from nets import data_for, tiny
from ftkit.widgets.experiment import Experiment
experiment = Experiment(tiny("resnet18"), data_for("image"), "full", epochs=5000, batch_size=4, precision="fp32")
begun = threading.Event()
experiment.on_change.append(lambda: begun.set() if experiment.session.step_count > 3 else None)
experiment.run()
assert begun.wait(60)
print("leaving", flush=True)
"""


def test_python_ends_in_order_while_it_trains(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(Path(__file__).parents[1])], env=environment, timeout=120,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")
    assert not list(tmp_path.glob("ftkit-*"))  # nothing is left in the folder for temporary files
