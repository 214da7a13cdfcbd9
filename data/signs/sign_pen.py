"""What the signs are drawn with: discs, lines, polygons, letters, arrows. Coordinates run from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 256  # edge of a finished face in pixels
SUPER = 4  # drawn so many times larger, then reduced: smooth edges

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Pen:
    """A transparent square and the few strokes that signs are made of."""

    def __init__(self) -> None:
        self.edge = SIZE * SUPER
        self.image = Image.new("RGBA", (self.edge, self.edge))
        self.draw = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A filled circle."""
        e = self.edge
        self.draw.ellipse([(x - radius) * e, (y - radius) * e, (x + radius) * e, (y + radius) * e], fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A thick line with round ends and joints."""
        e = self.edge
        self.draw.line([(x * e, y * e) for x, y in points], fill=fill, width=round(width * e), joint="curve")
        for x, y in points:
            self.disc(x, y, width / 2, fill)

    def polygon(self, points: Sequence[Point], fill: Colour, radius: float = 0.0) -> None:
        """A filled polygon, blown up by `radius`, which makes its corners round."""
        self.draw.polygon([(x * self.edge, y * self.edge) for x, y in points], fill=fill)
        if radius:
            self.line([*points, points[0]], 2 * radius, fill)

    def text(self, string: str, y: float, height: float, fill: Colour, bold: float, squeeze: float = 1.0) -> None:
        """Centred letters with their middle at `y`, `height` high, `bold` thicker, `squeeze` times as wide."""
        font = ImageFont.load_default(height * self.edge / 0.72)  # capitals and digits fill 0.72 of this font's size
        stroke = round(bold * self.edge)
        left, top, right, bottom = (round(v) for v in font.getbbox(string, stroke_width=stroke))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), string, font=font, fill=255, stroke_width=stroke)
        mask = mask.resize((round(mask.width * squeeze), mask.height))
        corner = ((self.edge - mask.width) // 2, round(y * self.edge) - mask.height // 2)
        self.image.paste(fill, corner, mask)

    def arrow(self, points: Sequence[Point], width: float, head: float, fill: Colour) -> None:
        """A thick line that ends in an arrow head of length `head`, beyond its last point."""
        self.line(points, width, fill)
        end = np.array(points[-1])
        along = end - np.array(points[-2])
        along = along / np.hypot(*along)
        across = np.array([-along[1], along[0]])
        corners = [end + head * along, end + 0.75 * head * across, end - 0.75 * head * across]
        self.polygon([(float(x), float(y)) for x, y in corners], fill, 0.008)


def arc(x: float, y: float, radius: float, start: float, stop: float, steps: int = 24) -> list[Point]:
    """Points on a circle, angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, steps))
    return [(float(x + radius * np.cos(a)), float(y + radius * np.sin(a))) for a in angles]


def shrink(points: Sequence[Point], share: float) -> list[Point]:
    """The polygon, smaller, about its centre."""
    centre = np.mean(points, axis=0)
    return [(float(x), float(y)) for x, y in centre + share * (np.array(points) - centre)]
