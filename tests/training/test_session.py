"""TrainSession and fit: what a step does, what a run keeps, and what is refused."""

from __future__ import annotations

import gc
import json
import math
import random
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import Data, Split, data_for, tiny

from ftkit.backbones import Model, load_backbone
from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.errors import MemoryLimit, TrainingDiverged, UnknownName, UserError
from ftkit.strategies import Custom, Full, GradualUnfreeze
from ftkit.tasks import ImageClassification, TextClassification
from ftkit.training import History, Settings, TrainSession, evaluate, fit, memory
from ftkit.training import epochs as epochs_module
from ftkit.training import precision as precision_module
from ftkit.training.memory import is_out_of_memory, saved_bytes
from ftkit.training.precision import choose_precision
from ftkit.training.settings import class_weight_list

_CPU = torch.device("cpu")


def make(model: Model | None = None, strategy: Any = "full", data: Data | None = None, **settings: Any) -> TrainSession:
    model = model or tiny("bert")
    options = {"epochs": 2, "batch_size": 8, "precision": "fp32", "lr": 1e-2, "cache": "off", **settings}
    return TrainSession(model, data or data_for(model.task.modality), strategy, **options)


def losses(history: History) -> list[float]:
    return [row["loss"] for row in history.steps]


def state_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(net: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


# --- the loop itself ------------------------------------------------------------------------------------------------


def test_the_loop_is_the_loop_that_one_writes_by_hand() -> None:
    """Same batches, same optimizer, same losses: no dropout, no clipping, a constant rate."""
    session = make(tiny("bert", dropout=False), Full(warmup=0.0, decay="constant"), clip=None, weight_decay=0.0)
    session.run()
    by_hand = tiny("bert", dropout=False)
    data = data_for("text")
    optimizer = torch.optim.AdamW(by_hand.net.parameters(), lr=1e-2, weight_decay=0.0)
    from ftkit.training.batches import epoch_batches

    found = []
    by_hand.net.train()
    for epoch in range(2):
        for indices in epoch_batches(session.train.lengths, 8, 0, epoch):
            inputs = by_hand.processor([data.train.inputs[i] for i in indices], padding=True, return_tensors="pt")
            logits = by_hand.net(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor([data.train.targets[i] for i in indices]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
    assert losses(session.history) == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2", "vit", "resnet"])
def test_a_tiny_model_learns(family: str) -> None:
    model = tiny(family, dropout=False)
    data = data_for(model.task.modality, n=48, n_valid=0)
    fit(model, data, "full", epochs=12, lr=3e-3, batch_size=8, precision="fp32")
    assert evaluate(model, data.train, precision="fp32")["accuracy"] >= 0.9


def test_rows_of_steps_and_epochs() -> None:
    seen: dict[str, list[dict[str, Any]]] = {"steps": [], "epochs": []}
    session = make(strategy="probe", data=data_for("text", n=20))
    session.on_step, session.on_epoch = seen["steps"].append, seen["epochs"].append
    history = session.run()
    assert seen["steps"] == history.steps
    assert seen["epochs"] == history.epochs
    assert [row["step"] for row in history.steps] == [1, 2, 3, 4, 5, 6]
    assert sorted(row["examples"] for row in history.steps[:3]) == [4, 8, 8]
    assert [row["epoch"] for row in history.epochs] == [0, 1]
    for row in history.epochs:
        assert {"train_loss", "valid_loss", "accuracy", "seconds", "trainable", "cached", "peak_memory_mb"} <= set(row)
        mine = [step for step in history.steps if step["epoch"] == row["epoch"]]
        assert row["train_loss"] == pytest.approx(sum(s["loss"] * s["examples"] for s in mine) / 20)
        assert row["peak_memory_mb"] > 50
    assert history.train_seconds == pytest.approx(sum(row["seconds"] for row in history.epochs))
    assert session.total_steps == 6


def test_the_rate_follows_the_schedule() -> None:
    session = make(strategy=Full(warmup=0.5))
    session.run()
    assert [row["lr"] for row in session.history.steps] == pytest.approx(
        [1e-2 * share for share in (1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3)])


def test_the_rate_of_each_group_is_scaled() -> None:
    session = make(strategy="discriminative:factor=0.5,warmup=0,decay=constant")
    session.run(steps=1)
    rates = {id(p): group["lr"] for group in session.optimizer.param_groups for p in group["params"]}
    for name, parameter in session.net.named_parameters():
        depth = list(reversed(session.layers.names)).index(session.layers.group_of(name))
        assert rates[id(parameter)] == pytest.approx(1e-2 * 0.5**depth)


def test_the_test_split_is_never_looked_at() -> None:
    data = data_for("text")
    del data.test
    make(data=data).run()


def test_without_validation_examples() -> None:
    data = data_for("text", n_valid=0)
    history = make(data=data).run()
    assert "accuracy" not in history.epochs[0]
    assert history.best_epoch is None
    assert "History(finished, 2 epochs, 6 steps)" in repr(history)


def test_fewer_examples_than_a_batch() -> None:
    history = make(data=data_for("text", n=3)).run()
    assert [row["examples"] for row in history.steps] == [3, 3]


def test_training_twice_on_one_model() -> None:
    """As a lesson does: first the head, then everything, on the same weights."""
    model, data = tiny("bert"), data_for("text")
    first = make(model, "probe", data).run()
    second = make(model, "full", data).run()
    assert second.steps[0]["loss"] != first.steps[0]["loss"]
    assert all(p.requires_grad for p in model.net.parameters())
    third = make(model, "probe", data)
    third.step()
    assert not model.net.bert.embeddings.word_embeddings.weight.requires_grad


# --- seeds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "resnet"])
def test_one_seed_one_run(family: str) -> None:
    runs = [losses(make(tiny(family), seed=seed).run()) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_dropout_differs_from_step_to_step() -> None:
    session = make(strategy="probe", lr=1e-30, data=data_for("text", n=8))
    assert len({round(loss, 7) for loss in losses(session.run())}) == 2  # same batch, same weights, other dropout


def test_random_numbers_of_the_caller_are_left_alone() -> None:
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    states = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    fit(tiny("vit"), data_for("image"), "full", epochs=1, augment=True, precision="fp32")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert repr(np.random.get_state(legacy=False)) == repr(states[1])
    assert random.getstate() == states[2]


def test_the_caller_s_random_numbers_do_not_matter() -> None:
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        runs.append(losses(make().run()))
    assert runs[0] == runs[1]


# --- batches put together, gradients, weights of classes ------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch", "accumulate"), [(24, 6, 4), (22, 4, 6)])
@pytest.mark.parametrize("class_weights", [None, [0.5, 2.0]])
def test_accumulation_equals_the_large_batch(n: int, batch: int, accumulate: int, class_weights: Any) -> None:
    """Also with a last batch that is smaller, and with class weights: every example counts the same."""
    runs = []
    for size, steps in ((n, 1), (batch, accumulate)):
        session = make(tiny("bert", dropout=False), Full(warmup=0.0, decay="constant"), data_for("text", n=n),
                       batch_size=size, accumulate=steps, optimizer="sgd", weight_decay=0.0,
                       class_weights=class_weights)
        session.run()
        runs.append(session)
    assert len(runs[0].history.steps) == len(runs[1].history.steps) == 2
    assert losses(runs[0].history) == pytest.approx(losses(runs[1].history), abs=1e-6)
    for a, b in zip(runs[0].net.parameters(), runs[1].net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("clip", [0.01, None])
def test_clipping(clip: float | None) -> None:
    session = make(strategy=Full(warmup=0.0, decay="constant"), optimizer="sgd", lr=1.0, weight_decay=0.0, clip=clip)
    before = state_of(session.net)
    session.step()
    moved = math.sqrt(sum((p.detach() - before[name]).square().sum().item()
                          for name, p in session.net.named_parameters()))
    assert moved == pytest.approx(0.01, rel=1e-3) if clip else moved > 0.1


def test_balanced_class_weights() -> None:
    data = data_for("text", n=20)
    data.train.targets = [0] * 15 + [1] * 5
    session = make(strategy="probe", data=data, class_weights="balanced")
    assert session.class_weights.tolist() == pytest.approx([20 / 30, 20 / 10])
    assert sum(session.class_weights[t].item() for t in data.train.targets) == pytest.approx(20)  # 1 on average


def test_class_weights_multiply_each_example_s_loss() -> None:
    data = data_for("text", n=8)
    plain = make(tiny("bert", dropout=False), data=data).step()["loss"]
    for weights in ([2.0, 2.0], (2, 2)):
        assert make(tiny("bert", dropout=False), data=data, class_weights=weights).step()["loss"] == pytest.approx(
            2 * plain)


@pytest.mark.parametrize(("weights", "message"), [
    ([1.0], "2 positive numbers, one for each of bad, good"), ([1.0, 0.0], "2 positive numbers"),
    ([1.0, math.nan], "2 positive numbers"), ("balance", "Did you mean 'balanced'"), (3, "one number per class, not 3"),
    (["a", "b"], "one number per class"),
])
def test_class_weights_that_make_no_sense(weights: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(class_weights=weights)


def test_balanced_is_for_one_label_only() -> None:
    model = tiny("bert", multilabel=True)
    data = data_for("text")
    data.train.targets = data.valid.targets = [[1, 0]] * 24
    data.valid.inputs = data.train.inputs
    with pytest.raises(UserError, match="one label per example"):
        make(model, data=data, class_weights="balanced")
    make(model, data=data, class_weights=[1, 2]).step()


def test_a_class_without_examples_gets_a_finite_weight() -> None:
    data = data_for("text", n=4)
    data.train.targets = [0, 0, 0, 0]
    session = make(data=data)
    assert class_weight_list("balanced", session.model, session.train) == [0.5, 2.0]


# --- the best epoch -------------------------------------------------------------------------------------------------


def scripted(monkeypatch: pytest.MonkeyPatch, *scores: tuple[float, float]) -> None:
    """Validation says what the test wants: (accuracy, loss) for each epoch."""
    left = iter(scores)

    def score(*_: Any) -> dict[str, float]:
        accuracy, loss = next(left)
        return {"accuracy": accuracy, "loss": loss}

    monkeypatch.setattr(epochs_module, "score", score)


@pytest.mark.parametrize("strategy", ["full", GradualUnfreeze(step=2), "bn_only"])
def test_the_best_epoch_is_returned_to(monkeypatch: pytest.MonkeyPatch, strategy: Any) -> None:
    """Also when later epochs trained more layers, and with BatchNorm's statistics."""
    scripted(monkeypatch, (0.6, 1), (0.9, 1), (0.7, 1), (0.8, 1))
    states = []
    session = make(tiny("resnet") if strategy == "bn_only" else None, strategy, epochs=4)
    session.on_epoch = lambda _: states.append(state_of(session.net))
    history = session.run()
    assert history.best_epoch == 1
    assert same(session.net, states[1])
    assert not same(session.net, states[3])


def test_a_tie_goes_to_the_lower_loss_then_to_the_earlier_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, (0.9, 0.5), (0.9, 0.4), (0.9, 0.4), (0.8, 0.1))
    assert make(epochs=4).run().best_epoch == 1


def test_keep_best_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, (0.9, 1), (0.1, 1))
    states = []
    session = make(keep_best=False)
    session.on_epoch = lambda _: states.append(state_of(session.net))
    assert session.run().best_epoch is None
    assert same(session.net, states[-1])


def test_early_stopping_counts_epochs_without_a_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, (0.5, 1), (0.8, 1), (0.7, 1), (0.8, 1), (0.9, 1))
    history = make(epochs=5, patience=2).run()
    assert history.status == "early stop"
    assert len(history.epochs) == 4
    assert history.best_epoch == 1


def test_patience_that_runs_out_in_the_last_epoch_is_no_early_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, (0.8, 1), (0.7, 1))
    assert make(epochs=2, patience=1).run().status == "finished"


# --- a loss that is no number ---------------------------------------------------------------------------------------


def finite(session: TrainSession) -> bool:
    return all(bool(p.isfinite().all()) for p in session.net.parameters())


def test_a_learning_rate_that_is_too_high_is_named() -> None:
    session = make(lr=1e30, clip=None, strategy=Full(warmup=0.0), epochs=9)
    with pytest.raises(TrainingDiverged, match=r"The loss became (nan|inf) in step [2-9] \(epoch \d\)\. "
                       r"Likely cause: the learning rate 1e\+30 is too high.*and clip=1\.0") as caught:
        session.run()
    assert str(session.step_count + 1) in str(caught.value)


def test_broken_weights_are_named() -> None:
    model = tiny("bert")
    with torch.no_grad():
        model.net.classifier.weight[0, 0] = math.nan
    with pytest.raises(TrainingDiverged, match=r"in step 1 \(epoch 1\)\. The weights were broken before training: "
                                               r"classifier\.weight holds NaN"):
        make(model).run()


@pytest.mark.parametrize("family", ["vit", "resnet18"])
def test_a_broken_example_is_named_and_the_weights_stay_sound(family: str) -> None:
    model = tiny(family)

    class Broken(ImagePreprocess):
        """Says that black is not a number."""

        def normalise(self, images: torch.Tensor) -> torch.Tensor:
            floats = super().normalise(images)
            return torch.where((images == 0).flatten(1).all(1).view(-1, 1, 1, 1), math.nan, floats)

    model.processor = Broken(size=32, resize=32)
    data = data_for("image", n=8)
    data.train.inputs[5] = np.zeros((32, 32, 3), np.uint8)
    session = make(model, data=data, batch_size=4)
    with pytest.raises(TrainingDiverged, match=r"Training example 5 holds NaN.*data\.train\[5\]"):
        session.run()
    assert finite(session)
    assert all(bool(buffer.isfinite().all()) for buffer in model.net.buffers())  # BatchNorm saw it, and has forgotten
    assert all(p.grad is None for p in model.net.parameters())


def test_a_label_that_is_no_number_is_found() -> None:
    model = tiny("bert", multilabel=True)
    data = data_for("text", n=4)
    data.train.targets = [[0.0, 1.0], [1.0, math.nan], [1.0, 1.0], [0.0, 0.0]]
    data.valid = Split("valid", [], [])
    session = make(model, data=data)
    with pytest.raises(TrainingDiverged, match="Training example 1 holds NaN"):
        session.run()
    assert finite(session)


def test_overflow_in_the_first_step_is_not_blamed_on_the_learning_rate() -> None:
    session = make(class_weights=[3e38, 3e38])
    with pytest.raises(TrainingDiverged, match="first pass already overflows in fp32"):
        session.run()
    assert finite(session)


def test_what_diverged_can_be_trained_again_from_fresh_weights() -> None:
    data = data_for("text")
    with pytest.raises(TrainingDiverged):
        make(data=data, lr=1e30, clip=None).run()
    assert make(data=data).run().status == "finished"


# --- precision and memory -------------------------------------------------------------------------------------------


def test_bf16_is_close_to_fp32() -> None:
    runs = [make(tiny("bert", dropout=False), precision=precision, lr=1e-3) for precision in ("fp32", "bf16")]
    exact, rounded = (losses(session.run()) for session in runs)
    assert rounded != exact
    assert rounded == pytest.approx(exact, abs=0.05)
    assert {p.dtype for p in runs[1].net.parameters()} == {torch.float32}  # weights stay in full precision
    assert runs[1].history.config["precision"] == "bf16"


@pytest.mark.parametrize("hardware", [True, False])
def test_auto_takes_bf16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, hardware: bool) -> None:
    monkeypatch.setattr(precision_module, "cpu_has_bf16", lambda: hardware)
    assert choose_precision("auto", _CPU) == ("bf16" if hardware else "fp32")
    assert choose_precision("bf16", _CPU) == "bf16"  # asked for is asked for


def test_the_processor_is_asked_without_an_error() -> None:
    assert isinstance(precision_module.cpu_has_bf16(), bool)


@pytest.mark.parametrize(("precision", "kind", "message"), [
    ("fp16", UserError, "fp16 needs a GPU"), ("bf18", UnknownName, "Did you mean 'bf16'"),
    ("half", UnknownName, "Valid: auto, fp32, bf16, fp16"),
])
def test_precisions_that_cannot_be(precision: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make(precision=precision)


@pytest.mark.parametrize(("free", "message"), [
    (700_000, r"A batch of 4096 needs about \d+ MiB and 1 MiB are free\. At most about \d+ fit: use a smaller batch"),
    (1_000, "Not even one example fits"),
])
def test_a_batch_that_cannot_fit_is_refused_before_the_first_step(monkeypatch: pytest.MonkeyPatch, free: int,
                                                                  message: str) -> None:
    monkeypatch.setattr(memory, "memory_available", lambda: free)
    data = data_for("text", n=4096, n_valid=1)
    with pytest.raises(MemoryLimit, match=message):
        make(data=data, batch_size=4096)


def test_freezing_makes_a_batch_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = tiny("bert"), data_for("text", n=64)
    batch = model.task.collate(model.task.encode(data.train.inputs, data.train.targets, model.processor),
                               range(64), model.processor)
    needed = saved_bytes(model.net, model.task, batch)
    monkeypatch.setattr(memory, "memory_available", lambda: needed // 2)
    with pytest.raises(MemoryLimit):
        make(model, "full", data, batch_size=64)
    make(tiny("bert"), "probe", data, batch_size=64)


def test_a_run_leaves_no_tensor_behind() -> None:
    """When model and history are gone, so is everything that a run made: a lesson trains dozens of models."""
    def left_after_a_run() -> int:
        make(tiny("bert")).run()
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    left_after_a_run()  # what is made once and kept
    assert left_after_a_run() == left_after_a_run()


@pytest.mark.parametrize("strategy", ["full", "probe"])
def test_a_run_that_nobody_needs_goes_at_once(strategy: str) -> None:
    """Without waiting until Python looks for circles, which it seldom does for a few large objects."""
    gc.collect()
    gc.disable()
    try:
        session = make(strategy=strategy, cache="auto")
        session.run()
        gone = [weakref.ref(session), weakref.ref(session.optimizer), weakref.ref(session.net)]
        del session
        assert [ref() for ref in gone] == [None, None, None]
    finally:
        gc.enable()


def test_saved_bytes_grow_with_the_batch_and_leave_the_network_alone() -> None:
    model, data = tiny("resnet18"), data_for("image", n=8)
    encoded = model.task.encode(data.train.inputs, data.train.targets, model.processor)
    batches = [model.task.collate(encoded, range(n), model.processor) for n in (2, 4)]
    before = state_of(model.net)
    small, large = (saved_bytes(model.net, model.task, batch) for batch in batches)
    assert 1.5 < large / small < 2.5
    make(model, data=data)  # measures, too
    assert same(model.net, before)


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()])
def test_running_out_of_memory_in_a_step(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    session = make()
    session.run(steps=1)
    before = state_of(session.net)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(type(session.task), "forward", fail)
    with pytest.raises(MemoryLimit, match=r"Memory ran out in step 2 with batches of 8\. Use a smaller"):
        session.step()
    assert same(session.net, before)


def test_other_errors_are_not_called_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    session = make()
    monkeypatch.setattr(type(session.task), "forward", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match=r"inconsistent tensor size|size mismatch"):
        session.step()
    assert not is_out_of_memory(RuntimeError("size mismatch"))


# --- settings and refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "message"), [
    ({"epoch": 3}, "Unknown setting 'epoch'. Did you mean 'epochs'"), ({"epochs": 0}, "epochs must be a whole number"),
    ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"), ({"batch_size": -1}, "batch_size must"),
    ({"batch_size": "8"}, "batch_size must be a whole number of at least 1, not '8'"),
    ({"accumulate": 0}, "accumulate must"), ({"patience": 0}, "patience must"), ({"lr": 0}, "lr must be a number"),
    ({"lr": -1.0}, "lr must be a number above 0, not -1.0"), ({"lr": "1e-3"}, "a number above 0, not '1e-3'"),
    ({"lr": math.nan}, "lr must"), ({"lr": math.inf}, "lr must"), ({"clip": 0}, "clip must be a number above 0"),
    ({"weight_decay": -0.1}, "weight_decay must be a number of at least 0"), ({"seed": -1}, "seed must be a whole"),
    ({"seed": None}, "seed must be a whole"), ({"seed": 2**32}, r"seed must be below 2\*\*32"),
    ({"cache": True}, "cache is 'auto' or 'off', not True"), ({"optimizer": "adam"}, "Did you mean 'adamw'"),
    ({"epochs": None}, "epochs must be a whole"),
])
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**settings)


