"""Going back within a session, plans by epoch, and looking at gradients: what the playground is built on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import data_for, tiny

from ftkit.errors import DiskError, MemoryLimit, UserError
from ftkit.layers import LayerMap
from ftkit.report import audit
from ftkit.strategies import Custom
from ftkit.training import TrainSession
from ftkit.training import freezing as freezing_module
from ftkit.training.moments import Moment


def make(family: str = "bert", strategy: Any = "full", **settings: Any) -> TrainSession:
    model = tiny(family)
    options = {"epochs": 3, "batch_size": 8, "precision": "fp32", "lr": 5e-3, "cache": "off", **settings}
    return TrainSession(model, data_for(model.task.modality), strategy, **options)


def losses(session: TrainSession) -> list[float]:
    return [row["loss"] for row in session.history.steps]


# --- going back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("at", [0, 2, 3, 5])
@pytest.mark.parametrize(("family", "strategy"), [("bert", "full"), ("bert", "gradual:step=2"), ("resnet", "bn_only")])
def test_a_session_goes_back_and_repeats_itself_bit_for_bit(family: str, strategy: str, at: int,
                                                            optimizer: str) -> None:
    session = make(family, strategy, optimizer=optimizer, keep_best=False)
    session.run(at)
    moment = Moment(session)
    session.run()
    whole, end = losses(session), {n: t.clone() for n, t in session.net.state_dict().items()}
    moment.restore(session)
    assert (session.step_count, session.done, session.history.status) == (at, False, "running")
    session.apply({"block 1": 1})
    session.run(2)
    moment.restore(session)
    session.run()
    assert losses(session) == whole
    assert all(torch.equal(tensor, end[name]) for name, tensor in session.net.state_dict().items())
    assert not audit(session.model, session.history).warnings


def test_a_moment_is_small_and_goes_with_its_object() -> None:
    session = make(strategy="probe")
    session.run(2)
    moment = Moment(session)
    weights = next(moment.folder.glob("weights-*"))
    assert weights.stat().st_size < 4 * session.model.parameters / 4  # the head and nothing else
    assert session.history.checkpoint is None  # it is no checkpoint that another process could resume from
    folder = moment.folder
    del moment
    assert not folder.exists()


def test_another_session_cannot_go_on_from_half_a_checkpoint(tmp_path: Path) -> None:
    """A whole one holds all weights; half a one only works where the first weights are known."""
    session = make(strategy="probe")
    session.run(2)
    session.save(tmp_path / "whole")
    fresh = make(strategy="probe").resume(tmp_path / "whole")
    assert fresh.step_count == 2
    assert len(list((tmp_path / "whole").glob("weights-*"))) == 1
    assert next((tmp_path / "whole").glob("weights-*")).stat().st_size > 4 * session.model.parameters


def test_what_trained_only_later_is_not_planned_at_the_earlier_moment() -> None:
    session = make(strategy="probe")
    moment = Moment(session)
    session.apply({"block 0": 1, "head": 1})
    session.run(3)
    moment.restore(session)
    session.run()
    found = audit(session.model, session.history)
    assert not found.warnings
    assert {row["group"]: row["planned"] for row in found.rows}["block 0"] == 0
    assert {row["group"]: row["moved"] for row in found.rows}["block 0"] == 0


def test_a_plan_that_is_replaced_before_its_first_step_was_never_planned() -> None:
    """A checkpoint keeps the plan that waits; who goes back to it and freezes the group again has not trained it."""
    session = make(strategy="probe")
    session.run(1)  # in mid-epoch
    session.apply({"block 0": 1, "head": 1})
    moment = Moment(session)
    moment.restore(session)
    session.apply({"head": 1})
    session.run(2)
    found = audit(session.model, session.history, session.optimizer)
    assert not found.warnings
    assert {row["group"]: row["planned"] for row in found.rows}["block 0"] == 0


def test_the_best_weights_of_another_way_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.9, 0.5, 0.6, 0.4])
    monkeypatch.setattr("ftkit.training.epochs.score", lambda *_: {"accuracy": next(accuracies), "loss": 1.0})
    session = make(keep_best=True, epochs=2)
    start = Moment(session)
    session.run()  # the first epoch was the best
    start.restore(session)
    assert session.history.best_epoch is None
    assert not session.best.file.is_file()
    session.run(3)
    then = {name: tensor.clone() for name, tensor in session.net.state_dict().items()}
    session.run()
    assert session.history.best_epoch == 0
    assert all(torch.equal(tensor, then[name]) for name, tensor in session.net.state_dict().items())


def test_a_full_disk_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session = make()
    before = set(tmp_path.iterdir())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftkit.training.checkpoint.save_file", full)
    with pytest.raises(DiskError, match="The disk is full"):
        Moment(session)
    assert set(tmp_path.iterdir()) == before


# --- plans ----------------------------------------------------------------------------------------------------------


def test_plans_by_epoch_are_those_of_the_strategy() -> None:
    gradual, applied = make(strategy="gradual:step=2", keep_best=False), make(strategy="probe", keep_best=False)
    applied.apply([dict.fromkeys(gradual.layers.names[-count:], 1) for count in (1, 3, 5)])
    gradual.run(), applied.run()
    assert losses(applied) == losses(gradual)
    assert not audit(applied.model, applied.history).warnings


def test_the_last_of_a_list_of_plans_is_repeated_and_a_checkpoint_keeps_the_list(tmp_path: Path) -> None:
    session = make(strategy="probe", epochs=4)
    session.apply([{"head": 1}, {"head": 1, "block 2": 1}])
    session.run(2)
    session.save(tmp_path / "c")
    resumed = make(strategy="probe", epochs=4).resume(tmp_path / "c")
    session.run(), resumed.run()
    assert losses(resumed) == losses(session)
    trained = [row["trainable"] for row in resumed.history.epochs]
    assert trained[0] < trained[1] == trained[2] == trained[3]


def test_a_list_of_plans_of_which_one_freezes_everything_is_refused() -> None:
    session = make()
    for plans in ([], [{"head": 1}, {}], [{"head": 1}, {"stem": 0}]):
        with pytest.raises(UserError, match="freezes everything"):
            session.apply(plans)


def test_of_several_plans_between_two_steps_the_last_counts() -> None:
    session, plain = make(strategy="last_k:k=1"), make(strategy="last_k:k=1")
    for each in (session, plain):
        each.run(3)
    session.apply({"head": 1})
    session.apply({"head": 1, "block 2": 1})  # as it was: block 2 keeps its place in the optimizer
    session.run(), plain.run()
    assert losses(session) == losses(plain)
    assert not [event for event in session.history.events if event["note"] == "another plan"]


def test_the_cache_looks_ahead_into_a_list_of_plans() -> None:
    """Next epoch thaws all: keeping what the frozen layers say would not pay."""
    session = make(strategy="probe", cache="auto", epochs=2)
    session.apply([{"head": 1}, dict.fromkeys(session.layers.names, 1)])
    session.run(2)
    assert session.cut == 0
    constant = make(strategy="full", cache="auto", epochs=2)
    constant.apply({"head": 1})
    constant.run(2)
    assert constant.cut > 0


def test_modes_are_set_in_one_walk_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was one walk per group, which took half a second for 200 layers."""
    model = tiny("bert")
    walks: list[int] = []
    named_modules = model.net.named_modules
    monkeypatch.setattr(model.net, "named_modules", lambda *a, **k: walks.append(1) or named_modules(*a, **k))
    freezing_module.set_modes(model.net, model.layers, {"classifier.weight": 1.0})
    assert len(walks) == 1


