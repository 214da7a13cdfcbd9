"""The small image networks that ftkit bundles: torchvision's own classes, in sizes that it has no builder for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

# torchvision's notation: numbers are channels of a 3x3 convolution, "M" is a pooling that halves the picture.
_VGG_MINI: list[str | int] = [32, "M", 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M"]


def build_small(builder: str, classes: int) -> nn.Module:
    """A network with random weights and a head for so many classes.

    Args:
        builder: "resnet_mini" or "vgg_mini".
        classes: Scores of the last layer.
    """
    return SMALL[builder](classes)


def _resnet_mini(classes: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=classes)


def _vgg_mini(classes: int) -> nn.Module:
    """Its mean over the last 2x2 pixels and one linear layer replace the two layers of 4,096 that make VGG-16 big."""
    from torchvision.models.vgg import VGG, make_layers

    with torch.device("meta"):  # else the 120 million numbers of those two are drawn, for seconds, and thrown away
        net = VGG(nn.Identity(), num_classes=classes, init_weights=False)
    net.features = make_layers(_VGG_MINI, batch_norm=True)
    for convolution in (module for module in net.features.modules() if isinstance(module, nn.Conv2d)):
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")  # as torchvision begins
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    net.avgpool = nn.AdaptiveAvgPool2d(1)
    net.classifier = nn.Sequential(nn.Linear(512, classes))
    nn.init.normal_(net.classifier[0].weight, std=0.01)
    nn.init.zeros_(net.classifier[0].bias)
    return net


SMALL: dict[str, Callable[[int], nn.Module]] = {"resnet_mini": _resnet_mini, "vgg_mini": _vgg_mini}
