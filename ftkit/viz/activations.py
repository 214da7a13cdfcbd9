"""What the layers of an image network answer to one picture: a few of their maps, early and late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.backbones import Model
from ftkit.errors import UserError, check_name
from ftkit.report.costs import borrowed
from ftkit.viz.filters import image_models
from ftkit.viz.style import INK, SMALL, WIDTH, Picture, bare
from ftkit.viz.words import plain, wrap

_POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
COLOURS = "cividis"  # brighter is more, also in greyscale and for colour-blind people


def activations(model: Any, image: Any, groups: Sequence[str] | None = None, n: int = 7) -> Picture:
    """Draw what some layer groups answer to one picture: of each, the maps that answer most strongly.

    Bright means that the channel answers there. Each map has its own scale.

    Args:
        model: From `load_backbone`.
        image: A file, a PIL picture or an array (H, W, 3).
        groups: Such as ["block 0", "block 3"]; None takes the first block and the last that still has a map.
        n: Maps of each group, 1 to 9.

    Returns:
        A Picture.

    Raises:
        UserError: No image model, a group without maps, or n out of range.
        UnknownName: No such group.

    Lesson 03.
    """
    named = image_models(model, "activations")
    if len(named) > 1:
        raise UserError(f"activations draws one model at a time, not {', '.join(named)}.")
    name, one = next(iter(named.items()))
    if not isinstance(n, int) or not 1 <= n <= 9:
        raise UserError(f"n must be a whole number from 1 to 9, not {n!r}.")
    chosen = list(groups) if groups is not None else _ends(one)
    maps = {group: maps_of(one, image, group)[1] for group in chosen}
    seen = one.processor.decode(image).permute(1, 2, 0).numpy()
    tile = (WIDTH - 0.2) / (n + 1)
    titles = {group: wrap(f"{group}: {len(found)} maps of {found.shape[1]}x{found.shape[2]}; the {min(n, len(found))} "
                          "strongest", WIDTH - tile - 0.4, SMALL) for group, found in maps.items()}
    picture = Picture(height=0.2 + len(maps) * (tile + 0.35), constrained=False)
    for row, (group, found) in enumerate(maps.items()):
        top = row * (tile + 0.35) + 0.35
        if row == 0:
            _tile(picture, 0, top, tile, seen, "what it sees")
        for column, i in enumerate(strongest(found, n), start=1):
            _tile(picture, column, top, tile, found[i], titles[group] if column == 1 else "", COLOURS)
    picture.alt = f"What {name} answers to a picture. " + " ".join(
        f"{group}: the strongest of {len(found)} maps of {found.shape[1]} x {found.shape[2]} pixels."
        for group, found in maps.items())
    return picture


def maps_of(model: Model, image: Any, group: str) -> tuple[str, np.ndarray]:
    """The last answer of a group that is still a picture, before its pooling.

    Args:
        model: From `load_backbone`; it is run in eval mode and left as it was.
        image: A file, a PIL picture or an array (H, W, 3).
        group: Such as "block 2".

    Returns:
        The name of the module that answered, and its maps (C, h, w).

    Raises:
        UnknownName: No such group.
        UserError: The group's answer has no height and width.
    """
    check_name("layer group", group, model.layers.names)
    seen: list[tuple[str, Tensor]] = []

    def hook_for(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            flat = not isinstance(first, Tensor) or first.dim() != 4 or first.shape[-2:].numel() < 2
            if not flat and not isinstance(module, _POOLING):
                seen[:] = [(path, first.detach().clone())]  # a copy: an in-place ReLU may follow
        return hook

    handles = [model.net.get_submodule(path).register_forward_hook(hook_for(path))
               for path in model.layers[group].modules]
    try:
        with borrowed(model), torch.no_grad():
            model.net.eval()
            model.task.forward(model.net, {"pixel_values": pixels(model, [image])})
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        raise UserError(f"{group} of {model.spec.name} answers with numbers that have no place in the picture. Take a "
                        "group nearer to the input; a transformer for pictures has none.")
    return seen[0][0], seen[0][1][0].float().cpu().numpy()


def pixels(model: Model, images: Sequence[Any]) -> Tensor:
    """Pictures as the network takes them: float (B, 3, S, S)."""
    stacked = torch.stack([model.processor.decode(image) for image in images])
    return model.processor.normalise(stacked).to(next(model.net.parameters()).device)


def strongest(maps: np.ndarray, n: int) -> list[int]:
    """The channels of maps (C, h, w) with the largest mean answer, strongest first."""
    order: list[int] = np.argsort(-np.abs(maps).mean((1, 2)), kind="stable")[:n].tolist()
    return order


def _ends(model: Model) -> list[str]:
    """The first and the last block that answer with maps."""
    blank = np.zeros((model.processor.size, model.processor.size, 3), np.uint8)
    with_maps = []
    for block in model.layers.blocks:
        try:
            maps_of(model, blank, block.name)
        except UserError:  # such as VGG's hidden linear layers
            continue
        with_maps.append(block.name)
    if not with_maps:
        raise UserError(f"No block of {model.spec.name} answers with maps.")
    return list(dict.fromkeys([with_maps[0], with_maps[-1]]))


def _tile(picture: Picture, column: int, top: float, tile: float, image: np.ndarray, title: str,
          colours: str | None = None) -> None:
    """One square; all measures in inches from the upper left corner."""
    height = picture.get_size_inches()[1]
    edge = tile - 0.1
    axes = bare(picture.add_axes((
        (0.15 + column * tile) / WIDTH, 1 - (top + edge) / height, edge / WIDTH, edge / height)))
    axes.imshow(image, cmap=colours, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=SMALL, color=INK, loc="left", pad=4, **plain())
