"""Grad-CAM: which parts of a picture speak for a class. captum computes it, this file draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from ftkit.backbones import Model
from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.errors import UserError, check_name
from ftkit.report.costs import borrowed
from ftkit.training import predict
from ftkit.viz.activations import maps_of, pixels
from ftkit.viz.filters import image_models
from ftkit.viz.style import INK, SMALL, WIDTH, Picture, bare
from ftkit.viz.words import plain, wrap

MOST = 5  # models side by side
LEAST_WIDE = 4  # pixels of a map: with fewer of them, one cannot say where


def gradcam(models: Any, inputs: Sequence[Any], targets: Any = None, group: str | None = None) -> Picture:
    """Draw which parts of each picture speak for a class: the picture, and beside it a map for each model.

    The stronger the colour, the more the place speaks for the class; a line surrounds what reaches half of the largest
    value. Each map has its own scale: compare places, not strengths.

    Args:
        models: A model from `load_backbone`, or up to five by name: {"before": one, "after": other}.
        inputs: Pictures: files, PIL pictures or arrays (H, W, 3).
        targets: The class to ask for: a name or an index, or one for each picture. None asks each model for the class
            that it says itself.
        group: The layer group whose maps are used, such as "block 2"; None takes the last with maps of 4x4 or more.

    Returns:
        A Picture.

    Raises:
        UserError: No image model, no picture, more than five models, or a group without maps.
        UnknownName: No such class or group.

    Source: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks". Lesson 03.
    """
    named = image_models(models, "gradcam")
    if len(named) > MOST:
        raise UserError(f"gradcam draws at most {MOST} models side by side, not {len(named)}.")
    pictures = _several(inputs)
    asked = _targets(next(iter(named.values())), targets, len(pictures))
    found = {name: (gradcam_maps(model, pictures, targets, group), predict(model, pictures))
             for name, model in named.items()}
    sheet = _Sheet(len(pictures), len(named) + 1)
    words = [_captions(named, found, asked, i, sheet.tile) for i in range(len(pictures))]
    picture = sheet.picture(max(text.count("\n") + 1 for texts in words for text in texts))
    processor = next(iter(named.values())).processor
    for i, (image, texts) in enumerate(zip(pictures, words, strict=True)):
        seen = processor.decode(image).permute(1, 2, 0).numpy()
        for k, (heat, text) in enumerate(zip([None, *(maps[i] for maps, _ in found.values())], texts, strict=True)):
            _draw(sheet.place(picture, i, k), seen, heat, text)
    picture.alt = _in_words(found, asked)
    return picture


def gradcam_maps(model: Model, inputs: Sequence[Any], targets: Any = None, group: str | None = None) -> np.ndarray:
    """Grad-CAM of each picture, as numbers.

    Args:
        model: From `load_backbone`; it is run in eval mode and left as it was.
        inputs: Pictures.
        targets: As in `gradcam`.
        group: As in `gradcam`.

    Returns:
        (N, S, S) from 0 to 1, where 1 is the largest value of each map; all 0 where nothing speaks for the class.

    Raises:
        UserError: No image model, no picture, or a group without maps.
        UnknownName: No such class or group.

    Source: Selvaraju et al. 2017; computed by captum's LayerGradCam. Lesson 03.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    image_models(model, "gradcam_maps")
    pictures = _several(inputs)
    asked = _targets(model, targets, len(pictures))
    layer = model.net.get_submodule(_module(model, group))
    with borrowed(model):
        model.net.eval()
        batch = pixels(model, pictures).requires_grad_()  # a frozen body makes no graph by itself
        logits = model.task.forward(model.net, {"pixel_values": batch})
        wanted = torch.as_tensor(asked, device=batch.device) if asked else logits.argmax(-1)
        method = LayerGradCam(lambda x: model.task.forward(model.net, {"pixel_values": x}), layer)
        maps = method.attribute(batch, target=wanted, relu_attributions=True)
        assert isinstance(maps, torch.Tensor)  # one layer, one tensor
        large = LayerAttribution.interpolate(maps, tuple(batch.shape[-2:]), "bilinear")
    heat = large[:, 0].detach().float().cpu().numpy()
    most = heat.max((1, 2), keepdims=True)
    return np.divide(heat, most, out=np.zeros_like(heat), where=most > 0)


def _several(inputs: Any) -> list[Any]:
    pictures = list(inputs) if isinstance(inputs, (list, tuple)) or getattr(inputs, "ndim", 3) == 4 else [inputs]
    if not pictures:
        raise UserError("gradcam needs at least one picture.")
    return pictures


