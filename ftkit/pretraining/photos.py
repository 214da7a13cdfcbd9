"""Photos for the image recipes: Tiny ImageNet in memory, and random views of it."""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.errors import DataError
from ftkit.machine import cpu_limit

SIZE = 64
PREPROCESS = ImagePreprocess(size=SIZE, resize=SIZE)


def first_of_each(labels: list[int], count: int) -> list[int]:
    """Indices of the first `count` examples of each class."""
    seen: dict[int, int] = {}
    kept = []
    for index, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= count:
            kept.append(index)
    return kept


def read_photos(file: Path, work: Path) -> tuple[Tensor, Tensor, list[str]]:
    """uint8 (N, 3, 64, 64), labels (N,), class names; decoded once and kept in `work`.

    Raises:
        DataError: The file is missing or has no columns `image` and `label`.
    """
    import pyarrow.parquet as pq

    if not file.is_file():
        raise DataError(f"There is no {file.name} in {file.parent}. Pass the folder that holds it, or --fetch.")
    table = pq.read_table(file)
    if not {"image", "label"} <= set(table.column_names):
        raise DataError(f"{file.name} has the columns {', '.join(table.column_names)}: image and label are wanted.")
    labels = torch.tensor(table["label"].to_pylist())
    kept = work / f"{file.stem}.npy"
    if not kept.is_file():
        pictures = table["image"].to_pylist()
        with ThreadPoolExecutor(cpu_limit()) as pool:
            np.save(kept.with_suffix(".new.npy"), np.stack(list(pool.map(_decode, pictures))))
        kept.with_suffix(".new.npy").replace(kept)
    names = (table.schema.metadata or {}).get(b"classes")
    return torch.from_numpy(np.load(kept)), labels, _class_names(names, int(labels.max()) + 1)


def _decode(picture: Any) -> np.ndarray:
    data = picture["bytes"] if isinstance(picture, dict) else picture
    return PREPROCESS.decode(Image.open(io.BytesIO(data))).numpy()


def _class_names(raw: bytes | None, count: int) -> list[str]:
    """Lines "n01443537<tab>goldfish, Carassius auratus" as the first of the words; numbers if there are none."""
    if not raw:
        return [str(i) for i in range(count)]
    return [line.split("\t")[-1].split(",")[0].strip() for line in raw.decode().splitlines()]


def random_windows(count: int, rng: np.random.Generator, least: float = 0.35) -> Tensor:
    """A random part of each photo (of at least `least` of its area), mirrored or not: affine maps (B, 2, 3)."""
    area, ratio = rng.uniform(least, 1.0, count), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), count))
    width, height = np.minimum(1, np.sqrt(area * ratio)), np.minimum(1, np.sqrt(area / ratio))
    left, top = rng.uniform(-1, 1, count) * (1 - width), rng.uniform(-1, 1, count) * (1 - height)
    flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    zero = np.zeros(count)
    maps = np.stack([np.stack([flip * width, zero, left], 1), np.stack([zero, height, top], 1)], 1)
    return torch.from_numpy(maps).float()


def view(images: Tensor, windows: Tensor, edge: int) -> Tensor:
    """Those parts as pictures (B, C, edge, edge): one affine map per photo cuts, mirrors and resizes together."""
    grid = F.affine_grid(windows.to(images.device), [*images.shape[:2], edge, edge], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def paste_windows(images: Tensor, rng: np.random.Generator) -> float:
    """Paste one window of each photo's neighbour in the batch into it, in place; returns the share that stayed."""
    edge = images.shape[-1]
    cut = round(edge * math.sqrt(1 - rng.random()))
    top, left = (int(rng.integers(0, edge - cut + 1)) for _ in range(2))
    window = images[:, :, top : top + cut, left : left + cut]
    images[:, :, top : top + cut, left : left + cut] = window.roll(1, 0).clone()
    return 1 - (cut / edge) ** 2
