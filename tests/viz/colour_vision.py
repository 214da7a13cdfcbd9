"""What colours look like to people who see fewer of them, and in greyscale; and how far apart two colours then are.

The matrices are those of Machado, Oliveira & Fernandes 2009 for severity 1 (a kind of cone is missing), on linear RGB.
Distances are CIEDE76: Euclidean in CIELAB under D65. About 2.3 is the smallest that people notice side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

VISIONS: dict[str, np.ndarray] = {
    "usual": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
    "greyscale": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),  # relative luminance, as a good printer would
}
_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]])  # sRGB, IEC 61966-2-1


def lab(color: Any, vision: str = "usual") -> np.ndarray:
    """CIELAB (L*, a*, b*) of a colour as matplotlib writes them, seen with one of VISIONS."""
    rgb = np.asarray(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISIONS[vision] @ linear, 0, 1)
    ratios = _TO_XYZ @ seen / _TO_XYZ.sum(1)  # against the white of D65
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: Any, other: Any, vision: str = "usual") -> float:
    """How far apart two colours are."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def least_distance(one: Any, other: Any) -> tuple[float, str]:
    """The smallest distance over all visions, and for whom it is that."""
    return min((distance(one, other, vision), vision) for vision in VISIONS)
