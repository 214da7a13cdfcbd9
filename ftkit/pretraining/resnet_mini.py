"""resnet-mini: torchvision's ResNet with one BasicBlock per stage, taught to name 200 kinds of things."""

from __future__ import annotations

import torch
from torch import nn

from ftkit.backbones.small import build_small
from ftkit.pretraining.images import CLASSES, Cycle, ImageRecipe


class ResNetMini(ImageRecipe):
    """The residual network of He et al. 2016 with 10 layers with weights, 5.0 million parameters."""

    name = "resnet-mini"
    about = "torchvision's ResNet with BasicBlock [1, 1, 1, 1], input 64x64, pretrained on photos of 200 classes."
    weaknesses = ("Photos of 64x64 pixels: small things and writing are lost. 200 classes, nearly a third of them "
                  "animals: drawings, medical or satellite pictures are far from what it knows.")
    cycles = (Cycle(22, 0.2, 0.6), Cycle(10, 0.06, 0.75), Cycle(8, 0.06, 0.6))
    own_steps = sum(cycle.epochs for cycle in cycles) * (ImageRecipe.photos // ImageRecipe.batch_size)

    def build(self) -> nn.Module:
        """The network, channels-last, with a last BatchNorm of each block that starts at zero (Goyal et al. 2017)."""
        net = build_small("resnet_mini", CLASSES)
        for name, parameter in net.named_parameters():
            if name.endswith("bn2.weight"):
                nn.init.zeros_(parameter)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