def _targets(model: Model, targets: Any, n: int) -> list[int]:
    """Class indices, one per picture; empty for None, which means "what the model says"."""
    if targets is None:
        return []
    given = list(targets) if isinstance(targets, (list, tuple, np.ndarray)) else [targets] * n
    if len(given) != n:
        raise UserError(f"There are {n} pictures and {len(given)} targets: give one for each, or one for all.")
    labels = model.task.labels
    names = [labels[int(target)] if isinstance(target, (int, np.integer)) and 0 <= target < len(labels)
             else check_name("class", str(target), labels) for target in given]
    return [labels.index(name) for name in names]


def _module(model: Model, group: str | None) -> str:
    """The module whose maps are used."""
    blank = np.zeros((model.processor.size, model.processor.size, 3), np.uint8)
    if group is not None:
        return maps_of(model, blank, group)[0]
    for block in reversed(model.layers.blocks):
        try:
            name, maps = maps_of(model, blank, block.name)
        except UserError:
            continue
        if min(maps.shape[1:]) >= LEAST_WIDE:
            return name
    raise UserError(f"No block of {model.spec.name} answers with maps of at least {LEAST_WIDE}x{LEAST_WIDE} pixels.")


def _captions(
    named: dict[str, Model], found: dict[str, Any], asked: list[int], i: int, tile: float
) -> list[str]:
    labels = next(iter(named.values())).task.labels
    first = f"asked for: {labels[asked[i]]}" if asked else "asked for: what each says"
    said = [f"{name}: says {answers[i].label} {answers[i].probability:.2f}" for name, (_, answers) in found.items()]
    return [wrap(text, tile - 0.15, SMALL) for text in (first, *said)]


class _Sheet:
    """Where the tiles lie: as many pictures, each with its maps at its right, as fit side by side."""

    def __init__(self, pictures: int, tiles: int) -> None:
        self.tiles, self.across = tiles, min(pictures, max(1, 6 // tiles))
        self.rows = -(-pictures // self.across)
        self.gap = 0.2  # inches between one picture's tiles and the next one's
        self.tile = min(2.4, (WIDTH - 0.3 - self.gap * (self.across - 1)) / (tiles * self.across))
        self.pitch = 0.0

    def picture(self, lines: int) -> Picture:
        """A Picture with room for captions of so many lines."""
        self.pitch = self.tile + 0.2 * lines + 0.1
        return Picture(height=0.2 + self.rows * self.pitch, constrained=False)

    def place(self, picture: Picture, i: int, k: int) -> Axes:
        """The axes of the k-th tile of the i-th picture; its caption stands above."""
        height, edge = picture.get_size_inches()[1], self.tile - 0.12
        left = 0.15 + (i % self.across) * (self.tiles * self.tile + self.gap) + k * self.tile
        bottom = (i // self.across + 1) * self.pitch
        return picture.add_axes((left / WIDTH, 1 - bottom / height, edge / WIDTH, edge / height))


def _draw(axes: Axes, image: np.ndarray, heat: np.ndarray | None, caption: str) -> None:
    bare(axes)
    if heat is None:
        axes.imshow(image, interpolation="nearest")
    else:  # the picture in pale grey: its own colours would be mistaken for heat
        grey = np.asarray(ImagePreprocess.open(image).convert("L"), float) / 255
        axes.imshow(0.35 + 0.65 * grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.imshow(heat, cmap=_GLOW, vmin=0, vmax=1, interpolation="nearest")
        if heat.max() > 0.5:
            axes.contour(heat, levels=[0.5], colors=[INK], linewidths=1.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(caption, fontsize=SMALL, color=INK, loc="left", pad=4, linespacing=1.2, **plain())


_GLOW = LinearSegmentedColormap.from_list("glow", [(0.835, 0.369, 0.0, 0.0), (0.835, 0.369, 0.0, 0.75)])


def _in_words(found: dict[str, Any], asked: list[int]) -> str:
    """Where the heat is, by its centre: for those who cannot see it."""
    parts = []
    for name, (maps, answers) in found.items():
        parts += [f"Picture {i}, {name}: says {answer.label} with probability {answer.probability:.2f}; "
                  f"{place_in_words(heat)}." for i, (heat, answer) in enumerate(zip(maps, answers, strict=True), 1)]
    for_what = "the class that is asked for" if asked else "what each model says"
    return f"Grad-CAM: what speaks for {for_what}. {' '.join(parts)}"


def place_in_words(heat: np.ndarray) -> str:
    """"strongest at the upper left" of a map (S, S); the middle third counts as the middle."""
    if not heat.max() > 0:
        return "nothing speaks for it"
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    down = ("upper", "", "lower")[int(3 * y / heat.shape[0])]
    across = ("left", "", "right")[int(3 * x / heat.shape[1])]
    alone = {"upper": "top", "lower": "bottom", "": "middle"}
    return f"strongest at the {f'{down} {across}'.strip() if across else alone[down]}"