def test_plans_by_group_name_are_read_in_one_walk_over_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    session = make()
    asked: list[int] = []
    names = LayerMap.names.fget
    assert names
    monkeypatch.setattr(LayerMap, "names", property(lambda self: asked.append(1) or names(self)))
    session.apply(dict.fromkeys(session.layers.parameters, 1.0))
    assert len(asked) < 3


def test_a_plan_that_waits_at_an_epochs_end_comes_before_the_strategys() -> None:
    """Else what both plans train would be frozen for a moment, and lose its momentum."""
    there_and_back = Custom([{"head": 1, "block 2": 1}, {"head": 1}])
    session, plain = make(strategy=there_and_back), make(strategy=Custom({"head": 1, "block 2": 1}))
    session.run(3)
    session.apply({"head": 1, "block 2": 1})
    session.run(), plain.run()
    assert losses(session) == losses(plain)
    assert [event["step"] for event in session.history.events if event["note"] == "another plan"] == [3]


def test_a_plan_for_later_that_was_dropped_before_then_is_no_contradiction() -> None:
    session = make(strategy="probe", keep_best=False)
    session.apply([{"head": 1}, {"head": 1, "stem": 1}])
    session.run(2)
    session.apply({"head": 1, "block 2": 1})
    session.run()
    assert not audit(session.model, session.history).warnings
    never = make(strategy="probe", keep_best=False)
    never.apply({"block 0": 1})  # before the first step: the head was never to train
    never.run()
    assert not audit(never.model, never.history).warnings
    kept = make(strategy="probe", keep_best=False)
    kept.apply([{"head": 1}, {"head": 1, "stem": 1}])
    kept.run()
    planned = {row["group"]: row["planned"] for row in audit(kept.model, kept.history).rows}
    assert planned["stem"] > 0
    assert not audit(kept.model, kept.history).warnings


