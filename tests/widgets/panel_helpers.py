"""What the tests of the small panels share."""

from __future__ import annotations

from torch import nn

from ftkit.layers import LayerMap, make_layout


def tiny_map(blocks: int = 3) -> LayerMap:
    """stem (embedding, 40 numbers), blocks (linear 20, BatchNorm 8) and a head (10)."""
    parts = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(blocks)]
    net = nn.ModuleDict({"words": nn.Embedding(10, 4), "layers": nn.ModuleList(parts), "out": nn.Linear(4, 2)})
    return LayerMap(net, make_layout(net, stem=["words"], blocks=["layers.*"], head=["out"]))