def test_settings_that_are_chosen() -> None:
    text, image = tiny("bert"), tiny("resnet")
    lr = {}
    for model in (text, image):
        for strategy in ("probe", "full"):
            session = TrainSession(model, data_for(model.task.modality), strategy, precision="fp32")
            lr[model.task.modality, strategy] = session.settings.lr
            assert session.settings.batch_size == (16 if model is text else 32)
    assert lr == {("text", "probe"): 1e-3, ("image", "probe"): 1e-3, ("text", "full"): 1e-4, ("image", "full"): 5e-4}


def test_numbers_of_numpy_are_taken_and_written_as_plain_ones() -> None:
    settings = Settings.make(epochs=np.int64(2), lr=np.float32(0.25), seed=np.int32(7), class_weights=np.ones(2))
    assert (settings.epochs, settings.lr, settings.seed, settings.class_weights) == (2, 0.25, 7, [1.0, 1.0])
    assert json.loads(History(config=vars(settings)).to_json())["config"]["epochs"] == 2


@pytest.mark.parametrize(("how", "mirrors"), [(True, True), ("shift", False)])
def test_pictures_of_letters_are_shifted_and_not_mirrored(how: bool | str, mirrors: bool) -> None:
    task = make(tiny("vit"), augment=how).task
    assert (task.augment, task.mirror) == (True, mirrors)  # type: ignore[attr-defined]


