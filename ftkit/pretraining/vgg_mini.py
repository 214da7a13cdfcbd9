"""vgg-mini: torchvision's VGG with batch norm and a small head, taught to name 200 kinds of things."""

from __future__ import annotations

import torch
from torch import nn

from ftkit.backbones.small import build_small
from ftkit.pretraining.images import CLASSES, Cycle, ImageRecipe


class VGGMini(ImageRecipe):
    """The plain network of Simonyan & Zisserman 2015, 8 convolutions and one linear layer, 4.8 million parameters."""

    name = "vgg-mini"
    about = "torchvision's VGG with batch norm and a small head, input 64x64, pretrained on photos of 200 classes."
    weaknesses = ("As resnet-mini: 64x64 pixels and 200 classes, nearly a third of them animals. It needs 2.7 "
                  "times the multiplications of resnet-mini for a picture.")
    cycles = (Cycle(10, 0.1, 0.6), Cycle(6, 0.1, 0.6))
    own_steps = sum(cycle.epochs for cycle in cycles) * (ImageRecipe.photos // ImageRecipe.batch_size)
    # Five times VGG halves the picture: of 64 pixels 2x2 places are left, of fewer only one, at the top left. So what
    # the first cycle learns from small photos is a start, quick to come by; its end does not count for the mean.
    sizes = (40, 56)
    counts_from = 1
    mixing = 0.0

    def build(self) -> nn.Module:
        """The network, channels-last."""
        return build_small("vgg_mini", CLASSES).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
