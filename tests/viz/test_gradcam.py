"""Grad-CAM finds the part of a picture that speaks for a class, and leaves the model alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from factory import tiny_image_folder
from PIL import Image
from test_filters import small
from torch import Tensor, nn
from viz_helpers import LONG, check_layout, said

from ftkit import load_backbone
from ftkit.errors import UnknownName, UserError
from ftkit.tasks import make_task
from ftkit.viz import gradcam, gradcam_maps
from ftkit.viz.activations import maps_of, pixels
from ftkit.viz.gradcam import place_in_words

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(3)]


def red_or_blue():  # type: ignore[no-untyped-def]
    """A VGG whose last maps are brightness of red and of blue: class a asks for red, b for blue, c for nothing."""
    model = small("vgg_mini")
    net = model.net
    net.features[27] = ColoursOf(4)
    net.classifier[0] = nn.Linear(512, 3, bias=False)
    with torch.no_grad():
        net.classifier[0].weight.zero_()
        net.classifier[0].weight[0, 0] = net.classifier[0].weight[1, 2] = 1.0
        net.classifier[0].weight[2, :3] = -1.0
    net.features.register_forward_pre_hook(lambda module, args: setattr(net.features[27], "seen", args[0]))
    return model


class ColoursOf(nn.ReLU):
    """In place of a ReLU: answers with the picture itself, 4x4 pixels, in the first three of 512 channels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.seen = size, torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(self.seen, self.size) + 3  # above zero
        return torch.cat([small, 0 * x[:, 3:]], 1)


def with_squares() -> np.ndarray:
    """Black, red at the upper left, blue at the lower right."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:16, :16, 0] = picture[48:, 48:, 2] = 255
    return picture


def test_the_heat_is_where_the_class_is() -> None:
    heat = gradcam_maps(red_or_blue(), [with_squares()] * 2, ["a", "b"])
    assert heat.shape == (2, 64, 64)
    for one, corner in zip(heat, [(0, 0), (63, 63)], strict=True):
        y, x = np.unravel_index(one.argmax(), one.shape)
        assert abs(y - corner[0]) < 16
        assert abs(x - corner[1]) < 16
        assert one.max() == pytest.approx(1)
        assert one.min() >= 0


def test_nothing_speaks_for_a_class_that_everything_speaks_against() -> None:
    heat = gradcam_maps(red_or_blue(), with_squares(), "c")
    assert (heat == 0).all()
    assert place_in_words(heat[0]) == "nothing speaks for it"


def test_it_is_the_formula_of_the_paper() -> None:
    """ReLU of the maps, weighted by the mean gradient of the class's score."""
    model = small("resnet_mini")
    net = model.net.eval()
    seen: list[Tensor] = []
    handle = net.layer3.register_forward_hook(lambda module, args, output: seen.append(output))
    score = net(pixels(model, PICTURES[:1]))[0, 1]
    weights = torch.autograd.grad(score, seen[0])[0].mean((2, 3), keepdim=True)
    handle.remove()
    expected = nn.functional.interpolate((weights * seen[0]).sum(1, keepdim=True).relu(), (64, 64), mode="bilinear")
    heat = gradcam_maps(model, PICTURES[:1], 1)[0]
    assert np.allclose(heat, (expected / expected.max())[0, 0].detach().numpy(), atol=1e-4)


def test_without_a_target_each_picture_is_asked_for_what_the_model_says() -> None:
    model = small()
    said_by_it = model.net.eval()(pixels(model, PICTURES)).argmax(-1).tolist()
    assert np.allclose(gradcam_maps(model, PICTURES), gradcam_maps(model, PICTURES, said_by_it), atol=1e-6)


def test_a_frozen_body_and_train_mode_change_nothing_and_are_left() -> None:
    model = small("resnet_mini")
    free = gradcam_maps(model, PICTURES, "b")
    model.net.requires_grad_(False)
    model.net.fc.requires_grad_(True)
    model.net.train()
    before = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    assert np.allclose(gradcam_maps(model, PICTURES, "b"), free, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.net.state_dict().items())
    assert all(module.training for module in model.net.modules())
    assert not any(p.requires_grad for p in model.net.layer1.parameters())
    assert all(p.grad is None for p in model.net.parameters())


def test_the_default_group_is_the_last_with_a_map_of_four_pixels() -> None:
    for builder, group in (("resnet_mini", "block 2"), ("vgg_mini", "block 3")):
        model = small(builder)
        assert maps_of(model, PICTURES[0], group)[1].shape[1:] == (4, 4)
        assert np.array_equal(gradcam_maps(model, PICTURES[0], 0), gradcam_maps(model, PICTURES[0], 0, group))
    fine, coarse = (gradcam_maps(model, PICTURES[0], 0, group) for group in ("block 0", "block 2"))
    assert not np.allclose(fine, coarse)


@pytest.mark.parametrize(("models", "pictures", "tiles"), [(1, 1, 2), (1, 3, 6), (2, 3, 9), (5, 2, 12)])
def test_pictures_and_models_side_by_side(models: int, pictures: int, tiles: int) -> None:
    named = {LONG if i == 0 and models < 3 else f"model {i}": small() for i in range(models)}
    picture = gradcam(named, PICTURES[:pictures], ["a", "b", "c"][:pictures])
    check_layout(picture)
    drawn = [axes for axes in picture.axes if axes.get_images()]
    assert len(drawn) == tiles
    assert said(picture).count("asked for: b") == (pictures > 1)
    assert said(picture).count("says") == models * pictures


def test_the_text_form_says_what_is_seen(tmp_path: Path) -> None:
    Image.fromarray(with_squares()).save(tmp_path / "a.png")
    picture = gradcam({"mine": red_or_blue()}, [tmp_path / "a.png"], "b")
    assert picture.alt.startswith("Grad-CAM: what speaks for the class that is asked for. Picture 1, mine: says ")
    assert "strongest at the lower right" in picture.alt
    assert "what each model says" in gradcam(small(), PICTURES[0]).alt


def test_places_in_words() -> None:
    for (y, x), words in {(0, 0): "upper left", (32, 32): "middle", (0, 32): "top", (63, 32): "bottom",
                          (32, 63): "right", (63, 0): "lower left"}.items():
        heat = np.zeros((64, 64))
        heat[y, x] = 1
        assert place_in_words(heat) == f"strongest at the {words}"


def test_mistakes_of_gradcam_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="class"):
        gradcam(small(), PICTURES, "stop")
    with pytest.raises(UnknownName, match="class"):
        gradcam(small(), PICTURES, 3)
    with pytest.raises(UserError, match="3 pictures and 2 targets"):
        gradcam(small(), PICTURES, ["a", "b"])
    with pytest.raises(UserError, match="at least one picture"):
        gradcam(small(), [])
    with pytest.raises(UserError, match="at most 5"):
        gradcam({str(i): small() for i in range(6)}, PICTURES)
    with pytest.raises(UnknownName, match="layer group"):
        gradcam(small(), PICTURES, "a", group="block 9")
    task = make_task("image-classification", ["a", "b"], False)
    with pytest.raises(UserError, match="at least 4x4"):
        gradcam(load_backbone(tiny_image_folder(tmp_path, "vit"), task), PICTURES)
