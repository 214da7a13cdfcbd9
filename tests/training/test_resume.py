"""Checkpoints: a run that was broken off goes on as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import Data, data_for, tiny

from ftkit.errors import DiskError, UserError, WeightsError
from ftkit.report import audit
from ftkit.strategies import Custom, GradualUnfreeze, LastK
from ftkit.training import History, TrainSession
from ftkit.training import checkpoint as checkpoint_module
from ftkit.training import epochs as epochs_module

# 24 examples in batches of 8: three steps an epoch, or two if two batches make a step.
_THERE_AND_BACK = Custom([{"head": 1, "stem": 1}, {"head": 1}, {"head": 1, "stem": 1}])


def make(family: str = "bert", strategy: Any = "full", data: Data | None = None, **settings: Any) -> TrainSession:
    model = tiny(family)
    options = {"epochs": 3, "batch_size": 8, "precision": "fp32", "lr": 5e-3, "cache": "off", **settings}
    return TrainSession(model, data or data_for(model.task.modality), strategy, **options)


def state_of(session: TrainSession) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in session.net.state_dict().items()}


def rows(history: History) -> list[Any]:
    """What must not depend on an interruption: everything but the clock, the memory and the cache."""
    steps = [(row["step"], row["epoch"], row["loss"], row["lr"], row["examples"]) for row in history.steps]
    clock = {"seconds", "peak_memory_mb", "cached"}
    return steps + [{k: v for k, v in row.items() if k not in clock} for row in history.epochs]


def broken_off(folder: Path, at: int, **arguments: Any) -> TrainSession:
    """The same run, left after `at` steps and taken up by a fresh model and session."""
    first = make(**arguments)
    first.run(steps=at)
    first.save(folder)
    second = make(**arguments)
    second.resume(folder)
    second.run()
    return second


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("at", [1, 3, 4], ids=["mid-epoch", "boundary", "second epoch"])
@pytest.mark.parametrize(("family", "strategy"), [("bert", "full"), ("bert", GradualUnfreeze(step=2)),
                                                  ("bert", _THERE_AND_BACK), ("resnet", "bn_only")], ids=str)
def test_bit_for_bit_as_uninterrupted(tmp_path: Path, optimizer: str, at: int, family: str, strategy: Any) -> None:
    whole = make(family, strategy, optimizer=optimizer)
    whole.run()
    second = broken_off(tmp_path / "c", at, family=family, strategy=strategy, optimizer=optimizer)
    assert rows(second.history) == rows(whole.history)
    assert second.history.status == whole.history.status == "finished"
    assert second.history.best_epoch == whole.history.best_epoch
    for name, tensor in state_of(whole).items():
        assert torch.equal(tensor, second.net.state_dict()[name]), name


@pytest.mark.parametrize("at", [1, 2, 3])
def test_with_accumulation(tmp_path: Path, at: int) -> None:
    arguments: dict[str, Any] = {"batch_size": 6, "accumulate": 3}  # four batches: steps of three and of one
    whole = make(**arguments)
    whole.run()
    assert [row["examples"] for row in whole.history.steps] == [18, 6] * 3
    assert rows(broken_off(tmp_path / "c", at, **arguments).history) == rows(whole.history)


@pytest.mark.parametrize("at", [2, 3, 5])
def test_with_the_cache_within_rounding(tmp_path: Path, at: int) -> None:
    whole = make(strategy=LastK(1), cache="auto")
    whole.run()
    second = broken_off(tmp_path / "c", at, strategy=LastK(1), cache="auto")
    expected = [row["loss"] for row in whole.history.steps]
    assert [row["loss"] for row in second.history.steps] == pytest.approx(expected, abs=1e-5)


def test_augmentation_is_the_same_after_resuming(tmp_path: Path) -> None:
    whole = make("vit", augment=True)
    whole.run()
    assert rows(broken_off(tmp_path / "c", 4, family="vit", augment=True).history) == rows(whole.history)


def test_saving_changes_nothing_of_the_run(tmp_path: Path) -> None:
    plain, saving = make(), make(on_step=None)
    saving.on_step = lambda _: saving.save(tmp_path / "c")
    plain.run(), saving.run()
    assert rows(saving.history) == rows(plain.history)


def test_the_best_epoch_before_the_interruption_is_returned_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy is made up, so that the first epoch is the best one; gradual unfreezing thaws more afterwards."""
    made_up = {0: 0.9, 1: 0.5, 2: 0.4}

    def run(at: int | None) -> TrainSession:
        calls: list[int] = []

        def score(*_: Any) -> dict[str, float]:
            calls.append(1)
            return {"accuracy": made_up[len(calls) - 1], "loss": 1.0}

        monkeypatch.setattr(epochs_module, "score", score)
        if at is None:
            session = make(strategy=GradualUnfreeze(step=2))
            session.run()
            return session
        return broken_off(tmp_path / "c", at, strategy=GradualUnfreeze(step=2))

    first = make(strategy=GradualUnfreeze(step=2))
    first.run(steps=3)
    after_one_epoch = state_of(first)
    for at in (None, 4, 6):
        session = run(at)
        assert session.history.best_epoch == 0
        assert all(torch.equal(tensor, session.net.state_dict()[name]) for name, tensor in after_one_epoch.items())


