"""How pictures become numbers: as the weights' authors did it, for every kind of picture."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ftkit.backbones.preprocess import CONFIG, ImagePreprocess
from ftkit.errors import DataError


def sample(width: int, height: int, seed: int = 0) -> Image.Image:
    """Patches of colour with sharp edges: a shift by one pixel would show."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    return Image.fromarray(np.kron(small, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8))


@pytest.mark.parametrize("weights", ["ResNet18_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2",
                                     "VGG11_Weights.IMAGENET1K_V1"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (501, 333), (256, 256), (37, 50), (640, 481)])
def test_as_torchvision_does_it(weights: str, size: tuple[int, int]) -> None:
    import torchvision

    theirs = torchvision.models.get_weight(weights).transforms()
    ours = ImagePreprocess(theirs.crop_size[0], theirs.resize_size[0], tuple(theirs.mean), tuple(theirs.std),
                           theirs.interpolation.value)
    picture = sample(*size)
    difference = (ours.normalise(ours.decode(picture)[None])[0] - theirs(picture)).abs()
    assert difference.max() < 0.04  # two steps of 256: rounding
    assert difference.mean() < 0.001


def test_as_transformers_does_it() -> None:
    from transformers import ViTImageProcessor

    theirs = ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    ours = ImagePreprocess.from_config(theirs.to_dict())
    assert (ours.size, ours.resize, ours.mean, ours.std) == (32, 32, (0.5,) * 3, (0.5,) * 3)
    picture = sample(64, 64)
    expected = theirs(picture, return_tensors="pt")["pixel_values"][0]
    assert (ours.normalise(ours.decode(picture)[None])[0] - expected).abs().max() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2), (31, 32), (32, 32), (33, 32), (2000, 1500)])
def test_every_size_gives_the_same_shape(size: tuple[int, int]) -> None:
    found = ImagePreprocess(32, 36).decode(sample(*size))
    assert found.shape == (3, 32, 32)
    assert found.dtype == torch.uint8
    assert found.is_contiguous()


def test_a_long_strip_costs_no_more_than_another_picture() -> None:
    """Resized as a whole it would be 224 x 4,480,000 pixels: 3 GB."""
    strip = Image.new("RGB", (20_000, 1), (10, 200, 30))
    start = time.perf_counter()
    found = ImagePreprocess().decode(strip)
    assert time.perf_counter() - start < 5
    assert found[:, 0, 0].tolist() == [10, 200, 30]


def test_the_middle_is_kept() -> None:
    picture = Image.new("RGB", (300, 100), "black")
    picture.paste("white", (100, 0, 200, 100))
    found = ImagePreprocess(32, 32).decode(picture)
    assert found.float().mean() > 250


def test_pictures_of_the_right_size_are_not_touched() -> None:
    picture = sample(32, 32)
    assert torch.equal(ImagePreprocess(32, 32).decode(picture), torch.from_numpy(np.array(picture)).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_kind_of_colour(mode: str, tmp_path: Path) -> None:
    picture = sample(40, 40).convert(mode)
    found = ImagePreprocess(32, 32).decode(picture)
    expected = ImagePreprocess(32, 32).decode(picture.convert("RGB"))
    assert torch.equal(found, expected)
    if mode in ("1", "L", "LA", "P", "RGBA"):
        picture.save(tmp_path / "a.png")
        assert torch.equal(ImagePreprocess(32, 32).decode(tmp_path / "a.png"), expected)


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    picture = sample(40, 40).convert("P")
    picture.save(tmp_path / "a.png", transparency=0)
    assert ImagePreprocess(32, 32).decode(tmp_path / "a.png").shape == (3, 32, 32)


def test_sixteen_bits_of_grey_are_not_burnt_out(tmp_path: Path) -> None:
    """X-rays come like this; clipped to 255 they would all be white."""
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", ramp):
        found = ImagePreprocess(32, 32).decode(source)
        assert found.float().mean().item() == pytest.approx(127, abs=2)
        assert found.unique().numel() > 200


def test_arrays() -> None:
    array = np.array(sample(32, 32))
    assert torch.equal(ImagePreprocess(32, 32).decode(array), torch.from_numpy(array).permute(2, 0, 1))
    grey = ImagePreprocess(32, 32).decode(array[:, :, 0])
    assert torch.equal(grey[0], grey[2])
    with pytest.raises(DataError, match="fractions, not whole numbers from 0 to 255"):
        ImagePreprocess(32, 32).decode(np.random.rand(8, 8).astype(np.float32))
    with pytest.raises(DataError, match="Cannot read the image ndarray"):
        ImagePreprocess(32, 32).decode(np.zeros((8, 8, 7)))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_files_that_are_no_pictures(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read the image .*a\.png: "):
        ImagePreprocess().decode(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp"])
def test_files_that_were_cut_off(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    sample(200, 200).save(path)
    assert ImagePreprocess(32, 32).decode(str(path)).shape == (3, 32, 32)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(DataError, match=rf"Cannot read the image .*a\.{suffix}"):
        ImagePreprocess(32, 32).decode(path)


def test_a_picture_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample(100, 100).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="Cannot read the image"):
        ImagePreprocess().decode(tmp_path / "a.png")


def test_normalise() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    found = ImagePreprocess(8, 8, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)).normalise(images)
    assert found.is_contiguous(memory_format=torch.channels_last)
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 0.6), (0.3, 0.7))):
        assert torch.allclose(found[:, channel], (images[:, channel] / 255 - mean) / std, atol=1e-6)


def test_another_size_keeps_the_share_that_is_cut_off() -> None:
    small = ImagePreprocess(224, 256).at_size(112)
    assert (small.size, small.resize) == (112, 128)


def test_saved_and_read_again(tmp_path: Path) -> None:
    own = ImagePreprocess(64, 72, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic")
    own.save_pretrained(tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert ImagePreprocess.from_config(config) == own
    config.pop("ftkit")  # as transformers would read it
    assert ImagePreprocess.from_config(config) == own


@pytest.mark.parametrize(("config", "size", "resize"), [
    ({"size": 224}, 224, 224), ({"size": {"height": 384, "width": 384}}, 384, 384),
    ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True}, 224, 256),
    ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, 256), ({}, 224, 224),
    ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": False}, 256, 256),
])
def test_configurations_of_transformers(config: dict[str, object], size: int, resize: int) -> None:
    found = ImagePreprocess.from_config(config)
    assert (found.size, found.resize) == (size, resize)