# --- looking at gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}, {"clip": 1e-3}], ids=str)
def test_gradients_are_seen_once_per_step_before_clipping(settings: dict[str, Any]) -> None:
    session, plain = make(**settings), make(**settings)
    seen: list[tuple[int, float]] = []

    def look(step: int) -> None:
        gradients = [p.grad for p in session.net.parameters() if p.grad is not None]
        assert len(gradients) == len(list(session.net.parameters()))
        seen.append((step, torch.nn.utils.get_total_norm(gradients).item()))

    session.on_gradients = look
    session.run(), plain.run()
    assert [step for step, _ in seen] == list(range(1, session.total_steps + 1))
    assert min(norm for _, norm in seen) > 2e-3
    assert losses(session) == losses(plain)


# --- what fails leaves no trace -------------------------------------------------------------------------------------


def failing(session: TrainSession, at: int, fail: Callable[[], None]) -> None:
    """Let a step fail after its backward pass, once."""
    over: list[int] = []

    def on_gradients(step: int) -> None:
        if step == at and not over:
            over.append(step)
            fail()

    session.on_gradients = on_gradients


def _out_of_memory() -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


def _mistake() -> None:
    raise KeyError("the observer's own")


def _ctrl_c_twice() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("fail", "error"), [(_out_of_memory, MemoryLimit), (_mistake, KeyError),
                                             (_ctrl_c_twice, KeyboardInterrupt)])
@pytest.mark.parametrize("family", ["bert", "resnet"])
def test_a_step_that_failed_is_made_again_as_if_for_the_first_time(family: str, fail: Callable[[], None],
                                                                   error: type[BaseException]) -> None:
    """No gradient is added twice, and BatchNorm does not average a batch twice."""
    session, plain = make(family), make(family)
    failing(session, 4, fail)
    with pytest.raises(error):
        session.run()
    assert session.step_count == 3
    assert all(p.grad is None for p in session.net.parameters())
    session.run(), plain.run()
    assert losses(session) == losses(plain)
    ends = [each.net.state_dict() for each in (session, plain)]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


def test_a_stop_need_not_write_a_checkpoint(tmp_path: Path) -> None:
    session = make()
    session.control.out, session.control.saves = tmp_path, False
    session.on_step = lambda row: session.stop() if row["step"] == 2 else None
    assert session.run().status == "stopped"
    assert session.history.checkpoint is None
    assert not list(tmp_path.iterdir())