def test_a_plan_that_was_applied_goes_on_after_resuming(tmp_path: Path) -> None:
    sessions = [make(strategy="probe"), make(strategy="probe")]
    for session in sessions:
        session.run(steps=2)
        session.apply({"head": 1, "block 2": 0.5})
        session.run(steps=2)
    sessions[0].run()
    sessions[1].save(tmp_path / "c")
    resumed = make(strategy="probe").resume(tmp_path / "c")
    resumed.run()
    assert rows(resumed.history) == rows(sessions[0].history)
    assert not audit(resumed.model, resumed.history).warnings
    drifts = [{r["group"]: r["drift"] for r in audit(s.model, s.history).rows} for s in (sessions[0], resumed)]
    assert drifts[0] == drifts[1]  # from the first weights, not from those of the checkpoint
    assert drifts[0]["block 2"] > 0


def test_a_plan_that_still_waits_is_not_lost(tmp_path: Path) -> None:
    session = make(strategy="probe")
    session.run(steps=2)
    session.apply({"head": 1, "block 2": 1})
    session.stop()
    session.control.out = tmp_path
    session.run()
    resumed = make(strategy="probe").resume(tmp_path / "checkpoint")
    resumed.run(steps=1)
    assert resumed.net.bert.encoder.layer[2].output.dense.weight.requires_grad


def test_a_custom_function_can_be_resumed(tmp_path: Path) -> None:
    """Its address differs in every process: it must not be what tells two runs apart."""
    session = make(strategy=Custom(lambda layers, epoch: {"head": 1}))
    session.run(steps=2)
    session.save(tmp_path / "c")
    resumed = make(strategy=Custom(lambda layers, epoch: {"head": 1}))
    resumed.resume(tmp_path / "c").run()
    assert resumed.history.status == "finished"


def test_numbers_of_other_types_are_no_other_settings(tmp_path: Path) -> None:
    import numpy as np

    session = make(class_weights=(1, np.float32(2.0)), epochs=np.int64(3), lr=np.float32(0.5))
    session.run(steps=1)
    session.save(tmp_path / "c")
    make(class_weights=[1.0, 2.0], epochs=3, lr=0.5).resume(tmp_path / "c")


