"""What layers answer to one picture: the right layer, the right maps, and the model left as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from factory import tiny_image_folder
from test_filters import small
from viz_helpers import check_layout, said

from ftkit import load_backbone
from ftkit.errors import UnknownName, UserError
from ftkit.tasks import make_task
from ftkit.viz import activations
from ftkit.viz.activations import maps_of, pixels, strongest

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(("builder", "group", "module", "shape"), [
    ("resnet_mini", "stem", "relu", (64, 32, 32)), ("resnet_mini", "block 0", "layer1.0", (64, 16, 16)),
    ("resnet_mini", "block 3", "layer4.0", (512, 2, 2)), ("vgg_mini", "stem", "features.2", (32, 64, 64)),
    ("vgg_mini", "block 3", "features.27", (512, 4, 4))])
def test_maps_are_taken_before_the_pooling(builder: str, group: str, module: str, shape: tuple[int, ...]) -> None:
    name, maps = maps_of(small(builder), PICTURE, group)
    assert (name, maps.shape) == (module, shape)
    assert maps.min() >= 0, "after the ReLU"


def test_the_maps_are_what_the_layer_answers_in_eval_mode() -> None:
    model = small("resnet_mini")
    _, maps = maps_of(model, PICTURE, "block 1")
    net = model.net.eval()
    with torch.no_grad():
        x = net.maxpool(net.relu(net.bn1(net.conv1(pixels(model, [PICTURE])))))
        assert np.allclose(maps, net.layer2(net.layer1(x))[0].numpy(), atol=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = small("resnet_mini")
    model.net.train()
    model.net.layer1.eval()
    before = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    modes = [module.training for module in model.net.modules()]
    activations(model, PICTURE)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.net.state_dict().items())
    assert [module.training for module in model.net.modules()] == modes
    assert not any(module._forward_hooks for module in model.net.modules())


def test_the_strongest_channels_come_first() -> None:
    maps = np.zeros((4, 2, 2))
    maps[2], maps[1, 0, 0] = 1.0, 3.0
    assert strongest(maps, 2) == [2, 1]
    assert strongest(maps, 9) == [2, 1, 0, 3]


def test_an_early_and_a_late_block_are_drawn() -> None:
    picture = activations(small("resnet_mini"), PICTURE)
    check_layout(picture)
    assert "block 0: 64 maps of 16x16; the 7 strongest" in said(picture)
    assert "block 3: 512 maps of 2x2" in said(picture)
    assert sum(len(axes.get_images()) for axes in picture.axes) == 15
    assert "block 3: the strongest of 512 maps of 2 x 2 pixels" in picture.alt


@pytest.mark.parametrize("n", [1, 9])
def test_groups_can_be_chosen(n: int) -> None:
    picture = activations({"VGG": small()}, PICTURE, groups=["stem", "block 1", "block 2"], n=n)
    check_layout(picture)
    assert sum(len(axes.get_images()) for axes in picture.axes) == 1 + 3 * n
    assert picture.alt.startswith("What VGG answers")


def test_mistakes_of_activations_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="block 3"):
        activations(small(), PICTURE, groups=["block 33"])
    with pytest.raises(UserError, match="no place in the picture"):
        activations(small(), PICTURE, groups=["head"])
    with pytest.raises(UserError, match="from 1 to 9"):
        activations(small(), PICTURE, n=10)
    with pytest.raises(UserError, match="one model at a time"):
        activations({"a": small(), "b": small()}, PICTURE)
    task = make_task("image-classification", ["a", "b"], False)
    with pytest.raises(UserError, match="No block"):
        activations(load_backbone(tiny_image_folder(tmp_path, "vit"), task), PICTURE)


def test_a_network_of_transformers(tmp_path: Path) -> None:
    task = make_task("image-classification", ["a", "b"], False)
    check_layout(activations(load_backbone(tiny_image_folder(tmp_path, "resnet"), task), PICTURE, n=3))
