"""Experiment: commands and snapshots of a real, tiny run, without any view."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import nets
import pytest
import torch
from nets import Data, data_for, tiny

from ftkit.errors import TrainingDiverged, UnknownName, UserError
from ftkit.report import audit
from ftkit.strategies import GradualUnfreeze, LinearProbe
from ftkit.training import TrainSession
from ftkit.widgets import worker as worker_module
from ftkit.widgets.bell import Bell
from ftkit.widgets.experiment import Experiment

_OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "precision": "fp32", "cache": "off"}
_STEPS = 18  # 24 examples in batches of 4, three epochs

# Step: what is switched before the next one.
_PLAY: dict[int, tuple[str, dict[str, Any]]] = {
    4: ("toggle", {"group": "block 2"}), 7: ("scale", {"group": "head", "value": 0.5}),
    9: ("preset", {"name": "gradual"}), 14: ("toggle", {"group": "stem"})}


def make(family: str = "bert", strategy: Any = "probe", data: Data | None = None, **settings: Any) -> Experiment:
    model = tiny(family)
    return Experiment(model, data or data_for(model.task.modality), strategy, **{**_OPTIONS, **settings})


def losses(experiment: Experiment) -> list[float]:
    return [row["loss"] for row in experiment.session.history.steps]


def row(snapshot: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(group for group in snapshot["groups"] if group["name"] == name)
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for worker in list(worker_module._ALL):
        worker.hold("stopped")
        assert worker.wait(20)
    assert not [thread for thread in threading.enumerate() if thread.name == "ftkit-experiment" and not thread.daemon]


# --- the same losses, whoever looks on ------------------------------------------------------------------------------


def play_here(experiment: Experiment) -> None:
    """In this thread, stretch by stretch."""
    for step in sorted({*_PLAY, _STEPS}):
        experiment.train(steps=step - experiment.session.step_count)
        if step in _PLAY:
            experiment.command(_PLAY[step][0], **_PLAY[step][1])


def play_in_one_go(experiment: Experiment) -> None:
    """In the worker, which never rests: the commands come at the very end of a step."""
    watching = experiment.session.on_step
    assert watching

    def on_step(done: dict[str, Any]) -> None:
        watching(done)
        if done["step"] in _PLAY:
            experiment.command(_PLAY[done["step"]][0], **_PLAY[done["step"]][1])

    experiment.session.on_step = on_step
    experiment.run()
    assert experiment.wait(60)


def play_watched(experiment: Experiment) -> None:
    """In the worker, while a view and a second thread ask for snapshots all the time."""
    seen: list[str] = []
    experiment.on_change.append(lambda: seen.append(json.dumps(experiment.snapshot(), allow_nan=False)))
    experiment.bell.least = 0.0  # at each step
    experiment.watcher.pace.least = experiment.watcher.pace.share = 0.0
    experiment.watcher.pace.took = lambda seconds: None  # type: ignore[method-assign]
    over = threading.Event()
    asking = threading.Thread(target=lambda: [experiment.export() for _ in iter(over.is_set, True)])
    asking.start()
    for step in sorted({*_PLAY, _STEPS}):
        experiment.run(step - experiment.session.step_count)
        assert experiment.wait(60)
        if step in _PLAY:
            experiment.command(_PLAY[step][0], **_PLAY[step][1])
    over.set()
    asking.join()
    assert len(seen) > _STEPS


@pytest.mark.parametrize("cache", ["off", "auto"])
@pytest.mark.parametrize("family", ["bert", "resnet"])
def test_a_thread_no_thread_and_a_view_give_the_same_losses_bit_for_bit(family: str, cache: str) -> None:
    found = []
    for way in (play_here, play_in_one_go, play_watched):
        experiment = make(family, cache=cache)
        way(experiment)
        found.append((losses(experiment), {n: t.clone() for n, t in experiment.session.net.state_dict().items()},
                      experiment.snapshot()))
    assert len(found[0][0]) == _STEPS
    for other in found[1:]:
        assert other[0] == found[0][0]
        assert all(torch.equal(tensor, found[0][1][name]) for name, tensor in other[1].items())
        for key in ("groups", "curves", "status", "step"):  # and what is shown is the same as well
            assert other[2][key] == found[0][2][key], key


def test_a_session_that_nobody_looks_at_gives_the_same_losses() -> None:
    experiment = make()
    experiment.train({"head": 1, "block 1": 0.2}, 5)
    experiment.train("last_k:k=1", None)
    plain = TrainSession(tiny("bert"), data_for("text"), LinearProbe(decay="constant"), keep_best=False, **_OPTIONS)
    plain.apply({"head": 1, "block 1": 0.2})
    plain.run(5)
    plain.apply({"head": 1, "block 2": 1})
    plain.run()
    assert losses(experiment) == [row["loss"] for row in plain.history.steps]


# --- toggling -------------------------------------------------------------------------------------------------------


def test_a_toggle_waits_for_the_next_step() -> None:
    experiment = make()
    weight = experiment.session.net.bert.encoder.layer[2].output.dense.weight
    experiment.toggle("block 2")
    assert experiment.wait(10)
    waiting = row(experiment.snapshot(), "block 2")
    assert (waiting["state"], waiting["pending"], waiting["gradient"]) == ("frozen", "trains", "stored")
    assert waiting["activation_bytes"] > 0  # a preview
    assert not weight.requires_grad
    after = row(experiment.train(steps=1), "block 2")
    assert (after["state"], after["pending"]) == ("trains", None)
    assert after["grad_norm"] > 0
    assert after["drift"] > 0
    assert after["optimizer_bytes"] > 0
    assert weight.requires_grad


def test_frozen_and_thawed_between_two_steps_keeps_its_momentum() -> None:
    experiment, plain = make(), make()
    for each in (experiment, plain):
        each.train("last_k", 5)
    experiment.toggle("block 2")
    experiment.toggle("block 2")
    assert row(experiment.snapshot(), "block 2")["pending"] is None
    for each in (experiment, plain):
        each.train()
    assert losses(experiment) == losses(plain)
    assert [e["text"] for e in experiment.snapshot()["curves"][0]["events"]] == ["blocks 1 to 2 thawed"]


def test_a_toggle_while_another_one_is_being_taken_over_is_not_lost() -> None:
    """Writing down a thawed group's first weights takes a moment: a second switch may come just then."""
    experiment = make()
    experiment.train(steps=2)
    will_train = experiment.session._will_train

    def slowly(names: set[str]) -> None:
        experiment.session._will_train = will_train  # type: ignore[method-assign]
        will_train(names)
        other = threading.Thread(target=experiment.toggle, args=("stem",))
        other.start()
        other.join(10)

    experiment.session._will_train = slowly  # type: ignore[method-assign]
    experiment.toggle("block 2")
    snapshot = experiment.train(steps=2)
    assert [group["state"] for group in snapshot["groups"]] == ["trains", "frozen", "frozen", "trains", "trains"]