def test_another_augmentation_is_refused() -> None:
    with pytest.raises(UserError, match="augment is True, False or 'shift', not 'flip'"):
        make(tiny("vit"), augment="flip")


def test_augmentation_of_texts_is_refused() -> None:
    with pytest.raises(UserError, match="augment=True is for pictures and sounds, and the task here is text-class"):
        make(augment=True)


def test_data_of_other_labels() -> None:
    data = data_for("text")
    data.train.labels = ("negative", "positive")
    with pytest.raises(UserError, match="The model's head is for bad, good; the data have negative, positive"):
        make(data=data)


def test_what_is_not_data() -> None:
    with pytest.raises(UserError, match="fit needs what load_data returns, not Split"):
        make(data=data_for("text").train)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="The training split is empty"):
        make(data=data_for("text", n=0))


def test_a_strategy_that_does_not_fit_the_model() -> None:
    with pytest.raises(UserError, match="bn_only needs BatchNorm"):
        make(strategy="bn_only")
    with pytest.raises(UserError, match="freezes everything in epoch 1"):
        make(strategy=Custom([{"head": 1}, {}]))


# --- history, snapshot, fit -----------------------------------------------------------------------------------------


def test_the_snapshot_is_json_and_does_not_change() -> None:
    session = make(strategy="gradual")
    start = json.dumps(session.snapshot())
    assert json.loads(start)["step"] == 0
    session.run(steps=4)
    snapshot = session.snapshot()
    text = json.dumps(snapshot)
    session.run()
    assert json.dumps(snapshot) == text
    assert (snapshot["step"], snapshot["epoch"], snapshot["total_steps"], snapshot["epochs"]) == (4, 1, 6, 2)
    assert snapshot["seconds_left"] == pytest.approx(snapshot["seconds"] / 2)
    assert [g["name"] for g in snapshot["groups"]] == session.layers.names
    assert [bool(g["trainable"]) for g in snapshot["groups"]] == [False, False, False, True, True]
    assert session.snapshot()["status"] == "finished"


