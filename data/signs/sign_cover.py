"""What may stand or stick before a sign: leaves, stickers, sprayed lines, poles, snow."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw
from sign_clutter import HEIGHT, LOUD, Rng, pick
from sign_scenery import LEAVES

Place = tuple[float, float, float]  # x, y and size of a sign on the canvas


def leaves(rng: Rng, draw: ImageDraw.ImageDraw, place: Place) -> None:
    """A twig that reaches in from the side."""
    x, y, size = place
    angle = rng.uniform(0, 2 * np.pi)
    cx, cy = x + 0.5 * size * np.cos(angle), y + 0.5 * size * np.sin(angle)
    draw.line([(cx, cy), (cx + size * np.cos(angle), cy + size * np.sin(angle))], fill=(80, 64, 46, 255), width=3)
    leaf = pick(rng, LEAVES)
    for _ in range(int(rng.integers(10, 34))):
        px, py = cx + rng.normal(0, 0.17 * size), cy + rng.normal(0, 0.17 * size)
        w, h, shade = rng.uniform(0.03, 0.08) * size, rng.uniform(0.03, 0.08) * size, rng.uniform(0.6, 1.3)
        draw.ellipse([px - w, py - h, px + w, py + h], fill=(*(min(255, int(c * shade)) for c in leaf), 255))


def sticker(rng: Rng, draw: ImageDraw.ImageDraw, place: Place) -> None:
    """One to three stickers."""
    x, y, size = place
    for _ in range(int(rng.integers(1, 4))):
        cx, cy = x + rng.normal(0, 0.17 * size), y + rng.normal(0, 0.17 * size)
        w, h = rng.uniform(0.04, 0.11) * size, rng.uniform(0.03, 0.09) * size
        shape = draw.ellipse if rng.random() < 0.4 else draw.rectangle
        shape([cx - w, cy - h, cx + w, cy + h], fill=(*pick(rng, LOUD), 255))
        draw.line([(cx - 0.6 * w, cy), (cx + 0.5 * w, cy)], fill=(*pick(rng, LOUD), 255), width=max(1, int(0.4 * h)))


def graffiti(rng: Rng, draw: ImageDraw.ImageDraw, place: Place) -> None:
    """A sprayed line."""
    x, y, size = place
    t = np.linspace(0, rng.uniform(3, 9), 40)
    px = x + size * (rng.uniform(-0.3, 0) + 0.08 * t * rng.uniform(0.3, 1))
    px += 0.12 * size * np.sin(2.3 * t + rng.uniform(0, 6))
    py = y + rng.normal(0, 0.12) * size + rng.uniform(0.08, 0.22) * size * np.sin(t * rng.uniform(1.2, 2.6))
    colour = pick(rng, [(20, 20, 24), (110, 40, 130), (30, 120, 170), (200, 60, 120), (230, 230, 230)])
    draw.line(list(zip(px.tolist(), py.tolist(), strict=True)), fill=(*colour, 255),
              width=round(rng.uniform(0.02, 0.05) * size), joint="curve")


def post(rng: Rng, draw: ImageDraw.ImageDraw, place: Place) -> None:
    """A nearer pole or trunk."""
    x, _, size = place
    cx, w, lean = x + rng.normal(0, 0.3) * size, rng.uniform(0.04, 0.12) * size, rng.normal(0, 20)
    draw.polygon([(cx - w + lean, 0), (cx + w + lean, 0), (cx + w, HEIGHT), (cx - w, HEIGHT)],
                 fill=(*pick(rng, [(88, 70, 52), (120, 122, 126), (60, 54, 50), (170, 168, 160)]), 255))


def snow_cap(rng: Rng, draw: ImageDraw.ImageDraw, place: Place) -> None:
    """Snow that sticks to the plate."""
    x, y, size = place
    side = rng.choice([-1, 1])
    for _ in range(int(rng.integers(8, 26))):
        px, py = x + rng.normal(0, 0.22 * size), y + side * rng.uniform(0.12, 0.42) * size
        r = rng.uniform(0.03, 0.1) * size
        draw.ellipse([px - r, py - 0.7 * r, px + r, py + 0.7 * r], fill=(240, 243, 248, 255))


COVERS = [leaves, leaves, sticker, graffiti, post]
