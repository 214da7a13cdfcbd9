"""load_scenes: whole pictures with boxes, for finding things as well as naming them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ftkit.bundle import bundled_root
from ftkit.data.files import read_table
from ftkit.data.report import DataReport
from ftkit.errors import DataError, check_name

SCENES = {"signs": "signs/scenes.parquet"}
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Scene:
    """A picture and the things in it.

    Args:
        image: RGB picture.
        boxes: float32 (n, 4), pixels from the top left corner: x0, y0, x1, y1. A box takes in what is covered, too.
        labels: The class name of each box.
        condition: The weather or light: "clear", "rain", "fog", "snow" or "night".
        number: The scene's number in its split; crops of `load_data("signs")` with that number come from it.
    """

    image: Image.Image
    boxes: np.ndarray
    labels: tuple[str, ...]
    condition: str
    number: int


def load_scenes(split: str = "train", name: str = "signs") -> list[Scene]:
    """The scenes of one split, with boxes: what the crops of `load_data("signs")` are cut from.

    Args:
        split: "train" (300 scenes), "valid" (80) or "test" (120).
        name: The data set; "signs" is the only one that has scenes.

    Raises:
        UnknownName: No such split or data set.
        DataError: The file is missing or damaged.
    """
    path = bundled_root() / SCENES[check_name("data set with scenes", name, SCENES)]
    check_name("split", split, SPLITS)
    if not path.is_file():
        raise DataError(f"The scenes of '{name}' are not there ({path.name}). Install ftkit again.")
    table = read_table(path, DataReport())
    cells = table.columns
    return [_scene(*row) for row in zip(*(cells[key] for key in (
        "image", "boxes", "labels", "condition", "scene", "split")), strict=True) if row[-1] == split]


def _scene(raw: bytes, boxes: list[list[float]], labels: list[str], condition: str, number: int, split: str) -> Scene:
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    return Scene(image, np.array(boxes, dtype=np.float32), tuple(labels), condition, number)
