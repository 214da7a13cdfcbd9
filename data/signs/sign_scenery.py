"""What stands behind the signs: sky, ground, a road, houses and trees."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sign_clutter import HEIGHT, THINGS, WIDTH, Rng, pick
from sign_pen import Colour

SKIES: dict[str, list[tuple[Colour, Colour]]] = {  # top, horizon
    "clear": [((70, 130, 205), (190, 215, 235)), ((110, 160, 215), (225, 230, 230)), ((95, 110, 165), (245, 190, 140)),
              ((170, 185, 200), (215, 220, 222))],
    "rain": [((105, 112, 122), (165, 170, 176)), ((85, 92, 105), (140, 148, 156))],
    "fog": [((190, 194, 198), (205, 207, 208))],
    "snow": [((170, 177, 186), (215, 218, 222))],
    "night": [((8, 10, 24), (30, 32, 52)), ((4, 5, 12), (45, 38, 40))],
}
WALLS = [(196, 178, 150), (168, 104, 84), (214, 205, 190), (150, 155, 160), (120, 88, 74), (222, 196, 140)]
ROOFS = [(150, 60, 48), (96, 70, 62), (74, 78, 88), (170, 80, 50)]
LEAVES = [(52, 92, 40), (78, 116, 48), (38, 72, 42), (150, 110, 40), (110, 120, 50)]


def background(rng: Rng, condition: str) -> Image.Image:
    """A street or a landscape in this weather, without signs: RGB, WIDTH x HEIGHT."""
    horizon = int(rng.uniform(0.42, 0.68) * HEIGHT)
    top, bottom = SKIES[condition][int(rng.integers(len(SKIES[condition])))]
    rows = np.clip(np.arange(HEIGHT) / horizon, 0, 1)[:, None, None]
    sky = np.array(top) * (1 - rows) + np.array(bottom) * rows
    image = Image.fromarray(np.broadcast_to(sky, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    if condition in ("clear", "rain") and rng.random() < 0.7:
        clouds(rng, image, horizon, 255 if condition == "clear" else 120)
    draw = ImageDraw.Draw(image)
    place = rng.choice(["town", "town", "suburb", "country", "forest"])
    if place in ("country", "suburb") or rng.random() < 0.3:
        hills(rng, draw, horizon, condition)
    ground(rng, draw, horizon, condition)
    if place in ("town", "suburb"):
        houses(rng, draw, horizon, condition, gaps=0.05 if place == "town" else 0.5)
    for _ in range(int(rng.integers(6, 16) if place == "forest" else rng.integers(0, 5))):
        tree(rng, draw, horizon, condition)
    for _ in range(int(rng.integers(2, 7))):
        THINGS[int(rng.integers(len(THINGS)))](rng, draw, horizon)
    return textured(rng, image)


def textured(rng: Rng, image: Image.Image) -> Image.Image:
    """No surface is of one colour: multiply by fine and by coarse noise."""
    factor = np.ones((HEIGHT, WIDTH), np.float32)
    for cells, strength in ((160, 0.045), (40, 0.03), (8, 0.05)):
        grid = rng.normal(1.0, strength, (cells * 3 // 4, cells)).astype(np.float32)
        factor *= np.asarray(Image.fromarray(grid).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(np.asarray(image) * factor[..., None], 0, 255).astype(np.uint8))


def clouds(rng: Rng, image: Image.Image, horizon: int, brightness: int) -> None:
    """Soft heaps of ellipses above the horizon."""
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, 0.7 * horizon)
        for _ in range(6):
            w, h = rng.uniform(30, 110), rng.uniform(12, 36)
            cx, cy = x + rng.normal(0, 50), y + rng.normal(0, 12)
            draw.ellipse([cx - w, cy - h, cx + w, cy + h], fill=int(rng.uniform(70, 200)))
    image.paste((brightness, brightness, brightness), (0, 0), mask.filter(ImageFilter.GaussianBlur(9)))


def hills(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int, condition: str) -> None:
    """Two rows of far hills."""
    for step in range(2):
        colour = (205, 210, 218) if condition == "snow" else pick(rng, [(96, 120, 110), (84, 110, 74), (120, 130, 140)])
        colour = tuple(c // 6 for c in colour) if condition == "night" else colour
        x = np.linspace(0, WIDTH, 40)
        rise = rng.uniform(20, 90) * (1 - 0.4 * step)
        y = horizon - rise * (0.6 + 0.4 * np.sin(x / rng.uniform(60, 160) + rng.uniform(0, 6)))
        draw.polygon([(0, HEIGHT), *zip(x.tolist(), y.tolist(), strict=True), (WIDTH, HEIGHT)], fill=colour)


def ground(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int, condition: str) -> None:
    """Grass, earth or paving, and a road that runs to a vanishing point."""
    verge = [(92, 118, 58), (122, 118, 76), (140, 136, 128), (106, 96, 76)]
    draw.rectangle([0, horizon, WIDTH, HEIGHT], fill=pick(rng, [(225, 228, 232)] if condition == "snow" else verge))
    vanish, foot, half = rng.uniform(0.1, 0.9) * WIDTH, rng.uniform(0.0, 1.0) * WIDTH, rng.uniform(140, 300)
    road = pick(rng, [(170, 172, 178)] if condition == "snow" else [(92, 92, 96), (112, 110, 108), (70, 72, 78)])
    draw.polygon([(vanish - 4, horizon), (vanish + 4, horizon), (foot + half, HEIGHT), (foot - half, HEIGHT)], road)
    paint = pick(rng, [(225, 225, 220)])
    for share in (-0.9, 0.9):
        draw.line([(vanish, horizon), (foot + share * half, HEIGHT)], fill=paint, width=3)
    for near in np.arange(0.1, 1.0, 0.22):
        a, b = near**1.6, (near + 0.1) ** 1.6
        points = [(vanish + (foot - vanish) * t, horizon + (HEIGHT - horizon) * t) for t in (a, b)]
        draw.line(points, fill=paint, width=max(1, round(9 * b)))


def houses(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int, condition: str, gaps: float) -> None:
    """A row of buildings with windows; at night some of these are lit."""
    x = -rng.uniform(0, 60)
    while x < WIDTH:
        width, height = rng.uniform(50, 150), rng.uniform(60, 0.95 * horizon)
        if rng.random() > gaps:
            base, top = horizon + rng.uniform(4, 26), horizon - height
            draw.rectangle([x, top, x + width, base], fill=pick(rng, WALLS, 22))
            if rng.random() < 0.5:
                roof = (230, 232, 236) if condition == "snow" else pick(rng, ROOFS)
                draw.polygon([(x - 6, top), (x + width + 6, top), (x + width / 2, top - rng.uniform(20, 60))], roof)
            windows(rng, draw, (x, top, x + width, base), condition)
        x += width + rng.uniform(0, 14)


def windows(rng: Rng, draw: ImageDraw.ImageDraw, wall: tuple[float, float, float, float], condition: str) -> None:
    """A grid of windows on one wall."""
    left, top, right, bottom = wall
    step, tall = rng.uniform(16, 30), rng.uniform(22, 40)
    share = rng.uniform(0.4, 0.7)
    dark, lit = pick(rng, [(60, 72, 90), (40, 46, 54), (110, 130, 150)]), (255, 225, 150)
    for y in np.arange(top + 8, bottom - tall * share, tall):
        for x in np.arange(left + 6, right - step * share, step):
            on = rng.random() < (0.35 if condition == "night" else 0.04)
            draw.rectangle([x, y, x + step * share, y + tall * share], fill=lit if on else dark)


def tree(rng: Rng, draw: ImageDraw.ImageDraw, horizon: int, condition: str) -> None:
    """A trunk and a heap of leaves, or a fir."""
    x, base, size = rng.uniform(0, WIDTH), horizon + rng.uniform(-5, 60), rng.uniform(30, 110)
    draw.rectangle([x - size / 16, base - size, x + size / 16, base], fill=pick(rng, [(84, 66, 50), (70, 62, 56)]))
    leaf = pick(rng, LEAVES)
    if rng.random() < 0.35:
        for k in range(3):
            w, y = size * (0.5 - 0.12 * k), base - size * (0.25 + 0.4 * k)
            colour = tuple(c + 60 for c in leaf) if condition == "snow" else leaf
            draw.polygon([(x - w, y), (x + w, y), (x, y - 0.62 * size)], fill=colour)
        return
    for _ in range(14):
        cx, cy = x + rng.normal(0, 0.28 * size), base - 1.2 * size + rng.normal(0, 0.25 * size)
        r = rng.uniform(0.1, 0.28) * size
        shade = rng.uniform(0.7, 1.2) + (0.5 if condition == "snow" else 0.0)
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=tuple(min(255, int(c * shade)) for c in leaf))
