"""Scores of a classifier, from scikit-learn."""

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
    from sklearn import metrics as skm  # with it come scipy and pandas: whoever only predicts needs neither

    if multilabel:
        predicted = (probabilities >= 0.5).astype(int)
        return {
            "accuracy": float(skm.accuracy_score(targets, predicted)),
            "f1_micro": float(skm.f1_score(targets, predicted, average="micro", zero_division=0)),
            "f1_macro": float(skm.f1_score(targets, predicted, average="macro", zero_division=0)),
        }
    predicted = probabilities.argmax(-1)
    present = np.unique(targets)
    recalls = [float((predicted[targets == c] == c).mean()) for c in present]
    return {
        "accuracy": float(skm.accuracy_score(targets, predicted)),
        "balanced_accuracy": float(np.mean(recalls)),  # mean recall over the classes that the split has
        "f1_macro": float(skm.f1_score(targets, predicted, labels=present, average="macro", zero_division=0)),
    }
