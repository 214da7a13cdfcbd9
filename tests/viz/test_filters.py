"""The picture of the first filters: it shows the weights, the strongest first, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from viz_helpers import LONG, check_layout, said

from ftkit.backbones import SPECS, Model
from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.backbones.small import build_small
from ftkit.errors import UserError
from ftkit.tasks import make_task
from ftkit.viz import filters
from ftkit.viz.filters import first_filters, sheet


def small(builder: str = "vgg_mini", classes: int = 3) -> Model:
    """A network of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_small(builder, classes)
    task = make_task("image-classification", ["a", "b", "c"][:classes], False)
    return Model(net, task, ImagePreprocess(size=64, resize=64), SPECS["resnet-mini"], "random")


def test_the_strongest_filter_comes_first_and_axes_are_in_place() -> None:
    model = small()
    first = next(m for m in model.net.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        first.weight[7] *= 10
    found = first_filters(model)
    assert found.shape == (32, 3, 3, 3)
    strong = first.weight[7].detach().numpy()  # (colour, row, column)
    assert found[0, 0, 2, 1] == strong[1, 0, 2]
    norms = np.linalg.norm(found.reshape(32, -1), axis=1)
    assert (np.diff(norms) <= 0).all()


def test_each_filter_has_its_own_range_and_white_lines_between() -> None:
    kernels = np.zeros((2, 3, 3, 3))
    kernels[0, 0, 0] = 5.0
    kernels[1, 2, 2] = -0.001
    made = sheet(kernels)
    zoom = 24 // 3
    assert made.shape == (3 * zoom + 2, 2 * (3 * zoom + 2), 3)
    assert (made[0] == 1).all()
    assert (made[:, 0] == 1).all()
    left, right = made[:, : 3 * zoom + 2], made[:, 3 * zoom + 2 :]
    assert (left[1:9, 1:9] == 1).all()
    assert (left[9:-1, 1:-1] == 0).all()
    assert (right[17:-1, 17:-1] == 0).all()
    assert (right[1:17, 1:-1] == 1).all()


def test_a_filter_without_any_difference_and_an_incomplete_row() -> None:
    assert np.isfinite(sheet(np.ones((9, 7, 7, 3)))).all()
    assert sheet(np.ones((9, 7, 7, 3))).shape[0] == 2 * (7 * 3 + 2)


def test_two_networks_side_by_side() -> None:
    picture = filters({"ResNet": small("resnet_mini"), LONG: small()}, n=40)
    check_layout(picture)
    assert "ResNet: 64 filters of 7x7 pixels, 40 shown" in said(picture)
    assert "32 filters of 3x3 pixels" in said(picture)
    assert picture.alt.startswith("First filters. ResNet: 64 of 7 x 7 pixels.")
    assert sum(len(axes.get_images()) for axes in picture.axes) == 2


@pytest.mark.parametrize("count", [1, 4])
def test_one_network_and_more_than_a_row(count: int) -> None:
    models: Any = small() if count == 1 else {str(i): small() for i in range(count)}
    picture = filters(models)
    check_layout(picture)
    assert sum(len(axes.get_images()) for axes in picture.axes) == count


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="not Sequential"):
        filters(nn.Sequential())
    with pytest.raises(UserError, match="no model"):
        filters({})
    with pytest.raises(UserError, match="n must be"):
        filters(small(), n=0)
    grey = small()
    grey.net.features[0] = nn.Conv2d(1, 4, 3)  # type: ignore[index,operator]
    with pytest.raises(UserError, match="no convolution over red, green and blue"):
        filters(grey)
