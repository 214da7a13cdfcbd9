"""Runs and evaluations made of known numbers, and a look at where every word of a picture lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.text import Text
from torch import nn

from ftkit.layers import LayerMap, make_layout
from ftkit.training import Evaluation, History
from ftkit.viz import Picture

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen und andere $ Dinge $"


def tiny_map(blocks: int = 3) -> LayerMap:
    """stem (embedding, 40 numbers), blocks (linear 20, BatchNorm 8) and a head (10)."""
    parts = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(blocks)]
    net = nn.ModuleDict({"words": nn.Embedding(10, 4), "layers": nn.ModuleList(parts), "out": nn.Linear(4, 2)})
    return LayerMap(net, make_layout(net, stem=["words"], blocks=["layers.*"], head=["out"]))


def make_run(accuracies: Sequence[float] = (0.6, 0.8, 0.7), trainable: Sequence[int] = (10,), steps: int = 10,
             valid: bool = True) -> History:
    """A finished run; the loss falls from 1 in every step."""
    run = History(status="finished")
    for epoch, accuracy in enumerate(accuracies):
        rows = [{"step": epoch * steps + i + 1, "epoch": epoch, "loss": 1 / (1 + epoch * steps + i), "lr": 1e-3,
                 "examples": 4, "seconds": 0.1} for i in range(steps)]
        run.steps += rows
        row = {"epoch": epoch, "train_loss": float(np.mean([r["loss"] for r in rows])), "seconds": 2.0,
               "trainable": trainable[min(epoch, len(trainable) - 1)], "cached": 0, "peak_memory_mb": 1.0}
        run.epochs.append(row | ({"valid_loss": 0.5, "accuracy": accuracy} if valid else {}))
    run.best_epoch = int(np.argmax(accuracies)) if valid and accuracies else None
    return run


def make_evaluation(targets: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str],
                    inputs: Sequence[Any] | None = None) -> Evaluation:
    """An evaluation with these answers: each given class gets probability 0.8 (earlier examples a little less)."""
    true, said = np.asarray(targets), np.asarray(predicted)
    if true.ndim == 1:
        probabilities = np.full((len(true), len(labels)), 0.2 / max(1, len(labels) - 1))
        probabilities[np.arange(len(true)), said] = 0.8
        losses = -np.log(probabilities[np.arange(len(true)), true]) + np.linspace(0.1, 0, len(true))
        accuracy = float((true == said).mean())
    else:
        probabilities = np.where(said, 0.8, 0.2)
        losses = np.abs(true - probabilities).mean(1)
        accuracy = float((true == said).all(1).mean())
    return Evaluation({"accuracy": accuracy, "loss": float(losses.mean())}, probabilities, true, losses, tuple(labels),
                      inputs if inputs is not None else [f"text {i}" for i in range(len(true))])


def words(picture: Picture) -> list[Text]:
    """Every piece of text that is drawn."""
    picture.canvas.draw()
    unseen: set[Text] = set()
    for axes in picture.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn = axis._update_ticks() if axes.axison else []
            ticks = [*axis.majorTicks, *axis.minorTicks]
            unseen |= {text for tick in ticks if tick not in drawn for text in (tick.label1, tick.label2)}
            unseen |= set() if axes.axison else {axis.label}
    found = picture.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text not in unseen and text.get_text().strip()]  # type: ignore[attr-defined]


def said(picture: Picture) -> str:
    """All words of a picture, lines joined and hyphens at line ends taken back."""
    return " | ".join(text.get_text().replace("-\n", "").replace("\n", " ") for text in words(picture))


def check_layout(picture: Picture) -> None:
    """No word leaves the picture, lies on another word, or is too small for a projector."""
    drawn = words(picture)
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn]
    width, height = picture.bbox.width, picture.bbox.height
    for text, box in boxes:
        inside = box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5
        assert inside, f"'{text}' leaves the picture: {box} in {width} x {height}"
    for i, (text, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 1.5 or down <= 3.5, f"'{text}' lies on '{other}'"
    assert min(float(text.get_fontsize()) for text in drawn) >= 11
    assert picture.get_size_inches()[0] == 10
