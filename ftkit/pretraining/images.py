"""What the image recipes share: Tiny ImageNet in memory, random views of its photos, and the measure of success."""

from __future__ import annotations

import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.errors import DataError
from ftkit.machine import cpu_limit
from ftkit.pretraining.recipe import Recipe, decayed, half
from ftkit.pretraining.teacher import CELLS, label_maps

SIZE = 64
CLASSES = 200
PREPROCESS = ImagePreprocess(size=SIZE, resize=SIZE)
TRAIN, VALID = "tiny-imagenet-train.parquet", "tiny-imagenet-val.parquet"


class ImageRecipe(Recipe):
    """Classify 200 kinds of things in photos of 64x64 pixels.

    To tell a goldfish from a school bus, a network must learn edges, textures, parts and shapes. These are what a
    fine-tuned network uses again.

    Attributes:
        epochs: Passes over the training photos.
        taught: Share of the target that is the teacher's answer (see `teacher`); the rest is the label.
        sizes: Edge of the training photos at the start and at the end, in pixels: small ones are faster, and the
            network only has to see detail towards the end (as fast.ai's progressive resizing).
        hard: Share of the run in which views are hard. Later, a view shows at least `least[1]` of a photo's area, and
            nothing is pasted: with a teacher, a small network does not learn the photos by heart any more, and easy
            views teach it faster.
        least: Smallest part of a photo's area that a random view shows, hard and easy.
        mixing: Share of hard batches in which a window of each photo is pasted from another one (CutMix, Yun et al.
            2019).
    """

    data_about = ("Tiny ImageNet (photos of 200 ImageNet classes, 64x64 pixels). ImageNet terms: research and "
                  "teaching. Teacher: EfficientNet-lite0, trained on ImageNet (its weights: Apache-2.0).")
    licence = "As the photos': research and teaching."
    batch_size: ClassVar[int] = 128
    photos: ClassVar[int] = 50_000
    epochs: ClassVar[int]
    lr: ClassVar[float]
    taught: ClassVar[float] = 0.7
    sizes: ClassVar[tuple[int, int]] = (40, 64)
    hard: ClassVar[float] = 1 / 3
    least: ClassVar[tuple[float, float]] = (0.35, 0.6)
    mixing: ClassVar[float] = 0.3
    weight_decay: ClassVar[float] = 5e-4
    clip = 0.0
    warmup = 0.15

    def prepare(self, work: Path) -> None:
        """Decode all photos once: 64 x 64 x 3 bytes each, 600 MB for 50,000. Then ask the teacher about each."""
        self.images, self.labels, self.classes = read_photos(self.data / TRAIN, work)
        self.valid_images, self.valid_labels, _ = read_photos(self.data / VALID, work)
        self.maps = label_maps(self.images, self.labels, work, self.bar)

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """SGD with Nesterov momentum: for convolutions trained from nothing still the best per second."""
        return [torch.optim.SGD(decayed(net, self.weight_decay), lr=self.lr, momentum=0.9, nesterov=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """Cross-entropy on random views; sometimes each photo holds a window of another, and the target too."""
        chosen = torch.from_numpy(self.shuffled(len(self.labels), self.batch_size, step))
        rng = self.rng(step, 1)
        hard = step < self.hard * self.steps
        where = random_windows(len(chosen), rng, self.least[0 if hard else 1])
        images = view(PREPROCESS.normalise(self.images[chosen].to(self.device)), where, self._edge(step))
        target = self.targets(chosen, where)
        if hard and rng.random() < self.mixing:
            share = paste_windows(images, rng)
            target = share * target + (1 - share) * target.roll(1, 0)
        return F.cross_entropy(net(images.contiguous(memory_format=torch.channels_last)), target)

    def targets(self, chosen: Tensor, where: Tensor) -> Tensor:
        """Probabilities (B, 200): the label's, and what the teacher says of just this part of the photo."""
        seen = torch.from_numpy(self.maps[chosen.numpy()]).to(self.device, torch.float32)
        answers = view(seen, where, CELLS).mean((2, 3)).softmax(1)
        labels = F.one_hot(self.labels[chosen].to(self.device), CLASSES)[:, : answers.shape[1]]
        target = torch.lerp(labels.float(), answers, self.taught)
        return F.pad(target, (0, CLASSES - target.shape[1]))  # fewer classes only in tests

    def _edge(self, step: int) -> int:
        """Pixels of the photos in this step: rising in steps of 8 over the first 70 % of the run."""
        first, last = self.sizes
        share = min(1.0, step / (0.7 * self.steps))
        return min(last, 8 * math.floor((first + share * (last + 8 - first)) / 8))

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Share of validation photos whose class is named right."""
        right = 0
        for start in range(0, len(self.valid_labels), 256):
            batch = PREPROCESS.normalise(self.valid_images[start : start + 256].to(self.device))
            right += int((net(batch).argmax(1).cpu() == self.valid_labels[start : start + 256]).sum())
        return {"top1": right / len(self.valid_labels)}

    def export(self, net: nn.Module, folder: Path) -> None:
        """Weights, preprocessing, and the names of the 200 classes."""
        from safetensors.torch import save_file

        save_file(half(net.state_dict()), folder / "model.safetensors")
        PREPROCESS.save_pretrained(folder)
        (folder / "classes.json").write_text(json.dumps(self.classes, indent=0), encoding="utf8")

    def fetch(self, folder: Path) -> None:
        """Tiny ImageNet from the hub (zh-plus/tiny-imagenet), 100,000 photos of which half are taken."""
        from datasets import load_dataset

        for split, name, per_class in (("train", TRAIN, self.photos // CLASSES), ("valid", VALID, None)):
            loaded: Any = load_dataset("zh-plus/tiny-imagenet", split=split)
            if per_class:
                loaded = loaded.select(first_of_each(loaded["label"], per_class))
            loaded.to_parquet(folder / name)


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
