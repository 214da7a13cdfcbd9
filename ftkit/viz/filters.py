"""The first filters of an image network, as small pictures: the only weights that one can look at directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.viz.style import BODY, INK, WIDTH, Picture, bare
from ftkit.viz.words import plain, wrap


def filters(models: Any, n: int = 64) -> Picture:
    """Draw the filters of the first convolution, the strongest first, as the colours that they look for.

    Each filter is scaled to its own range: its mean is about grey, and a filter of small weights is as easy to see as
    one of large weights.

    Args:
        models: A model from `load_backbone`, or several by name: {"ResNet": model, "VGG": other}.
        n: At most so many filters of each.

    Returns:
        A Picture.

    Raises:
        UserError: No image model, a first layer that does not read pictures, or n below 1.

    Source: Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks". Lesson 03.
    """
    if not isinstance(n, int) or n < 1:
        raise UserError(f"n must be a whole number of at least 1, not {n!r}.")
    named = image_models(models, "filters")
    weights = {name: first_filters(model) for name, model in named.items()}
    columns = min(3, len(named))
    rows = -(-len(named) // columns)
    wide = (WIDTH - 0.3) / columns - 0.2
    sheets = [sheet(kernels[:n]) for kernels in weights.values()]
    tallest = max(picture.shape[0] / picture.shape[1] for picture in sheets)
    titles = [wrap(f"{name}: {len(kernels)} filters of {kernels.shape[1]}x{kernels.shape[2]} pixels"
                   + f", {n} shown" * (len(kernels) > n), wide, BODY) for name, kernels in weights.items()]
    picture = Picture(height=rows * (wide * tallest + 0.25 + 0.2 * max(title.count("\n") + 1 for title in titles)))
    for axes in picture.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, image, title in zip(picture.axes, sheets, titles, strict=False):
        axes.set_axis_on()
        bare(axes).imshow(image, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_anchor("NW")
        axes.set_title(title, fontsize=BODY, color=INK, loc="left", **plain())
    picture.alt = "First filters. " + " ".join(
        f"{name}: {len(kernels)} of {kernels.shape[1]} x {kernels.shape[2]} pixels."
        for name, kernels in weights.items())
    return picture


def image_models(models: Any, function: str) -> dict[str, Model]:
    """One model or several by name, as a dict; UserError if one of them does not look at pictures."""
    own = getattr(getattr(models, "spec", None), "name", "")
    named = dict(models) if isinstance(models, Mapping) else {own: models}
    if not named:
        raise UserError(f"{function}: there is no model in the dict.")
    for name, model in named.items():
        if not isinstance(model, Model):
            raise UserError(f"{function} looks into a model from load_backbone, not {type(model).__name__}.")
        if model.task.modality != "image":
            raise UserError(f"{function} is for image models; {name} works on {model.task.modality}.")
    return {str(name): model for name, model in named.items()}


def first_filters(model: Model) -> np.ndarray:
    """The weights of the first convolution (C, k, k, 3), the strongest filter first; UserError if there is none."""
    first = next((module for module in model.net.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.in_channels != 3:
        raise UserError(f"The first layer of {model.spec.name} is no convolution over red, green and blue.")
    kernels = first.weight.detach().float().cpu().permute(0, 2, 3, 1).numpy()  # (C, 3, k, k) to (C, k, k, 3)
    return kernels[np.argsort(-np.linalg.norm(kernels.reshape(len(kernels), -1), axis=1), kind="stable")]


def sheet(kernels: np.ndarray) -> np.ndarray:
    """Filters (C, k, k, 3) on one sheet (H, W, 3), each in its own range from 0 to 1, white lines between them."""
    low, high = kernels.min((1, 2, 3), keepdims=True), kernels.max((1, 2, 3), keepdims=True)
    tiles = (kernels - low) / np.maximum(high - low, 1e-12)
    zoom = max(1, 24 // tiles.shape[1])  # pixels of the sheet for a pixel of the filter: thin lines need some
    tiles = np.pad(tiles.repeat(zoom, 1).repeat(zoom, 2), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    across = min(8, len(tiles))
    blank = np.ones((-len(tiles) % across, *tiles.shape[1:]), tiles.dtype)
    tiles = np.concatenate([tiles, blank])
    rows = [np.concatenate(list(tiles[i : i + across]), axis=1) for i in range(0, len(tiles), across)]
    return np.concatenate(rows, axis=0)
