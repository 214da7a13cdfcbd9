"""One scene: signs on their poles before a background, aged, partly covered, in some weather, seen by a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sign_clutter import HEIGHT, WIDTH, Rng, pick
from sign_cover import COVERS, Place, snow_cap
from sign_faces import face
from sign_scenery import background
from sign_weather import camera, smooth_noise, weather

MOST_COVERED = 0.33  # of a sign's area
SMALLEST, LARGEST = 80, 210  # edge of a sign on the canvas; the camera sees half of that
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sign:
    """One sign in a scene: its kind, its box (x0, y0, x1, y1) in camera pixels, how much of it is covered (0 to 1)."""

    kind: str
    box: Box
    covered: float


@dataclass(frozen=True)
class Scene:
    """A finished picture, 320 x 240, and what is in it."""

    picture: Image.Image
    signs: tuple[Sign, ...]
    condition: str


def draw_scene(rng: Rng, kinds: Sequence[str], condition: str) -> Scene:
    """A scene with these signs in this weather; equal generators give equal scenes."""
    canvas = background(rng, condition)
    places = _places(rng, len(kinds))
    _poles(rng, canvas, places)
    masks = [_put(rng, canvas, kind, place) for kind, place in zip(kinds, places, strict=True)]
    cover = _cover(rng, canvas, places, masks, condition)
    light = np.max([np.asarray(mask, np.float32) for mask in masks], axis=0) * (1 - cover) / 255
    half = Image.fromarray((255 * light).astype(np.uint8)).reduce(2)
    picture = weather(rng, np.asarray(canvas.reduce(2), np.float32), np.asarray(half, np.float32)[..., None] / 255,
                      condition)
    signs = tuple(Sign(kind, _box(mask), _covered(mask, cover)) for kind, mask in zip(kinds, masks, strict=True))
    return Scene(camera(rng, picture, condition), signs, condition)


def _places(rng: Rng, count: int) -> list[Place]:
    """(x, y, size) of signs that do not overlap, on the canvas; they shrink until there is room."""
    found: list[Place] = []
    while len(found) < count:
        size = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
        for _ in range(80):
            half = 0.66 * size
            x, y = rng.uniform(half, WIDTH - half), rng.uniform(half, 0.86 * HEIGHT - 0.5 * half)
            if all(max(abs(x - a), abs(y - b)) > half + 0.66 * s for a, b, s in found):
                found.append((x, y, size))
                break
            size = max(SMALLEST, 0.97 * size)
    return found


def _poles(rng: Rng, canvas: Image.Image, places: Sequence[Place]) -> None:
    """A pole below four of five signs; the others hang on a wall or from an arm."""
    draw = ImageDraw.Draw(canvas)
    for x, y, size in places:
        grey, width = pick(rng, [(128, 130, 134), (92, 94, 98), (160, 160, 158)]), 0.035 * size
        if rng.random() < 0.8:
            foot = min(HEIGHT, y + rng.uniform(2, 4) * size)
            draw.rectangle([x - width, y - 0.3 * size, x + width, foot], fill=grey)
            draw.line([(x - 0.5 * width, y), (x - 0.5 * width, foot)], fill=tuple(c + 25 for c in grey))
        elif rng.random() < 0.5:
            end = WIDTH if x > WIDTH / 2 else 0
            draw.rectangle([min(x, end), y - width, max(x, end), y + width], fill=grey)


def _put(rng: Rng, canvas: Image.Image, kind: str, place: Place) -> Image.Image:
    """Paint one sign, turned in space; returns where it is as a mask of the canvas."""
    clean = face(kind, amber=bool(rng.random() < 0.25))
    plate = _aged(rng, clean)
    while True:
        corners = _corners(rng, place)
        left, top = np.floor(corners.min(0)).astype(int).tolist()
        right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
        if left >= 2 and top >= 2 and right <= WIDTH - 2 and bottom <= HEIGHT - 2:
            break
    edge = min(plate.width, round(1.3 * place[2]))
    plate = plate.resize((edge, edge), Image.Resampling.LANCZOS)
    turned = plate.transform((right - left, bottom - top), Image.Transform.PERSPECTIVE,
                             _homography(corners - (left, top), edge), Image.Resampling.BICUBIC)
    canvas.paste(turned, (left, top), turned)
    mask = Image.new("L", canvas.size)
    mask.paste(turned.getchannel("A"), (left, top))
    return mask


def _corners(rng: Rng, place: Place) -> np.ndarray:
    """The corners (4, 2) of a square plate that is turned about three axes and seen by a near camera."""
    x, y, size = place
    yaw, pitch, roll = np.radians([rng.uniform(-55, 55), rng.uniform(-25, 25), rng.normal(0, 10)])
    flat = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    flat = flat @ np.array([(np.cos(roll), np.sin(roll)), (-np.sin(roll), np.cos(roll))])
    depth = flat[:, 0] * np.sin(yaw) + flat[:, 1] * np.sin(pitch)
    seen = flat * (np.cos(yaw), np.cos(pitch)) * (2.4 / (2.4 + depth))[:, None]
    return np.array([x, y]) + size * seen


def _homography(corners: np.ndarray, edge: int) -> list[float]:
    """Pillow's eight numbers that lead from each pixel of the result back into the plate (edge x edge)."""
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (edge, 0), (edge, edge), (0, edge)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows), np.array(values, float)).tolist()


