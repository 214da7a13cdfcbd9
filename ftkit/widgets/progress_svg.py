"""The curves of a run as SVG: drawn in a fraction of the time that matplotlib takes, five times a second."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ftkit.training import History
from ftkit.viz.curves import epoch_ends
from ftkit.viz.style import BLUE, INK, ORANGE
from ftkit.widgets.markup import attributes, tag

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 340, 150, 44, 10, 20, 18, 16  # pixels
_MOST_MARKS = 40  # of more epochs only the line is drawn, and a mark where it has got to
_STYLE = "font:12px sans-serif;fill:currentColor"
Points = Sequence[tuple[float, float]]


@dataclass
class Trail:
    """The training loss over the steps, as at most `most` means: a long run costs no more to draw than a short one."""

    total: int
    most: int = 200
    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, step: int, loss: float) -> None:
        """A step, counted from 1."""
        place = (step - 1) * self.most // max(self.total, self.most)
        while len(self.sums) <= place:
            self.sums.append(0.0)
            self.counts.append(0)
        self.sums[place] += loss
        self.counts[place] += 1

    @property
    def points(self) -> Points:
        """(step, mean loss)."""
        wide = max(self.total, self.most) / self.most
        return [((i + 0.5) * wide + 0.5, total / n)
                for i, (total, n) in enumerate(zip(self.sums, self.counts, strict=True)) if n]


@dataclass(frozen=True)
class Chart:
    """A line and marks over the steps.

    Args:
        title: Above it.
        last: The step at the right end.
        scale: Lowest and highest value.
        line: Joined without marks.
        marks: Joined by a dashed line.
        note: In the middle, while there is nothing to draw.
    """

    title: str
    last: int
    scale: tuple[float, float]
    line: Points
    marks: Points
    note: str = ""

    @property
    def words(self) -> str:
        """What it shows."""
        said = [f"{name} {points[-1][1]:.3g} at step {points[-1][0]:.0f}."
                for name, points in (("The line ends at", self.line), ("The last mark is at", self.marks)) if points]
        return f"{self.title}. {' '.join(said) or 'Nothing yet.'}"

    def svg(self, **more: object) -> str:
        """The drawing, in the page's own ink."""
        dots = [self._place(point) for point in self.marks]
        parts = self._frame()
        if self.line:  # a panel in the dark has a lighter blue
            parts.append(_path([self._place(point) for point in self.line], style=f"stroke:var(--ft-trains,{BLUE})"))
        if dots:
            parts.append(_path(dots, stroke=ORANGE, stroke_dasharray="6 4"))
            parts += [f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" fill="{ORANGE}" stroke="currentColor"/>'
                      for x, y in (dots if len(dots) <= _MOST_MARKS else dots[-1:])]
        values = attributes(viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH, height=_HEIGHT, **more)
        return f"<svg{values}>{''.join(parts)}</svg>"

    def _frame(self) -> list[str]:
        floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        return [tag("text", self.title, x=2, y=12, font_weight="bold"),
                f'<path d="M{_LEFT} {_TOP}V{floor}H{right}" fill="none" stroke="currentColor" opacity=".5"/>',
                tag("text", f"{self.scale[1]:.2g}", x=_LEFT - 5, y=_TOP + 9, text_anchor="end"),
                tag("text", f"{self.scale[0]:.2g}", x=_LEFT - 5, y=floor, text_anchor="end"),
                tag("text", "step 0", x=_LEFT, y=_HEIGHT - 4),
                tag("text", self.last, x=right, y=_HEIGHT - 4, text_anchor="end"),
                tag("text", self.note, x=(_LEFT + right) / 2, y=_HEIGHT / 2, text_anchor="middle")]

    def _place(self, point: tuple[float, float]) -> tuple[float, float]:
        low, high = self.scale
        step, value = point
        up = (min(max(value, low), high) - low) / ((high - low) or 1)
        return (round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, step / max(1, self.last)), 1),
                round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * up, 1))


def _path(points: Points, **values: object) -> str:
    joined = " ".join(f"{x},{y}" for x, y in points)
    return f"<polyline{attributes(points=joined, fill='none', stroke_width=2, **values)}/>"


def charts(history: History, trail: Trail, last: int) -> list[Chart]:
    """Loss and, if there is a validation split, accuracy.

    Args:
        history: The run.
        trail: Its training loss.
        last: The step at the right end: of a run that goes on the last one to come, so that one sees what is left.
    """
    rows = list(zip(epoch_ends(history), history.epochs, strict=True))
    valid = [(end, row["valid_loss"]) for end, row in rows if "valid_loss" in row]
    scores = [(end, row["accuracy"]) for end, row in rows if "accuracy" in row]
    losses = [value for _, value in (*trail.points, *valid) if math.isfinite(value)]
    loss = Chart("Loss: training (line), validation (squares)", last, (0.0, 1.05 * max(losses, default=1.0)),
                 trail.points, valid)
    if history.epochs and not scores:
        return [loss]
    low = max(0.0, min((value for _, value in scores), default=0.1) - 0.1)
    note = "" if scores else "comes after the first epoch"
    return [loss, Chart("Validation accuracy", last, (low, 1.0), [], scores, note)]


def live(drawn: Sequence[Chart]) -> str:
    """The charts side by side, in the colours of the page around them."""
    parts = (chart.svg(role="img", aria_label=chart.words, style=f"max-width:100%;{_STYLE}") for chart in drawn)
    return f'<div style="display:flex;flex-wrap:wrap;gap:0 {_GAP}px">{"".join(parts)}</div>'


def image(drawn: Sequence[Chart]) -> str:
    """The same as one image on white.

    Sites that show notebooks take SVG out of a page but leave its words, as loose text; an image they keep or drop
    as a whole.
    """
    width = len(drawn) * (_WIDTH + _GAP)
    parts = "".join(chart.svg(x=i * (_WIDTH + _GAP)) for i, chart in enumerate(drawn))
    look = attributes(xmlns="http://www.w3.org/2000/svg", width=width, height=_HEIGHT,
                      viewBox=f"0 0 {width} {_HEIGHT}", style=f"color:{INK};background:white;{_STYLE}")
    source = base64.b64encode(f"<svg{look}>{parts}</svg>".encode()).decode("ascii")
    alt = " ".join(chart.words for chart in drawn)
    return f"<img{attributes(alt=alt, src=f'data:image/svg+xml;base64,{source}', style='max-width:100%')}>"
