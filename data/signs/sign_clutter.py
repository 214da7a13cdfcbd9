"""Things that look a little like signs: boards, balloons, logos, clocks, tents, cars, lamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw
from sign_pen import Colour

WIDTH, HEIGHT = 640, 480  # the canvas: twice the camera's pixels, so that edges come out smooth
Rng = np.random.Generator

LOUD = [(205, 30, 40), (20, 85, 170), (250, 195, 30), (245, 245, 240), (30, 140, 80), (235, 110, 30), (40, 40, 45)]


def pick(rng: Rng, items: Sequence[Colour], spread: int = 14) -> Colour:
    """One of the colours, a little changed."""
    base = np.array(items[int(rng.integers(len(items)))])
    red, green, blue = np.clip(base + rng.integers(-spread, spread + 1, 3), 0, 255)
    return int(red), int(green), int(blue)


def billboard(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """An advertising board: loud colours, a stripe, a disc, a word in bars."""
    x, y, w, h = rng.uniform(0, WIDTH - 60), rng.uniform(0.25, 0.9) * horizon, rng.uniform(50, 150), rng.uniform(30, 90)
    draw.rectangle([x + w / 2 - 3, y, x + w / 2 + 3, horizon + 20], fill=(110, 110, 112))
    draw.rectangle([x, y, x + w, y + h], fill=pick(rng, LOUD))
    draw.rectangle([x, y + 0.65 * h, x + w, y + 0.85 * h], fill=pick(rng, LOUD))
    r = 0.25 * h
    draw.ellipse([x + 8, y + 6, x + 8 + 2 * r, y + 6 + 2 * r], fill=pick(rng, LOUD))
    for k in range(int(rng.integers(1, 4))):
        above = y + (0.12 + 0.16 * k) * h
        draw.rectangle([x + 0.45 * w, above, x + rng.uniform(0.6, 0.95) * w, above + 0.08 * h], fill=pick(rng, LOUD))


def ball(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """A balloon or a lantern: round and loud, often red, with a highlight and a string."""
    x, y, r = rng.uniform(0, WIDTH), rng.uniform(0.2, 1.2) * horizon, rng.uniform(10, 40)
    draw.line([(x, y), (x + rng.uniform(-9, 9), y + 3 * r)], fill=(90, 90, 90), width=1)
    draw.ellipse([x - r, y - r, x + r, y + r], fill=pick(rng, LOUD[:3]))
    draw.ellipse([x - 0.5 * r, y - 0.6 * r, x - 0.1 * r, y - 0.2 * r], fill=(250, 235, 235))


def shop_sign(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """Rings of loud colours, as on a logo or a target; a clock, if it gets hands."""
    x, y, r = rng.uniform(0, WIDTH), rng.uniform(0.2, 1.0) * horizon, rng.uniform(12, 42)
    if rng.random() < 0.5:
        draw.rectangle([x - 3, y, x + 3, horizon + 20], fill=(105, 105, 108))
    for share in (1.0, rng.uniform(0.6, 0.9), rng.uniform(0.2, 0.5))[: int(rng.integers(1, 4))]:
        draw.ellipse([x - share * r, y - share * r, x + share * r, y + share * r], fill=pick(rng, LOUD))
    if rng.random() < 0.4:
        for angle, length in ((rng.uniform(0, 6.3), 0.8), (rng.uniform(0, 6.3), 0.5)):
            tip = (x + length * r * np.cos(angle), y + length * r * np.sin(angle))
            draw.line([(x, y), tip], fill=(20, 20, 20), width=3)


def pennant(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """A tent, a flag or a kite: a triangle or a diamond in a loud colour."""
    x, y, r = rng.uniform(0, WIDTH), rng.uniform(0.3, 1.25) * horizon, rng.uniform(14, 50)
    turn = rng.uniform(0, 6.3) if rng.random() < 0.5 else -np.pi / 2
    angles = turn + np.arange(n := int(rng.integers(3, 5))) * 2 * np.pi / n
    for share in (1.0, rng.uniform(0.3, 0.75))[: int(rng.integers(1, 3))]:
        corners = [(float(x + share * r * np.cos(a)), float(y + share * r * np.sin(a))) for a in angles]
        draw.polygon(corners, fill=pick(rng, LOUD))


def parked_car(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """A car from the side."""
    x, base, s = rng.uniform(-20, WIDTH - 40), horizon + rng.uniform(20, 110), rng.uniform(40, 90)
    paint = pick(rng, LOUD)
    roof = [(0.5, 0.75), (1.3, 0.75), (1.6, 0.4), (0.3, 0.4)]
    draw.polygon([(x + a * s, base - b * s) for a, b in roof], fill=(70, 84, 98))
    draw.rounded_rectangle([x, base - 0.45 * s, x + 1.9 * s, base - 0.1 * s], 0.1 * s, fill=paint)
    for wheel in (0.4, 1.5):
        cx, cy, r = x + wheel * s, base - 0.13 * s, 0.17 * s
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=(28, 28, 30))


def lamp(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int) -> None:
    """A lamp post, a bare pole, or a fence of them."""
    x, base, tall = rng.uniform(0, WIDTH), horizon + rng.uniform(0, 70), rng.uniform(80, 260)
    grey = pick(rng, [(120, 122, 126), (80, 76, 70), (150, 150, 150)])
    for k in range(int(rng.choice([1, 1, 6]))):
        high = tall if k == 0 else 0.3 * tall
        draw.rectangle([x + 26 * k, base - high, x + 26 * k + 4, base], fill=grey)
    draw.ellipse([x - 9, base - tall - 8, x + 13, base - tall + 6], fill=pick(rng, [(250, 240, 200), (90, 90, 95)]))


THINGS = [billboard, billboard, ball, shop_sign, shop_sign, pennant, parked_car, lamp]