def _aged(rng: Rng, plate: Image.Image) -> Image.Image:
    """Bleached by the sun, dirty, scratched, lit from one side."""
    edge = plate.width
    pixels = np.asarray(plate, np.float32).copy()
    fade = 0.5 * rng.random() ** 2
    colour = pixels[..., :3] * (1 - fade) + np.array([205, 198, 190]) * fade
    dirt = 1 - rng.uniform(0, 0.5) * smooth_noise(rng, edge, edge, int(rng.integers(4, 24))) ** 3
    slope = np.linspace(-1, 1, edge)[None, :, None] * rng.uniform(-0.15, 0.15)
    pixels[..., :3] = np.clip(colour * dirt * (1 + slope) * rng.uniform(0.5, 1.1), 0, 255)
    image = Image.fromarray(pixels.astype(np.uint8), "RGBA")
    scratches = Image.new("L", plate.size)
    draw = ImageDraw.Draw(scratches)
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, edge, 2)
        draw.line([(x, y), (x + rng.normal(0, 40), y + rng.normal(0, 40))], fill=150, width=int(rng.integers(1, 5)))
    alpha = image.getchannel("A")
    image.paste((150, 140, 125), (0, 0), scratches)
    image.putalpha(alpha)
    return image


def _cover(rng: Rng, canvas: Image.Image, places: Sequence[Place], masks: Sequence[Image.Image],
           condition: str) -> np.ndarray:
    """Put something before about half of the signs; returns what is covered, 0 to 1, for the whole canvas."""
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    things = COVERS + (3 * [snow_cap] if condition == "snow" else [])
    for place in places:
        if rng.random() < 0.45:
            continue
        for _ in range(4):  # what covers too much is thrown away, and something else is tried
            layer = Image.new("RGBA", canvas.size)
            things[int(rng.integers(len(things)))](rng, ImageDraw.Draw(layer), place)
            layer = layer.filter(ImageFilter.GaussianBlur(0.7))
            more = np.maximum(cover, np.asarray(layer.getchannel("A"), np.float32) / 255)
            if max(_covered(mask, more) for mask in masks) <= MOST_COVERED:
                canvas.paste(layer, (0, 0), layer)
                cover = more
                break
    return cover


def _covered(mask: Image.Image, cover: np.ndarray) -> float:
    area = np.asarray(mask, np.float32)
    return round(float((area * cover).sum() / area.sum()), 3)


def _box(mask: Image.Image) -> Box:
    """The box of a mask in camera pixels: half of the canvas."""
    left, top, right, bottom = mask.point(lambda v: 255 * (v > 127)).getbbox() or (0, 0, 0, 0)
    return left / 2, top / 2, right / 2, bottom / 2