def test_history_goes_to_json_and_back(tmp_path: Path) -> None:
    history = make(strategy="probe", cache="auto").run()
    text = history.to_json(tmp_path / "history.json")
    again = History.from_json((tmp_path / "history.json").read_text())
    assert again == history  # the first weights are not compared: they stay in the process
    assert again.start is None
    assert again.to_json() == text
    assert again.config["strategy"].startswith("LinearProbe")


def test_history_frames() -> None:
    history = make(strategy="probe").run()
    assert list(history.frame()["epoch"]) == [0, 1]
    assert len(history.frame("steps")) == 6
    assert history.frame("events").empty
    with pytest.raises(UnknownName, match="Did you mean 'epochs'"):
        history.frame("epoch")


def test_repr_of_a_history_is_short_and_the_same_for_the_same_run() -> None:
    assert repr(make().run()) == repr(make().run())
    assert repr(History()) == "History(running, 0 steps)"


def test_fit_saves_the_model_and_the_history(tmp_path: Path) -> None:
    model, data = tiny("bert"), data_for("text")
    history = fit(model, data, "probe", epochs=2, precision="fp32", out=tmp_path / "run", progress=True)
    assert History.from_json((tmp_path / "run" / "history.json").read_text()) == history
    assert not (tmp_path / "run" / "checkpoint").exists()
    again = load_backbone(tmp_path / "run")
    assert evaluate(again, data.test, precision="fp32")["loss"] == pytest.approx(
        evaluate(model, data.test, precision="fp32")["loss"])


def test_fit_writes_a_checkpoint_after_every_epoch(tmp_path: Path) -> None:
    found = []
    fit(tiny("bert"), data_for("text"), "probe", epochs=3, batch_size=24, precision="fp32", out=tmp_path,
        on_step=lambda row: found.append((tmp_path / "checkpoint" / "session.json").is_file()))
    assert found == [False, True, True]


def test_the_observer_may_evaluate_in_the_middle_of_a_run() -> None:
    """As a panel does: what it does must not change the run."""
    data = data_for("text")
    plain = losses(make(data=data).run())
    session = make(data=data)
    session.on_step = lambda _: evaluate(session.model, data.valid, precision="fp32")
    assert losses(session.run()) == plain


def test_tasks_of_this_file_are_what_they_seem() -> None:
    assert isinstance(tiny("bert").task, TextClassification)
    assert isinstance(tiny("vit").task, ImageClassification)
