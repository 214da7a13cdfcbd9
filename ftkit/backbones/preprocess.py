"""How an image becomes numbers: the same resize, crop and normalisation that the backbone was pretrained with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftkit.errors import DataError

CONFIG = "preprocessor_config.json"
_RESAMPLE = {"nearest": 0, "bilinear": 2, "bicubic": 3}


@dataclass(frozen=True)
class ImagePreprocess:
    """Resize the short edge, cut the centre, scale to 0–1, subtract the mean, divide by the deviation. Lesson 03.

    Args:
        size: Edge of the square that the network sees, in pixels.
        resize: The short edge before the cut, in pixels.
        mean: Per colour channel.
        std: Per colour channel.
        interpolation: "bilinear", "bicubic" or "nearest".
    """

    size: int = 224
    resize: int = 256
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"

    def decode(self, image: Path | str | Image.Image | np.ndarray) -> Tensor:
        """One image to a uint8 tensor (3, size, size); normalisation waits until the batch, to save memory.

        Raises:
            DataError: The file is not an image that can be read.
        """
        picture = self.open(image)
        # Only the part that is kept is resized: a strip of 1 x 10,000 pixels would become 2 GB otherwise.
        (left, right), (top, bottom) = (self._kept(edge, min(picture.size)) for edge in picture.size)
        if picture.size != (self.size, self.size) or (left, top) != (0, 0) or right != picture.width:
            picture = picture.resize((self.size, self.size), Image.Resampling(_RESAMPLE[self.interpolation]),
                                     box=(left, top, right, bottom))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()

    def _kept(self, edge: int, short: int) -> tuple[float, float]:
        """From where to where an edge is kept, in pixels of the original; rounded as torchvision does it."""
        resized = max(self.size, int(self.resize * edge / short))
        start = round((resized - self.size) / 2)
        return start * edge / resized, min(edge, (start + self.size) * edge / resized)

    @staticmethod
    def open(image: Path | str | Image.Image | np.ndarray) -> Image.Image:
        """A file, a PIL image or a (H, W) or (H, W, 3) uint8 array as an RGB picture."""
        try:
            if isinstance(image, (str, Path)):
                with Image.open(image) as file:
                    file.draft("RGB", None)
                    return _as_rgb(file)
            return _as_rgb(image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image)))
        except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
            name = image if isinstance(image, (str, Path)) else type(image).__name__
            raise DataError(f"Cannot read the image {name}: {error}.") from error

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32, normalised, channels-last in memory: what convolutions like best."""
        mean = torch.tensor(self.mean, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, 3, 1, 1)
        floats = images.to(torch.float32, memory_format=torch.channels_last, copy=True)
        return floats.mul_(1 / (255 * std)).sub_(mean / std)  # (x / 255 - mean) / std, in two passes over the pictures

    def at_size(self, size: int) -> ImagePreprocess:
        """The same for another input size, with the same share cut off at the border."""
        return replace(self, size=size, resize=round(size * self.resize / self.size))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write preprocessor_config.json, in the keys that transformers reads too."""
        config = {
            "image_processor_type": "ViTImageProcessor", "do_resize": True, "do_center_crop": True,
            "do_rescale": True, "do_normalize": True, "size": {"shortest_edge": self.resize},
            "crop_size": {"height": self.size, "width": self.size}, "image_mean": list(self.mean),
            "image_std": list(self.std), "resample": _RESAMPLE[self.interpolation], "ftkit": asdict(self),
        }
        Path(folder, CONFIG).write_text(json.dumps(config, indent=2))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImagePreprocess:
        """From the keys of a transformers preprocessor_config.json, or our own."""
        if "ftkit" in config:
            own = config["ftkit"]
            return cls(**{**own, "mean": tuple(own["mean"]), "std": tuple(own["std"])})
        size = config.get("size", 224)
        edge = size if isinstance(size, int) else size.get("shortest_edge") or size.get("height", 224)
        crop = config.get("crop_size", edge) if config.get("do_center_crop") else edge
        crop = crop if isinstance(crop, int) else crop.get("height", edge)
        resize = round(edge / config["crop_pct"]) if config.get("crop_pct") and edge < 384 else edge
        names = {value: name for name, value in _RESAMPLE.items()}
        return cls(crop, max(resize, crop), tuple(config.get("image_mean", (0.5,) * 3)),
                   tuple(config.get("image_std", (0.5,) * 3)), names.get(config.get("resample", 2), "bilinear"))


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise ValueError("it holds fractions, not whole numbers from 0 to 255")
    if picture.mode.startswith("I"):  # 16-bit grey, as in medicine: PIL would clip it, and the picture would be white
        values = np.asarray(picture)
        picture = Image.fromarray((values // (256 if values.max() > 255 else 1)).astype(np.uint8))
    return picture.convert("RGB")