@pytest.mark.parametrize(("changed", "message"), [
    ({"lr": 1e-4}, r"lr was 0\.005 and is 0\.0001"), ({"seed": 3}, "seed was 0 and is 3"),
    ({"batch_size": 4}, "batch_size was 8 and is 4"), ({"epochs": 5}, "epochs was 3 and is 5"),
    ({"strategy": "probe"}, r"strategy was .Full\(.*\). and is .LinearProbe"),
    ({"optimizer": "sgd"}, "optimizer was 'adamw' and is 'sgd'"), ({"precision": "bf16"}, "precision was 'fp32'"),
    ({"family": "gpt2"}, "backbone was 'tiny-bert' and is 'tiny-gpt2'"), ({"clip": None}, "clip was 1.0 and is None"),
    ({"data": data_for("text", n=16)}, "data was '"), ({"class_weights": "balanced"}, "class_weights was None"),
])
def test_a_checkpoint_of_another_run_is_refused_naming_the_difference(
    tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    session = make()
    session.run(steps=1)
    session.save(tmp_path / "c")
    other = make(**changed)
    before = state_of(other)
    with pytest.raises(UserError, match=message):
        other.resume(tmp_path / "c")
    assert all(torch.equal(t, before[name]) for name, t in other.net.state_dict().items())
    assert other.step_count == 0


def test_no_checkpoint_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no checkpoint in .*nothing"):
        make().resume(tmp_path / "nothing")


@pytest.mark.parametrize("damage", ["weights", "optimizer", "state", "state of another kind", "no weights", "torn"])
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    session = make()
    session.run(steps=2)
    folder = session.save(tmp_path / "c")
    weights, optimizer = next(folder.glob("weights-*")), next(folder.glob("optimizer-*"))
    state = folder / checkpoint_module.STATE
    if damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "optimizer":
        optimizer.write_bytes(b"nonsense")
    elif damage == "state":
        state.write_text(state.read_text()[:50])
    elif damage == "state of another kind":
        state.write_text(json.dumps({"hello": 1}))
    elif damage == "no weights":
        weights.unlink()
    else:
        weights.write_bytes(b"")
    fresh = make()
    before = state_of(fresh)
    with pytest.raises(WeightsError, match=r"is damaged: .*Start again without resuming"):
        fresh.resume(folder)
    assert all(torch.equal(t, before[name]) for name, t in fresh.net.state_dict().items())
    fresh.run(steps=1)  # and can be trained from the start


def test_a_checkpoint_of_another_network_under_the_same_name(tmp_path: Path) -> None:
    session = make()
    session.run(steps=1)
    folder = session.save(tmp_path / "c")
    other = make()
    other.net.bert.embeddings.word_embeddings.weight = torch.nn.Parameter(torch.zeros(99, 32))
    with pytest.raises(WeightsError, match="is of another network"):
        other.resume(folder)


# --- atomic saves ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["weights", "optimizer", "moving the first file", "moving the last file"])
def test_an_older_checkpoint_survives_a_failed_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                    moment: str) -> None:
    session = make()
    session.run(steps=2)
    folder = session.save(tmp_path / "c")
    losses_then = [row["loss"] for row in session.history.steps]
    session.run(steps=2)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "weights":
            patch.setattr(checkpoint_module, "save_file", full)
        elif moment == "optimizer":
            patch.setattr(checkpoint_module.torch, "save", full)
        else:
            import os

            moves: list[Any] = []
            real = os.replace
            count = 1 if "first" in moment else 4

            def moving(*paths: Any) -> None:
                moves.append(paths)
                full() if len(moves) == count else real(*paths)

            patch.setattr("ftkit.disk.os.replace", moving)
        with pytest.raises(DiskError, match="Nothing older was lost"):
            session.save(folder)
    assert not [path for path in folder.iterdir() if path.name.startswith(".saving")]
    resumed = make().resume(folder)
    assert [row["loss"] for row in resumed.history.steps] == losses_then
    session.save(folder)  # the disk has room again
    assert make().resume(folder).step_count == 4
    assert len(list(folder.iterdir())) == 4  # nothing old is left lying about


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("mine")
    session = make()
    session.run(steps=1)
    session.save(tmp_path)
    session.save(tmp_path)
    assert (tmp_path / "weights.txt").read_text() == "mine"
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    session = make()
    session.run(steps=1)
    with pytest.raises(DiskError, match="could not be written"):
        session.save(tmp_path / "file")


def test_pictures_of_another_size_are_another_run(tmp_path: Path) -> None:
    session = make("resnet")
    session.run(steps=1)
    session.save(tmp_path / "c")
    model = tiny("resnet")
    model.processor = model.processor.at_size(16)
    other = TrainSession(model, data_for("image"), "full", epochs=3, batch_size=8, precision="fp32", lr=5e-3,
                         cache="off")
    with pytest.raises(UserError, match="image_size was 32 and is 16"):
        other.resume(tmp_path / "c")