def test_many_hands_at_once() -> None:
    """Whatever three students press at the same time: no deadlock, no lost thread, and the optimizer is in order."""
    experiment = make(epochs=5000, cache="auto")
    names, marks, end = experiment.session.layers.names, ["start"], time.monotonic() + 2

    def press(seed: int) -> None:
        rng = random.Random(seed)
        while time.monotonic() < end:
            with contextlib.suppress(UserError):  # nothing would train, say
                rng.choice([
                    lambda: experiment.toggle(rng.choice(names)), experiment.run,
                    lambda: experiment.set_group(rng.choice(names), "trains"),
                    lambda: experiment.step(rng.randint(1, 5)), experiment.pause, experiment.stop,
                    lambda: experiment.preset(rng.choice(["all", "gradual", "head"])), lambda: experiment.scrub(3),
                    lambda: experiment.scale(rng.choice(names), 0.3), lambda: experiment.scrub(None),
                    lambda: marks.append(experiment.checkpoint()) if len(marks) < 9 else None, experiment.code,
                    lambda: experiment.branch(rng.choice(marks)), lambda: json.dumps(experiment.snapshot()),
                    lambda: json.dumps(experiment.export(), allow_nan=False)])()
            time.sleep(rng.random() * 0.02)

    hands = [threading.Thread(target=press, args=(seed,)) for seed in range(3)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
        assert not hand.is_alive()
    experiment.stop()
    assert experiment.wait(30)
    assert experiment.snapshot()["status"] in ("ready", "paused", "stopped"), experiment.snapshot()["message"]
    snapshot = experiment.train(steps=2)
    assert not any(group["warnings"] for group in snapshot["groups"])
    session = experiment.session
    held = {id(p) for group in session.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in session.net.parameters() if p.requires_grad}
    assert set(map(id, session.optimizer.state)) == held
    assert not audit(session.model, session.history, session.optimizer).warnings


def test_a_group_thawed_by_hand_trains_at_the_rate_that_suits_a_body() -> None:
    experiment = make()  # of a probe, the rate is ten times that of a whole BERT
    assert row(experiment.snapshot(), "block 2")["scale"] == 0.1
    experiment.toggle("block 2")
    experiment.train(steps=3)
    groups = experiment.session.optimizer.param_groups
    assert {group["lr_scale"] for group in groups if group["params"]} == {0.1, 1.0}
    assert row(make(lr=1e-3).snapshot(), "block 2")["scale"] == 1.0  # who names a rate, means it
    assert row(make(strategy="full").snapshot(), "block 2")["scale"] == 1.0
    assert make().session.settings.lr == pytest.approx(10 * make(strategy="full").session.settings.lr)


def test_a_scale_is_kept_for_when_the_group_is_thawed() -> None:
    experiment = make()
    experiment.scale("block 1", 0.25)
    assert row(experiment.snapshot(), "block 1")["state"] == "frozen"
    experiment.set_group("block 1", "trains")
    assert row(experiment.train(steps=1), "block 1")["scale"] == 0.25
    experiment.scale("block 1", 0.5)
    snapshot = experiment.train(steps=1)
    assert row(snapshot, "block 1")["scale"] == 0.5
    assert snapshot["curves"][0]["events"][-1] == {"step": 1, "text": "block 1 at rate ×0.5"}


def test_a_group_that_trains_in_part_is_thawed_whole_by_its_switch() -> None:
    experiment = make(strategy="bitfit")
    assert row(experiment.snapshot(), "block 0")["state"] == "partly"
    experiment.toggle("block 0")
    assert row(experiment.train(steps=1), "block 0")["state"] == "trains"
    experiment.toggle("block 0")
    assert row(experiment.train(steps=1), "block 0")["state"] == "frozen"


def test_the_rate_rises_and_stays() -> None:
    """Else what is thawed late would hardly move."""
    rates = [row["lr"] for row in run_through(make()).session.history.steps]
    assert rates[0] < rates[1] == rates[-1]
    falling = [row["lr"] for row in run_through(make(strategy=LinearProbe())).session.history.steps]
    assert falling[-1] < falling[5]  # an object says itself what it wants
    named = [row["lr"] for row in run_through(make(strategy="probe:decay=cosine")).session.history.steps]
    assert named[-1] < named[5]


def run_through(experiment: Experiment) -> Experiment:
    experiment.train()
    return experiment


@pytest.mark.parametrize(("preset", "trains"), [
    ({"name": "head"}, {"head"}), ({"name": "last_k", "k": 1}, {"block 2", "head"}),
    ({"name": "wrong_way"}, {"block 0"}),
    ({"name": "last_k"}, {"block 1", "block 2", "head"}), ({"name": "gradual"}, {"head"}),
    ({"name": "all"}, {"stem", "block 0", "block 1", "block 2", "head"}),
])
def test_presets(preset: dict[str, Any], trains: set[str]) -> None:
    experiment = make(strategy="full")
    experiment.command("preset", **preset)
    snapshot = experiment.train(steps=1)
    assert {group["name"] for group in snapshot["groups"] if group["state"] == "trains"} == trains
    assert preset["name"] in [known["name"] for known in snapshot["presets"]]


def test_gradual_begins_now_and_thaws_all_in_the_end() -> None:
    experiment = make()
    experiment.train({"block 0": 1}, 6)  # an epoch of something else
    experiment.preset("gradual")
    counts = []
    for steps in (3, 6):
        snapshot = experiment.train(steps=steps)
        counts.append(sum(group["state"] == "trains" for group in snapshot["groups"]))
    assert counts == [1, 5]
    texts = [(event["step"], event["text"]) for event in snapshot["curves"][0]["events"]]
    assert texts == [(0, "block 0 thawed"), (0, "head frozen"), (6, "block 0 frozen"), (6, "head thawed"),
                     (12, "stem, blocks 0 to 2 thawed")]
    by_step = {frame["step"]: frame["groups"] for frame in experiment.export()["states"]}
    assert by_step[6][1]["state"] == "trains"  # a recorded step shows the plan that made it


def test_batchnorm_only_is_offered_where_there_is_one() -> None:
    assert "bn_only" not in [preset["name"] for preset in make().snapshot()["presets"]]
    experiment = make("resnet")
    experiment.preset("bn_only")
    snapshot = experiment.train(steps=2)
    assert row(snapshot, "block 0")["state"] == "partly"
    assert not any(group["warnings"] for group in snapshot["groups"])


def test_which_way_gradients_go() -> None:
    snapshot = make(strategy="full").train("wrong_way", 1)
    assert [group["gradient"] for group in snapshot["groups"]] == ["none", "stored", "passes", "passes", "passes"]
    kept = [group["activation_bytes"] for group in snapshot["groups"]]
    assert kept[0] == 0
    assert all(kept[1:4])  # crossing frozen groups costs memory too
    assert row(make().train(steps=1), "block 1")["activation_bytes"] == 0


@pytest.mark.parametrize(("command", "arguments", "kind", "message"), [
    ("togle", {}, UnknownName, "Did you mean 'toggle'"),
    ("toggle", {"group": "blok 1"}, UnknownName, "Did you mean 'block 1'"),
    ("toggle", {"group": None}, UnknownName, "Unknown layer group 'None'"),
    ("toggle", {"grup": "head"}, UserError, "toggle: .*It takes group"),
    ("toggle", {"group": "head"}, UserError, "freezes everything"),
    ("set_group", {"group": "head", "state": "on"}, UnknownName, "Valid: trains, frozen"),
    ("scale", {"group": "head", "value": 0}, UserError, "a number above 0, not 0"),
    ("scale", {"group": "head", "value": math.nan}, UserError, "a number above 0"),
    ("scale", {"group": "head", "value": "fast"}, UserError, "a number above 0, not 'fast'"),
    ("preset", {"name": "haed"}, UnknownName, "Did you mean 'head'"),
    ("preset", {"name": "last_k", "k": 9}, UserError, "has 3 blocks"),
    ("preset", {"name": "last_k", "k": "two"}, UserError, "a whole number"),
    ("preset", {"name": "head", "k": 2}, UserError, "k counts the blocks of the preset 'last_k'"),
    ("preset", {"name": "bn_only"}, UserError, "needs BatchNorm"),
    ("apply", {"plan": "gradul"}, UnknownName, "Did you mean 'gradual'"),
    ("apply", {"plan": "last_k:m=2"}, UnknownName, "option of strategy last_k"),
    ("apply", {"plan": {"hed": 1}}, UnknownName, "Did you mean 'head'"),
    ("apply", {"plan": []}, UserError, "A plan is a preset"), ("apply", {"plan": 3}, UserError, "not 3"),
    ("step", {"count": 0}, UserError, "at least 1, not 0"), ("run", {"steps": 1.5}, UserError, "not 1.5"),
    ("run", {"steps": True}, UserError, "not True"),
    ("ask", {"question": "acuracy"}, UnknownName, "Did you mean 'accuracy'"),
    ("guess", {"value": 3}, UserError, "no question to answer"),
    ("branch", {"checkpoint_id": "strat"}, UnknownName, "Did you mean 'start'"),
    ("branch", {"checkpoint_id": "start", "preset_or_plan": "haed"}, UnknownName, "Did you mean 'head'"),
    ("scrub", {"step": -1}, UserError, "at least 0"), ("scrub", {"step": "end"}, UserError, "not 'end'"),
])
def test_mistakes_are_named_and_change_nothing(command: str, arguments: dict[str, Any], kind: type[Exception],
                                               message: str) -> None:
    experiment = make()
    before = experiment.snapshot()
    with pytest.raises(kind, match=message):
        experiment.command(command, **arguments)
    assert isinstance(experiment.wait(10), bool)
    after = experiment.snapshot()
    assert after["groups"] == before["groups"]
    assert after["status"] == "ready"
    assert len(losses(run_through(experiment))) == _STEPS


def test_toggling_answers_within_50_ms_on_200_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way from the command to the snapshot, while it trains; and at rest."""
    monkeypatch.setitem(nets.TEXT_FAMILIES, "bert", {
        **nets.TEXT_FAMILIES["bert"], "num_hidden_layers": 200, "hidden_size": 4, "intermediate_size": 4,
        "num_attention_heads": 1})
    experiment = make(epochs=50)
    assert len(experiment.session.layers) == 202

    def answer(group: str) -> float:
        began = time.perf_counter()
        experiment.command("toggle", group=group)
        json.dumps(experiment.snapshot())
        return time.perf_counter() - began

    for running in (False, True):
        if running:
            experiment.run()
            wait_for(lambda: experiment.session.step_count >= 2)
        times = []
        for i in range(7):
            times.append(answer(f"block {20 * i}"))
            time.sleep(0.05)
        assert sorted(times)[3] < 0.05, times
        assert experiment.running == running


# --- run, pause, stop -----------------------------------------------------------------------------------------------


def test_run_pause_go_on_stop() -> None:
    experiment = make(epochs=5000)
    assert experiment.snapshot()["status"] == "ready"
    experiment.run(20_000)
    assert experiment.snapshot()["status"] == "running"
    wait_for(lambda: experiment.session.step_count >= 3)
    experiment.pause()
    assert experiment.wait(10)
    held = experiment.snapshot()
    assert held["status"] == "paused"
    assert held["step"] == experiment.session.step_count
    assert experiment.worker.held == 20_000
    assert held["recorded"][-1] == held["step"]  # what is shown at rest is of the last step
    experiment.run()
    wait_for(lambda: experiment.session.step_count > held["step"])
    assert experiment.worker.goal == 20_000
    experiment.stop()
    assert experiment.snapshot()["status"] in ("stopping", "stopped")
    assert experiment.wait(10)
    stopped = experiment.snapshot()
    assert stopped["status"] == "stopped"
    experiment.step()
    assert experiment.wait(10)
    assert experiment.snapshot()["status"] == "paused"
    assert experiment.session.step_count == stopped["step"] + 1
    assert experiment.session.history.checkpoint is None  # a stop leaves nothing on the disk


def test_stop_ends_within_one_step() -> None:
    experiment = make(epochs=5000)
    watching, begun, go = experiment.session.on_gradients, threading.Event(), threading.Event()

    def on_gradients(step: int) -> None:
        assert watching
        watching(step)
        if step == 3:
            begun.set()
            assert go.wait(20)

    experiment.session.on_gradients = on_gradients
    experiment.run()
    assert begun.wait(20)
    experiment.stop()
    assert experiment.snapshot()["status"] == "stopping"
    go.set()
    assert experiment.wait(10)
    assert experiment.session.step_count == 3


def test_step_by_step_and_to_the_end() -> None:
    experiment = make()
    experiment.step()
    assert experiment.wait(10)
    assert experiment.snapshot()["step"] == 1
    experiment.step(3)
    assert experiment.wait(10)
    assert (experiment.snapshot()["step"], experiment.snapshot()["status"]) == (4, "paused")
    experiment.run()
    assert experiment.wait(30)
    done = experiment.snapshot()
    assert (done["step"], done["status"], len(done["curves"][0]["valid"])) == (_STEPS, "finished", 3)
    for command in ("step", "run"):
        with pytest.raises(UserError, match="come to its end"):
            experiment.command(command)
    with pytest.raises(UserError, match="come to its end"):
        experiment.train()
    experiment.pause()
    experiment.stop()  # nothing to stop is no mistake
    assert experiment.snapshot()["status"] == "finished"


def test_another_goal_while_it_runs() -> None:
    experiment = make(epochs=5000)
    experiment.run()
    wait_for(lambda: experiment.session.step_count >= 2)
    experiment.step(5)
    assert experiment.wait(20)
    assert experiment.snapshot()["status"] == "paused"
    assert experiment.session.step_count < 20_000


def test_pause_taken_back_before_it_took_effect() -> None:
    experiment = make(epochs=5000)
    experiment.run()
    for _ in range(20):
        experiment.pause()
        experiment.run()
    before = experiment.session.step_count
    wait_for(lambda: experiment.session.step_count > before + 3)
    assert experiment.snapshot()["status"] == "running"


def test_train_here_is_refused_while_it_runs() -> None:
    experiment = make(epochs=5000)
    experiment.run()
    with pytest.raises(UserError, match="It is running"):
        experiment.train(steps=1)


def test_the_caller_s_helpers_are_let_go_before_the_thread_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[threading.Thread, threading.Thread | None]] = []
    play = make()
    monkeypatch.setattr("ftkit.widgets.worker.release_threads",
                        lambda: seen.append((threading.current_thread(), play.worker.thread)))
    play.step(1)
    assert play.wait(60)
    assert seen == [(threading.current_thread(), None)]
    play.train(steps=1)  # here, in this thread: it needs them itself
    assert len(seen) == 1


def test_the_thread_is_a_daemon_and_ends() -> None:
    experiment = make(epochs=5000)
    experiment.run(5)
    thread = experiment.worker.thread
    assert thread is not None
    assert thread.daemon
    assert experiment.wait(20)
    thread.join(5)
    assert not thread.is_alive()


# --- telling --------------------------------------------------------------------------------------------------------


def test_listeners_hear_of_it_at_most_five_times_a_second_while_it_trains() -> None:
    now, calls = [0.0], []
    bell = Bell(clock=lambda: now[0])
    bell.listeners.append(lambda: calls.append(now[0]))
    for _ in range(100):
        now[0] += 0.03
        bell.tick()
    assert 14 <= len(calls) <= 15  # three seconds
    bell.ring()
    assert calls[-1] == now[0]  # a command is answered at once


def test_a_listener_that_fails_does_not_end_the_training(caplog: pytest.LogCaptureFixture) -> None:
    experiment = make()

    def fail() -> None:
        raise RuntimeError("the view's own mistake")

    experiment.on_change.append(fail)
    with caplog.at_level(logging.ERROR):
        assert experiment.train()["status"] == "finished"
    assert "the view's own mistake" in caplog.text


def test_a_snapshot_no_longer_changes() -> None:
    experiment = make()
    experiment.train(steps=2)
    experiment.scrub(2)
    for look in (None, 2):
        experiment.scrub(look)
        snapshot = experiment.snapshot()
        text = json.dumps(snapshot, allow_nan=False)
        snapshot["groups"][0]["warnings"].append("mine")
        snapshot["curves"][0]["train"][0][1] = 7.0
        snapshot["header"]["share"] = 7.0
        assert "mine" not in json.dumps(experiment.snapshot())
        assert 7.0 not in (experiment.snapshot()["curves"][0]["train"][0][1], experiment.snapshot()["header"]["share"])
        assert json.dumps(experiment.snapshot()["groups"]) == json.dumps(json.loads(text)["groups"])


def test_the_header() -> None:
    experiment = make()
    fresh = experiment.snapshot()["header"]
    head = sum(experiment.session.layers.sizes[n] for n in experiment.session.layers["head"].parameters)
    assert (fresh["trainable"], fresh["share"]) == (head, head / experiment.session.model.parameters)
    assert fresh["step_ms"] is fresh["full_step_ms"] is fresh["cost"] is None
    assert 0 < fresh["memory_mb"] <= fresh["memory_limit_mb"]
    header = experiment.train(steps=4)["header"]
    assert header["cost"] == pytest.approx(header["step_ms"] / header["full_step_ms"])
    cached = make(cache="auto").train(steps=8)
    assert cached["header"]["cached_groups"] == 4
    assert cached["seconds_left"] > 0


# --- failing --------------------------------------------------------------------------------------------------------


def test_a_run_that_diverges_can_go_on_by_another_way() -> None:
    experiment = make(lr=1e30, clip=None, strategy="full:warmup=0")
    with pytest.raises(TrainingDiverged):
        experiment.train()
    failed = experiment.snapshot()
    assert failed["status"] == "failed"
    assert "learning rate 1e+30 is too high" in failed["message"]
    assert failed["step"] == experiment.session.step_count
    assert all(p.grad is None for p in experiment.session.net.parameters())
    experiment.branch("start", {"head": 1e-33})
    assert experiment.wait(10)
    assert experiment.snapshot()["message"] == ""
    assert experiment.train()["status"] == "finished"


def test_the_weights_are_as_before_the_step_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make("resnet", strategy="full")
    experiment.train(steps=3)
    before = {name: tensor.clone() for name, tensor in experiment.session.net.state_dict().items()}
    loss, broken = type(experiment.session.task).loss, [True]

    def out_of_memory(*arguments: Any, **options: Any) -> Any:
        found = loss(*arguments, **options)  # BatchNorm has seen the batch by now
        if broken[0]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return found

    monkeypatch.setattr(type(experiment.session.task), "loss", out_of_memory)
    experiment.run()
    assert experiment.wait(20)
    failed = experiment.snapshot()
    assert failed["status"] == "failed"
    assert "Memory ran out in step 4" in failed["message"]
    assert "freeze more layers" in failed["message"]
    assert all(torch.equal(t, before[n]) for n, t in experiment.session.net.state_dict().items())
    broken[0] = False
    experiment.preset("head")
    assert experiment.train()["status"] == "finished"
    whole = make("resnet", strategy="full")
    whole.train(steps=3)
    whole.train("head")
    assert losses(experiment) == losses(whole)


def test_a_mistake_of_the_program_is_shown_and_logged(monkeypatch: pytest.MonkeyPatch,
                                                     caplog: pytest.LogCaptureFixture) -> None:
    experiment = make()

    def fail(_: dict[str, Any]) -> None:
        raise KeyError("oh")

    experiment.session.on_step = fail
    with caplog.at_level(logging.ERROR):
        experiment.run()
        assert experiment.wait(10)
    assert (experiment.snapshot()["status"], experiment.snapshot()["message"]) == ("failed", "KeyError: 'oh'")
    assert "Traceback" in caplog.text


def test_strategies_that_change_the_network_cannot_come_later() -> None:
    class Adapting(GradualUnfreeze):
        name = "adapting"

        def adapt(self, model: Any) -> None:
            """Would insert something."""

    with pytest.raises(UserError, match="start a new experiment with it"):
        make().apply(Adapting())
