"""Calibration: is a model that says "90 % sure" right nine times out of ten? And temperature scaling, a cheap cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ftkit.errors import UserError
from ftkit.training import Evaluation

DRAWS = 200  # simulated splits, for what chance alone would show
_RANGE = (1e-3, 1e3)  # of temperatures
_TINY = float(np.finfo(np.float32).tiny)  # probabilities are float32: below this they are zero


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in one interval.

    Args:
        low: Confidence above this (the first bin holds it too) …
        high: … and up to this.
        examples: How many answers.
        confidence: Their mean confidence: how often they would be right if the model knew itself.
        accuracy: How often they are right.
    """

    low: float
    high: float
    examples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How well confidence and accuracy agree on a split.

    Args:
        bins: Those that hold an answer, by rising confidence.
        error: Expected calibration error: |accuracy - confidence| of the bins, weighted by their examples. 0 is best.
        by_chance: The mean error of a model that *is* calibrated, on as many examples with the same confidences. An
            error near it cannot be told from none.
        confidence: Mean confidence of all answers.
        accuracy: Of all answers. Below the confidence: the model is overconfident.
        examples: In the split.
    """

    bins: tuple[Bin, ...]
    error: float
    by_chance: float
    confidence: float
    accuracy: float
    examples: int

    def rows(self) -> list[dict[str, Any]]:
        """One row per bin, for a table."""
        return [asdict(one) for one in self.bins]

    def __repr__(self) -> str:
        return (f"Calibration(error {self.error:.3f} on {self.examples} examples; a calibrated model would show about "
                f"{self.by_chance:.3f} by chance; mean confidence {self.confidence:.3f}, accuracy {self.accuracy:.3f})")


def calibration(evaluation: Evaluation, bins: int = 10) -> Calibration:
    """Compare how sure a model is with how often it is right.

    The confidence is the probability of the class that the model names: with C classes it is at least 1/C, so that of
    ten bins only five can hold an answer of two classes.

    Args:
        evaluation: What `evaluate` returned: probabilities (N, C) and targets (N,).
        bins: Equal intervals between 0 and 1, at least 1.

    Raises:
        UserError: Not an Evaluation, several labels per example, or a number of bins below 1.

    Source: Guo et al. 2017, "On calibration of modern neural networks". Lesson 02.
    """
    _check(evaluation, "calibration")
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise UserError(f"bins must be a whole number of at least 1, not {bins!r}.")
    confidence = evaluation.probabilities.max(-1).astype(float)
    right = (evaluation.probabilities.argmax(-1) == evaluation.targets).astype(float)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = tuple(Bin(float(edges[i]), float(edges[i + 1]), int(inside.sum()), float(confidence[inside].mean()),
                      float(right[inside].mean())) for i in range(bins) if (inside := place == i).any())
    draws = np.random.default_rng(0).random((DRAWS, len(confidence))) < confidence
    chance = float(np.mean([_error(place, confidence, draw.astype(float), bins) for draw in draws]))
    return Calibration(found, _error(place, confidence, right, bins), chance, float(confidence.mean()),
                       float(right.mean()), len(right))


def fit_temperature(evaluation: Evaluation) -> float:
    """The temperature that makes the loss of these answers smallest: above 1 if the model is too sure of itself.

    Fit it on the validation split, judge it on the test split. Neither the answers nor their order change.

    Args:
        evaluation: Of a split that was not trained on: there the model is too sure by another measure.

    Raises:
        UserError: Not an Evaluation, several labels per example, or no temperature is best: every answer is right (the
            colder the better), or the answers are no better than guesses (the hotter the better).

    Source: Guo et al. 2017, section 4.2. Lesson 02.
    """
    _check(evaluation, "fit_temperature")
    logits, true = _logits(evaluation.probabilities), evaluation.targets
    lead = logits[np.arange(len(true)), true] - logits.mean(-1)  # how far the loss would fall from 1/T = 0 on
    if (logits.argmax(-1) == true).all():
        raise UserError(f"No temperature fits: each of the {len(true)} answers is right, so the colder the better. "
                        "Take more examples, or harder ones.")
    if lead.mean() <= 0:
        raise UserError(f"No temperature fits: the {len(true)} answers are no better than guesses, so the hotter the "
                        "better. Train the model first.")
    found = minimize_scalar(lambda log: float(_losses(logits / np.exp(log), true).mean()), method="bounded",
                            bounds=np.log(_RANGE), options={"xatol": 1e-5})
    return float(np.exp(found.x))


def apply_temperature(evaluation: Evaluation, temperature: float) -> Evaluation:
    """The same answers, surer or less sure: every logit divided by the temperature.

    Args:
        evaluation: What `evaluate` returned.
        temperature: Above 1 less sure, below 1 surer; from `fit_temperature`.

    Returns:
        An Evaluation with new probabilities and losses. Its accuracy is the old one.

    Raises:
        UserError: Not an Evaluation, several labels per example, or a temperature that is no positive number.

    Source: Guo et al. 2017, section 4.2. Lesson 02.
    """
    _check(evaluation, "apply_temperature")
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not 0 < temperature < np.inf:
        raise UserError(f"temperature must be a number above 0, not {temperature!r}.")
    logits = _logits(evaluation.probabilities) / float(temperature)
    losses = _losses(logits, evaluation.targets)
    return replace(evaluation, probabilities=np.exp(log_softmax(logits, axis=-1)), losses=losses,
                   metrics={**evaluation.metrics, "loss": float(losses.mean())})


def _check(evaluation: Any, function: str) -> None:
    if not isinstance(evaluation, Evaluation):
        raise UserError(f"{function} takes what evaluate returns: {function}(ft.evaluate(model, data.valid)), "
                        f"not {type(evaluation).__name__}.")
    if evaluation.targets.ndim != 1:
        raise UserError(f"{function} is for one label per example; these have several.")


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits (N, C) up to a constant per row, which no softmax sees: the logarithms of the probabilities."""
    return np.log(np.maximum(probabilities.astype(float), _TINY))


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -log_softmax(logits, axis=-1)[np.arange(len(targets)), targets]


def _error(place: np.ndarray, confidence: np.ndarray, right: Sequence[float] | np.ndarray, bins: int) -> float:
    """Expected calibration error: the bins' gaps, weighted by their share of the examples."""
    gaps = np.bincount(place, np.asarray(right) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
