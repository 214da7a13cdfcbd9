"""The 20 sign faces, drawn flat, as they would look in a book of traffic rules.

Shapes and colours follow the Vienna Convention on Road Signs and Signals, which most of Europe has signed. No artwork
of any country is copied: every symbol is a few lines, discs and polygons below. Coordinates run from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageOps
from sign_pen import SUPER, Colour, Pen, Point, arc, shrink

RED: Colour = (190, 22, 34)
BLUE: Colour = (8, 76, 158)
YELLOW: Colour = (250, 190, 15)
AMBER: Colour = (252, 205, 60)
GREEN: Colour = (20, 140, 70)
WHITE: Colour = (246, 246, 243)
BLACK: Colour = (22, 22, 24)


def plain_disc(pen: Pen, rim: Colour, inside: Colour, rim_width: float) -> None:
    """A round sign with a rim."""
    pen.disc(0.5, 0.5, 0.48, rim)
    pen.disc(0.5, 0.5, 0.48 - rim_width, inside)


def red_ring(pen: Pen, ground: Colour) -> None:
    """What is not allowed."""
    plain_disc(pen, RED, WHITE, 0.105)


def blue_disc(pen: Pen, ground: Colour) -> None:
    """What one must do."""
    plain_disc(pen, WHITE, BLUE, 0.022)


def triangle(pen: Pen, ground: Colour) -> None:
    """A warning. In some countries its ground is amber, not white."""
    corners = [(0.5, 0.115), (0.065, 0.87), (0.935, 0.87)]
    pen.polygon(corners, RED, 0.055)
    pen.polygon(shrink(corners, 0.74), ground, 0.018)


def person(pen: Pen, x: float, y: float, height: float, stride: float) -> None:
    """A walking figure with its feet at (x, y); a wider stride makes it run, a negative one to the left."""
    def at(dx: float, dy: float) -> Point:
        return x + dx * height, y - dy * height

    pen.disc(*at(0.06 * np.sign(stride), 0.9), 0.095 * height, BLACK)
    pen.line([at(0.02 * np.sign(stride), 0.68), at(-0.02 * np.sign(stride), 0.45)], 0.17 * height, BLACK)
    pen.line([at(0, 0.42), at(0.6 * stride, 0.24), at(0.75 * stride, 0.02)], 0.1 * height, BLACK)
    pen.line([at(0, 0.42), at(-0.35 * stride, 0.2), at(-1.0 * stride, 0.05)], 0.1 * height, BLACK)
    pen.line([at(0, 0.7), at(0.5 * stride, 0.52), at(0.95 * stride, 0.6)], 0.075 * height, BLACK)
    pen.line([at(0, 0.7), at(-0.55 * stride, 0.56), at(-0.85 * stride, 0.42)], 0.075 * height, BLACK)


def car(pen: Pen, x: float, y: float, fill: Colour) -> None:
    """A car from behind, its middle at (x, y)."""
    def part(left: float, top: float, right: float, bottom: float, taper: float, colour: Colour, radius: float) -> None:
        corners = [(left + taper, top), (right - taper, top), (right, bottom), (left, bottom)]
        pen.polygon([(x + 1.22 * a, y + 1.22 * b) for a, b in corners], colour, radius)

    part(-0.085, -0.075, 0.085, 0.01, 0.03, fill, 0.018)
    part(-0.06, -0.055, 0.06, -0.005, 0.015, WHITE, 0.0)
    part(-0.09, 0.02, 0.09, 0.075, 0.0, fill, 0.024)
    for wheel in (-0.075, 0.075):
        part(wheel - 0.022, 0.08, wheel + 0.022, 0.125, 0.0, fill, 0.0)


def stop(pen: Pen, ground: Colour) -> None:
    eight = arc(0.5, 0.5, 0.46, 22.5, 337.5, 8)
    pen.polygon(eight, WHITE, 0.02)
    pen.polygon(shrink(eight, 0.97), RED, 0.01)
    pen.text("STOP", 0.5, 0.27, WHITE, 0.012, 0.84)


def yield_(pen: Pen, ground: Colour) -> None:
    corners = [(0.065, 0.13), (0.935, 0.13), (0.5, 0.885)]
    pen.polygon(corners, RED, 0.055)
    pen.polygon(shrink(corners, 0.66), ground, 0.018)


def no_entry(pen: Pen, ground: Colour) -> None:
    plain_disc(pen, WHITE, RED, 0.022)
    pen.polygon([(0.15, 0.42), (0.85, 0.42), (0.85, 0.58), (0.15, 0.58)], WHITE, 0.008)


def priority_road(pen: Pen, ground: Colour) -> None:
    corners = [(0.5, 0.05), (0.95, 0.5), (0.5, 0.95), (0.05, 0.5)]
    pen.polygon(corners, BLACK, 0.025)
    pen.polygon(shrink(corners, 0.98), WHITE, 0.018)
    pen.polygon(shrink(corners, 0.70), YELLOW, 0.018)


def speed_limit(limit: int) -> Callable[[Pen, Colour], None]:
    def draw(pen: Pen, ground: Colour) -> None:
        red_ring(pen, ground)
        pen.text(str(limit), 0.5, 0.37, BLACK, 0.014, 0.88)

    return draw


def no_overtaking(pen: Pen, ground: Colour) -> None:
    red_ring(pen, ground)
    car(pen, 0.345, 0.49, RED)
    car(pen, 0.655, 0.49, BLACK)


def curve_left(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    pen.arrow([(0.61, 0.79), (0.61, 0.65), *arc(0.46, 0.645, 0.15, 0, -75)], 0.072, 0.12, BLACK)


def curve_right(pen: Pen, ground: Colour) -> None:
    curve_left(pen, ground)
    pen.image = ImageOps.mirror(pen.image)


def uneven_road(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    for x in (0.395, 0.605):
        pen.polygon(arc(x, 0.74, 0.1, 180, 360), BLACK)
    pen.polygon([(0.265, 0.735), (0.735, 0.735), (0.735, 0.8), (0.265, 0.8)], BLACK)


def crossroads(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    pen.line([(0.385, 0.5), (0.615, 0.775)], 0.07, BLACK)
    pen.line([(0.615, 0.5), (0.385, 0.775)], 0.07, BLACK)


def danger(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    pen.polygon([(0.46, 0.42), (0.54, 0.42), (0.522, 0.66), (0.478, 0.66)], BLACK, 0.015)
    pen.disc(0.5, 0.755, 0.045, BLACK)


def children(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    person(pen, 0.415, 0.81, 0.32, -0.27)
    person(pen, 0.61, 0.81, 0.39, -0.28)


def traffic_lights(pen: Pen, ground: Colour) -> None:
    triangle(pen, ground)
    pen.polygon([(0.455, 0.435), (0.545, 0.435), (0.545, 0.775), (0.455, 0.775)], BLACK, 0.03)
    for y, colour in ((0.475, RED), (0.605, YELLOW), (0.735, GREEN)):
        pen.disc(0.5, y, 0.05, colour)


def pedestrian_crossing(pen: Pen, ground: Colour) -> None:
    square = [(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)]
    pen.polygon(square, WHITE, 0.04)
    pen.polygon(shrink(square, 0.96), BLUE, 0.03)
    pen.polygon([(0.5, 0.16), (0.13, 0.82), (0.87, 0.82)], WHITE, 0.012)
    for x in (0.24, 0.36, 0.48, 0.6, 0.72):
        pen.polygon([(x, 0.81), (x + 0.055, 0.81), (x + 0.075, 0.745), (x + 0.02, 0.745)], BLACK)
    person(pen, 0.5, 0.76, 0.42, -0.24)


def roundabout(pen: Pen, ground: Colour) -> None:
    blue_disc(pen, ground)
    for start in (20, 140, 260):  # traffic keeps right, so it goes round against the clock
        pen.arrow(arc(0.5, 0.5, 0.245, start, start - 62), 0.085, 0.13, WHITE)


def turn_left(pen: Pen, ground: Colour) -> None:
    blue_disc(pen, ground)
    pen.arrow([(0.64, 0.8), (0.64, 0.52), *arc(0.54, 0.5, 0.1, 0, -90), (0.42, 0.4)], 0.105, 0.17, WHITE)


def turn_right(pen: Pen, ground: Colour) -> None:
    turn_left(pen, ground)
    pen.image = ImageOps.mirror(pen.image)


def bicycle_path(pen: Pen, ground: Colour) -> None:
    blue_disc(pen, ground)
    for x in (0.3, 0.7):
        pen.line(arc(x, 0.6, 0.125, 0, 360, 40), 0.032, WHITE)
    frame = [(0.3, 0.6), (0.405, 0.43), (0.625, 0.43), (0.475, 0.6), (0.3, 0.6)]
    pen.line(frame, 0.034, WHITE)
    pen.line([(0.385, 0.385), (0.475, 0.6)], 0.034, WHITE)
    pen.line([(0.7, 0.6), (0.61, 0.36), (0.68, 0.33)], 0.034, WHITE)
    pen.line([(0.335, 0.375), (0.435, 0.375)], 0.036, WHITE)


FACES: dict[str, Callable[[Pen, Colour], None]] = {
    "bicycle path": bicycle_path, "children": children, "crossroads": crossroads, "curve left": curve_left,
    "curve right": curve_right, "danger": danger, "no entry": no_entry, "no overtaking": no_overtaking,
    "pedestrian crossing": pedestrian_crossing, "priority road": priority_road, "roundabout": roundabout,
    "speed limit 30": speed_limit(30), "speed limit 50": speed_limit(50), "speed limit 80": speed_limit(80),
    "stop": stop, "traffic lights": traffic_lights, "turn left": turn_left, "turn right": turn_right,
    "uneven road": uneven_road, "yield": yield_,
}
KINDS = tuple(FACES)


@cache
def face(kind: str, amber: bool = False) -> Image.Image:
    """A clean sign, RGBA, SIZE pixels wide, transparent around its outline.

    Args:
        kind: One of KINDS.
        amber: Paint the ground of warning signs amber instead of white.
    """
    pen = Pen()
    FACES[kind](pen, AMBER if amber else WHITE)
    return pen.image.reduce(SUPER)
