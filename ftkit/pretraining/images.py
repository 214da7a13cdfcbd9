"""What the image recipes share: a teacher's answers as targets, cycles of the rate, and the mean of their ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ftkit.pretraining.photos import (
    PREPROCESS,
    SIZE,
    first_of_each,
    paste_windows,
    random_windows,
    read_photos,
    view,
)
from ftkit.pretraining.recipe import Recipe, decayed, half, one_cycle
from ftkit.pretraining.teacher import CELLS, label_maps

CLASSES = 200
TRAIN, VALID = "tiny-imagenet-train.parquet", "tiny-imagenet-val.parquet"
RECOUNTED = 19_200  # photos from which BatchNorm's statistics are taken anew


class Cycle(NamedTuple):
    """A rise and a fall of the learning rate.

    Args:
        epochs: Passes over the training photos.
        lr: Highest learning rate.
        least: Smallest part of a photo's area that a random view shows.
    """

    epochs: int
    lr: float
    least: float


class ImageRecipe(Recipe):
    """Classify 200 kinds of things in photos of 64x64 pixels.

    To tell a goldfish from a school bus, a network must learn edges, textures, parts and shapes. These are what a
    fine-tuned network uses again.

    Attributes:
        cycles: The learning rate rises and falls in each (warm restarts, Loshchilov & Hutter 2017). What comes out is
            the mean of the weights at their ends: it is right more often than each of them (stochastic weight
            averaging, Izmailov et al. 2018).
        taught: Share of the target that is the teacher's answer (see `teacher`); the rest is the label.
        sizes: Edge of the training photos at the start and at the end of the first cycle, in pixels: small ones are
            faster, and the network only has to see detail towards the end (as fast.ai's progressive resizing).
        counts_from: How many cycles come before the first one whose end counts for the mean.
        hard: Share of the first cycle in which views are hard: they show at least `hard_least` of a photo's area, and
            in `mixing` of the batches a window of each photo is pasted from another one (CutMix, Yun et al. 2019).
            Later, views are easy.
    """

    data_about = ("Tiny ImageNet (photos of 200 ImageNet classes, 64x64 pixels). ImageNet terms: research and "
                  "teaching. Teacher: EfficientNet-lite0, trained on ImageNet (its weights: Apache-2.0).")
    licence = "As the photos': research and teaching."
    batch_size: ClassVar[int] = 128
    photos: ClassVar[int] = 50_000
    cycles: ClassVar[tuple[Cycle, ...]]
    taught: ClassVar[float] = 0.7
    sizes: ClassVar[tuple[int, int]] = (40, 64)
    counts_from: ClassVar[int] = 0
    hard: ClassVar[float] = 1 / 3
    hard_least: ClassVar[float] = 0.35
    mixing: ClassVar[float] = 0.3
    weight_decay: ClassVar[float] = 5e-4
    clip = 0.0
    warmup = 0.15

    def prepare(self, work: Path) -> None:
        """Decode all photos once: 64 x 64 x 3 bytes each, 600 MB for 50,000. Then ask the teacher about each."""
        self.work = work
        self.images, self.labels, self.classes = read_photos(self.data / TRAIN, work)
        self.valid_images, self.valid_labels, _ = read_photos(self.data / VALID, work)
        self.maps = label_maps(self.images, self.labels, work, self.bar)

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """SGD with Nesterov momentum: for convolutions trained from nothing still the best per second."""
        return [torch.optim.SGD(decayed(net, self.weight_decay), lr=self.cycles[0].lr, momentum=0.9, nesterov=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """Cross-entropy on random views; sometimes each photo holds a window of another, and the target too."""
        number, at, _ = self._place(step)
        if number and not at:
            self._keep(net, number)
        chosen = torch.from_numpy(self.shuffled(len(self.labels), self.batch_size, step))
        rng = self.rng(step, 1)
        hard = not number and at < self.hard * self._ends[0]
        where = random_windows(len(chosen), rng, self.hard_least if hard else self.cycles[number].least)
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

    @property
    def _ends(self) -> list[int]:
        """Steps after which the cycles end."""
        passes = [sum(cycle.epochs for cycle in self.cycles[: i + 1]) for i in range(len(self.cycles))]
        return [self.steps * count // passes[-1] for count in passes]

    def _place(self, step: int) -> tuple[int, int, int]:
        """The number of the step's cycle, its place in it, and the cycle's length."""
        ends = self._ends
        number = next(i for i, end in enumerate(ends) if step < end)
        begin = ends[number - 1] if number else 0
        return number, step - begin, ends[number] - begin

    def rate(self, step: int) -> float:
        """In each cycle a warm-up and a cosine."""
        number, at, length = self._place(step)
        share = one_cycle(at, length, 0.05 if number else self.warmup)
        return self.cycles[number].lr / self.cycles[0].lr * share

    def _edge(self, step: int) -> int:
        """Pixels of the photos in this step: rising in steps of 8 over 70 % of the first cycle, afterwards all 64."""
        if step >= self._ends[0]:
            return SIZE
        first, last = self.sizes
        share = min(1.0, step / (0.7 * self._ends[0]))
        return min(last, 8 * math.floor((first + share * (last + 8 - first)) / 8))

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Share of validation photos whose class is named right."""
        right = 0
        for start in range(0, len(self.valid_labels), 256):
            batch = PREPROCESS.normalise(self.valid_images[start : start + 256].to(self.device))
            right += int((net(batch).argmax(1).cpu() == self.valid_labels[start : start + 256]).sum())
        return {"top1": right / len(self.valid_labels)}

    def _keep(self, net: nn.Module, number: int) -> None:
        """The weights at the end of a cycle, for the mean."""
        fresh = self.work / "cycle.new"
        save_file({name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}, fresh)
        fresh.replace(self._kept(number))

    def _kept(self, number: int) -> Path:
        return self.work / f"cycle-{number}.safetensors"

    @torch.no_grad()
    def average(self, net: nn.Module) -> None:
        """Put the mean over the ends of all cycles that count into the network, which holds that of the last."""
        ends = [net.state_dict(), *(load_file(self._kept(i)) for i in range(1 + self.counts_from, len(self.cycles)))]
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.stack([end[name].to(tensor) for end in ends]).mean(0))
        self.recount(net)

    def recount(self, net: nn.Module) -> None:
        """Take BatchNorm's statistics anew, from whole photos: those of cut-out views, by other weights, do not fit."""
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        usual = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
        net.train()
        order = torch.from_numpy(self.rng(7).permutation(len(self.labels))[:RECOUNTED])
        for chosen in order.split(self.batch_size):
            net(PREPROCESS.normalise(self.images[chosen].to(self.device)))
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
        net.eval()

    def export(self, net: nn.Module, folder: Path) -> None:
        """The mean of the weights, measured once more."""
        self.average(net)
        with torch.inference_mode():
            self.averaged = self.validate(net)["top1"]
        self.write(net, folder)

    def write(self, net: nn.Module, folder: Path) -> None:
        """Weights, preprocessing, and the names of the 200 classes."""
        save_file(half(net.state_dict()), folder / "model.safetensors")
        PREPROCESS.save_pretrained(folder)
        (folder / "classes.json").write_text(json.dumps(self.classes, indent=0), encoding="utf8")

    def facts(self) -> dict[str, Any]:
        """How often what the file holds names a validation photo right."""
        several = len(self.cycles) - self.counts_from > 1
        what = "of the mean of the cycles' ends" if several else "with BatchNorm's statistics from whole photos"
        return {f"top1 {what}, which is what the file holds": f"{self.averaged:.4g}"}

    def fetch(self, folder: Path) -> None:
        """Tiny ImageNet from the hub (zh-plus/tiny-imagenet), 100,000 photos of which half are taken."""
        from datasets import load_dataset

        for split, name, per_class in (("train", TRAIN, self.photos // CLASSES), ("valid", VALID, None)):
            loaded: Any = load_dataset("zh-plus/tiny-imagenet", split=split)
            if per_class:
                loaded = loaded.select(first_of_each(loaded["label"], per_class))
            loaded.to_parquet(folder / name)
