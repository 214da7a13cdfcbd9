"""What weather and camera do to a scene: rain, fog, snow, night, blur, noise, JPEG. Arrays are (H, W, 3), 0 to 255."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sign_clutter import LOUD, Rng, pick

CONDITIONS = {"clear": 8, "rain": 3, "fog": 3, "snow": 3, "night": 3}  # how many of 20 scenes


def weather(rng: Rng, picture: np.ndarray, signs: np.ndarray, condition: str) -> np.ndarray:
    """The scene in this weather.

    Args:
        rng: Where chance comes from.
        picture: The scene by even light, float (H, W, 3).
        signs: Where the signs are, 0 to 1, (H, W, 1): they throw light back, and they are nearer than the fog.
        condition: One of CONDITIONS.
    """
    if condition == "rain":
        return _rain(rng, picture)
    if condition == "fog":
        return _fog(rng, picture, signs)
    if condition == "snow":
        return _snow(rng, picture)
    return _night(rng, picture, signs) if condition == "night" else _sunshine(rng, picture)


def smooth_noise(rng: Rng, height: int, width: int, cells: int) -> np.ndarray:
    """Soft blobs between 0 and 1, about `cells` from left to right: (H, W, 1)."""
    grid = rng.random((max(2, cells * height // width), cells)).astype(np.float32)
    blobs = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(blobs), 0, 1)[..., None]


def _layer(picture: np.ndarray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    layer = Image.new("L", (picture.shape[1], picture.shape[0]))
    return layer, ImageDraw.Draw(layer)


def _mixed(picture: np.ndarray, layer: Image.Image, colour: float, blur: float) -> np.ndarray:
    """The picture with a grey of this brightness wherever the layer is white."""
    share = np.asarray(layer.filter(ImageFilter.GaussianBlur(blur)), np.float32)[..., None] / 255
    return picture * (1 - share) + colour * share


def _sunshine(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """Shadows of leaves in four of ten scenes, glare of a low sun in one of four."""
    height, width = picture.shape[:2]
    if rng.random() < 0.4:
        edge, dark = rng.uniform(0.45, 0.6), rng.uniform(0.35, 0.7)
        shade = np.clip((smooth_noise(rng, height, width, int(rng.integers(8, 30))) - edge) * 6 + 0.5, 0, 1)
        picture = picture * (1 - (1 - dark) * shade)
    if rng.random() < 0.25:
        y, x = np.mgrid[0:height, 0:width]
        far = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, 0.5 * height))[..., None]
        picture = picture + rng.uniform(90, 220) * np.exp(-far / rng.uniform(40, 130))
    return picture


def _rain(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """Greyer and darker, slanting streaks, and drops on the lens that blur what is behind them."""
    height, width = picture.shape[:2]
    grey = picture.mean(2, keepdims=True)
    picture = (grey + (picture - grey) * rng.uniform(0.5, 0.85)) * rng.uniform(0.6, 0.9)
    layer, draw = _layer(picture)
    slant, length = rng.uniform(-0.35, 0.35), rng.uniform(10, 34)
    for x, y in zip(rng.uniform(0, width, n := int(rng.integers(80, 320))), rng.uniform(-20, height, n), strict=True):
        draw.line([(x, y), (x + slant * length, y + length)], fill=int(rng.integers(50, 150)), width=1)
    picture = _mixed(picture, layer, 205, 0.6)
    layer, draw = _layer(picture)
    for _ in range(int(rng.integers(0, 9))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(4, 17)
        draw.ellipse([x - r, y - 1.2 * r, x + r, y + 1.2 * r], fill=230)
    seen = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(5))
    share = np.asarray(layer.filter(ImageFilter.GaussianBlur(1.2)), np.float32)[..., None] / 255
    return picture * (1 - share) + (np.asarray(seen, np.float32) * 1.1 + 8) * share


def _fog(rng: Rng, picture: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Everything nears one grey, in drifts; the signs stand before most of it."""
    height, width = picture.shape[:2]
    thick = rng.uniform(0.45, 0.8) + 0.25 * (smooth_noise(rng, height, width, 5) - 0.5)
    thick = np.clip(thick * (1 - signs * rng.uniform(0.05, 0.35)), 0, 0.9)
    return picture * (1 - thick) + rng.uniform(165, 220) * thick


