"""Calibration: known gaps are found, chance is told apart, and a temperature that was put in comes out again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ftkit.errors import UserError
from ftkit.report import apply_temperature, calibration, fit_temperature
from ftkit.training import Evaluation


def made(probabilities: Any, targets: Any) -> Evaluation:
    """An evaluation of these probabilities (N, C); its metrics are the accuracy and the loss."""
    table, true = np.asarray(probabilities, dtype=np.float32), np.asarray(targets)
    losses = -np.log(np.maximum(table[np.arange(len(true)), true], 1e-30)) if true.ndim == 1 else np.zeros(len(true))
    accuracy = float((table.argmax(-1) == true).mean()) if true.ndim == 1 else 0.0
    return Evaluation({"accuracy": accuracy, "loss": float(losses.mean())}, table, true, losses,
                      tuple("abcdef"[: table.shape[1]]), [""] * len(true))


def drawn(n: int, classes: int = 2, too_sure: float = 1.0, seed: int = 0) -> Evaluation:
    """Answers of a calibrated model whose logits were then multiplied by `too_sure`."""
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(size=(n, classes)) * 1.5)
    true = [rng.choice(classes, p=row) for row in logits.softmax(-1).numpy()]
    return made((logits * too_sure).softmax(-1).numpy(), true)


def test_bins_count_and_the_error_is_the_weighted_gap() -> None:
    """Four answers at 0.95, two of them right; two at 0.65, both right: (4 · 0.45 + 2 · 0.35) / 6."""
    table = [[0.95, 0.05]] * 4 + [[0.35, 0.65]] * 2
    found = calibration(made(table, [0, 0, 1, 1, 1, 1]))
    assert [(round(one.low, 6), round(one.high, 6), one.examples) for one in found.bins] == [(0.6, 0.7, 2),
                                                                                             (0.9, 1.0, 4)]
    assert [one.accuracy for one in found.bins] == [1.0, 0.5]
    assert [one.confidence for one in found.bins] == pytest.approx([0.65, 0.95])
    assert found.error == pytest.approx((4 * 0.45 + 2 * 0.35) / 6)
    assert (found.confidence, found.accuracy) == pytest.approx((0.85, 4 / 6))
    assert found.rows()[1]["examples"] == 4
    assert "error 0.417 on 6 examples" in repr(found)


def test_gaps_of_one_bin_cancel_and_those_of_two_do_not() -> None:
    evaluation = made([[0.9, 0.1], [0.6, 0.4]], [1, 0])
    assert calibration(evaluation, bins=1).error == pytest.approx(abs(0.5 - 0.75))
    assert calibration(evaluation, bins=10).error == pytest.approx((0.9 + 0.4) / 2)


@pytest.mark.parametrize("sure", [1.0, 0.5, 0.7])
def test_an_edge_belongs_to_one_bin_and_nothing_is_lost(sure: float) -> None:
    found = calibration(made([[sure, 1 - sure]] * 3, [0, 0, 1]))
    assert sum(one.examples for one in found.bins) == found.examples == 3
    assert len(found.bins) == 1


def test_chance_tells_few_examples_from_many() -> None:
    few, many = calibration(drawn(60)), calibration(drawn(6000))
    assert many.by_chance < 0.02 < few.by_chance
    assert many.error < 0.03, "this model is calibrated"
    wrong = calibration(drawn(6000, too_sure=4))
    assert wrong.error > 5 * wrong.by_chance
    assert wrong.confidence > wrong.accuracy + 0.05


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("too_sure", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in_comes_out(classes: int, too_sure: float) -> None:
    assert fit_temperature(drawn(20_000, classes, too_sure)) == pytest.approx(too_sure, rel=0.06)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    evaluation = drawn(300, too_sure=3)
    best = fit_temperature(evaluation)
    losses = {t: apply_temperature(evaluation, t)["loss"] for t in (best, 0.9 * best, 1.1 * best, 1.0)}
    assert min(losses, key=losses.__getitem__) == best


@pytest.mark.parametrize("temperature", [0.3, 1, np.float64(2.5)])
def test_answers_and_their_order_stay_and_only_the_confidence_moves(temperature: float) -> None:
    before = drawn(200, classes=3)
    after = apply_temperature(before, temperature)
    assert np.array_equal(before.probabilities.argmax(-1), after.probabilities.argmax(-1))
    two = drawn(200)
    assert np.array_equal(two.probabilities[:, 1].argsort(),
                          apply_temperature(two, temperature).probabilities[:, 1].argsort())
    assert after["accuracy"] == before["accuracy"]
    assert after["loss"] == pytest.approx(after.losses.mean())
    assert after.probabilities.sum(-1) == pytest.approx(np.ones(200))
    expected = torch.softmax(torch.tensor(before.probabilities).double().log() / temperature, -1).numpy()
    assert after.probabilities == pytest.approx(expected)
    assert before["loss"] == pytest.approx(before.losses.mean())


def test_a_probability_of_zero_is_no_accident() -> None:
    after = apply_temperature(made([[1.0, 0.0], [0.5, 0.5]], [1, 0]), 10)
    assert np.isfinite(after.losses).all()
    assert after.probabilities[0, 1] > 0


def test_where_no_temperature_is_best_it_is_said() -> None:
    with pytest.raises(UserError, match=r"each of the 3 answers is right.*or harder ones"):
        fit_temperature(made([[0.9, 0.1]] * 3, [0, 0, 0]))
    with pytest.raises(UserError, match="no better than guesses"):
        fit_temperature(made([[0.9, 0.1]] * 4, [1, 1, 1, 0]))
    with pytest.raises(UserError, match="no better than guesses"):
        fit_temperature(made([[0.5, 0.5]] * 2, [1, 0]))


@pytest.mark.parametrize(("right", "wrong"), [(99, 1), (51, 49)])
def test_far_from_one_it_is_found_as_well(right: int, wrong: int) -> None:
    """All answers at 0.9, so the best temperature brings them to the share that is right."""
    evaluation = made([[0.9, 0.1]] * (right + wrong), [0] * right + [1] * wrong)
    share = right / (right + wrong)
    found = fit_temperature(evaluation)
    assert found == pytest.approx(np.log(9) / np.log(share / (1 - share)), rel=1e-3)
    assert apply_temperature(evaluation, found).probabilities[0, 0] == pytest.approx(share, abs=1e-4)


SEVERAL = made([[0.9, 0.2]], [[1, 0]])
GOOD = drawn(5)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: calibration({"accuracy": 1}), r"calibration takes what evaluate returns.*not dict"),  # type: ignore[arg-type]
    (lambda: fit_temperature(SEVERAL), "fit_temperature is for one label"),
    (lambda: apply_temperature(SEVERAL, 1.0), "apply_temperature is for one label"),
    (lambda: calibration(GOOD, bins=0), "at least 1, not 0"), (lambda: calibration(GOOD, bins=2.5), "not 2.5"),
    (lambda: apply_temperature(GOOD, 0), "above 0, not 0"), (lambda: apply_temperature(GOOD, -1), "not -1"),
    (lambda: apply_temperature(GOOD, float("nan")), "not nan"), (lambda: apply_temperature(GOOD, "2"), "not '2'")])
def test_mistakes_are_named(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
