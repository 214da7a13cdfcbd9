"""Scores of a classifier.

A dozen lines, where scikit-learn has the same: to import it, and pandas with it, takes 100 MB and a second in each
kernel. The tests hold these numbers against scikit-learn's.
"""

from __future__ import annotations

import numpy as np


def classification_metrics(probabilities: np.ndarray, targets: np.ndarray, multilabel: bool) -> dict[str, float]:
    """Accuracy and F1 of a whole split.

    Args:
        probabilities: (N, C).
        targets: (N,) class indices, or (N, C) zeros and ones for multi-label.
        multilabel: Which of the two.

    Returns:
        "accuracy", "balanced_accuracy", "f1_macro"; for multi-label "accuracy" counts an example only when every
        label is right, with "f1_micro" and "f1_macro" next to it. Lesson 02 says when accuracy misleads.
    """
    if multilabel:
        predicted, true = probabilities >= 0.5, targets.astype(bool)
        right, wrong = _right_and_wrong(predicted, true)
        return {"accuracy": float((predicted == true).all(1).mean()),
                "f1_micro": float(_f1(right.sum(), wrong.sum())), "f1_macro": float(_f1(right, wrong).mean())}
    guesses = probabilities.argmax(-1)
    present = np.unique(targets)  # a class that the split lacks has no score
    predicted, true = guesses[:, None] == present, targets[:, None] == present  # (N, classes present)
    right, wrong = _right_and_wrong(predicted, true)
    return {"accuracy": float((guesses == targets).mean()),
            "balanced_accuracy": float((right / true.sum(0)).mean()),  # mean recall
            "f1_macro": float(_f1(right, wrong).mean())}


def _right_and_wrong(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each class how often it was named rightly, and how often it was named wrongly or missed: (C,) each."""
    return (predicted & true).sum(0), (predicted ^ true).sum(0)


def _f1(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall; 0 for a class that is neither there nor named."""
    return 2 * right / np.maximum(2 * right + wrong, 1)