def _snow(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """Flakes of three sizes: many far ones and a few out of focus."""
    height, width = picture.shape[:2]
    picture = picture * rng.uniform(0.6, 0.9) + 12
    streak = rng.uniform(0, 5)
    for count, radius, blur in ((400, 0.7, 0.4), (90, 1.6, 0.8), (14, 4.5, 2.4)):
        layer, draw = _layer(picture)
        for _ in range(int(rng.uniform(0.4, 1.3) * count)):
            x, y, r = rng.uniform(0, width), rng.uniform(0, height), radius * rng.uniform(0.6, 1.4)
            draw.ellipse([x - r, y - r, x + r, y + r + streak * r / 2], fill=int(rng.integers(140, 255)))
        picture = _mixed(picture, layer, 248, blur)
    return picture


def _night(rng: Rng, picture: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Dark and bluish but for the cone of the headlights, which signs throw back, and lamps out of focus."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    aim_x, aim_y = rng.uniform(0.25, 0.75) * width, rng.uniform(0.55, 0.9) * height
    far = ((x - aim_x) / rng.uniform(70, 150)) ** 2 + ((y - aim_y) / rng.uniform(40, 90)) ** 2
    beam = (rng.uniform(0.3, 0.8) * np.exp(-far))[..., None]
    ambient = rng.uniform(0.07, 0.2) * np.array([0.85, 0.92, 1.15])
    picture = picture * (ambient + beam + signs * (rng.uniform(0.22, 0.65) + beam))
    for _ in range(int(rng.integers(0, 7))):
        layer, draw = _layer(picture)
        cx, cy, r = rng.uniform(0, width), rng.uniform(0.1, 0.8) * height, rng.uniform(2, 9)
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(rng.integers(90, 230)))
        glow = np.asarray(layer.filter(ImageFilter.GaussianBlur(0.4 * r)), np.float32)[..., None] / 255
        lamp = pick(rng, [(255, 215, 150), (255, 250, 235), (230, 40, 40), LOUD[2]])
        picture = picture * (1 - glow) + glow * np.array(lamp)
    return picture


def camera(rng: Rng, picture: np.ndarray, condition: str) -> Image.Image:
    """Exposure, colour cast, dark corners, blur of focus and of motion, noise, JPEG."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    corner = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    cast = rng.normal(1.0, 0.04, 3) * rng.uniform(0.75, 1.2) * (1 - rng.uniform(0, 0.7) * corner)
    picture = 255 * (np.clip(picture * cast, 0, 255) / 255) ** rng.uniform(0.8, 1.25)
    unsharp = min(1.6, rng.gamma(1.6, 0.45))
    if rng.random() < 0.4:
        picture, unsharp = _motion(rng, picture), 0.5 * unsharp
    soft = Image.fromarray(picture.astype(np.uint8)).filter(ImageFilter.GaussianBlur(unsharp))
    sigma = rng.uniform(1.5, 9.0) * (1.8 if condition == "night" else 1.0)
    noisy = np.asarray(soft, np.float32) + rng.normal(0, sigma, (height, width, 3))
    noisy += rng.normal(0, 0.6 * sigma, (height, width, 1))
    jpeg = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(jpeg, "JPEG", quality=int(rng.integers(25, 90)))
    return Image.open(jpeg).convert("RGB")


def _motion(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """The mean of the picture moved along a short line, mostly sideways."""
    angle, length = rng.normal(0, 0.5), rng.uniform(2, 9)
    steps = np.linspace(-0.5, 0.5, int(length) + 2) * length
    pad = 8
    height, width = picture.shape[:2]
    wide = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    total = np.zeros_like(picture)
    for step in steps:
        dx, dy = round(float(step * np.cos(angle))), round(float(step * np.sin(angle)))
        total += wide[pad + dy : pad + dy + height, pad + dx : pad + dx + width]
    return total / len(steps)
