"""An answer of one or two models to one input: rows of probabilities, as text, as a table with bars, as a picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.viz.style import BLUE, BODY, INK, LINES, ORANGE, SMALL, Picture, bare
from ftkit.viz.words import plain, wrap
from ftkit.widgets.markup import tag, text_table

MOST_ROWS = 10
# Before: hollow with stripes. After: full. Told apart without colour.
_FILLS = ("repeating-linear-gradient(45deg,#E69F00 0 4px,transparent 4px 7px)", "#0072B2")
_EDGES = ("#E69F00", "#0072B2")


@dataclass(frozen=True)
class Answer(Sequence[dict[str, Any]]):
    """The rows of an answer: {"label": …, "before": probability, "after": probability}, the likeliest first.

    Args:
        shown: The input in words: the text (shortened), or the file's name and size.
        names: What the models are called: ("before", "after"), or one name.
        rows: One per class.
        notes: What the reader should know, such as that a text was cut.
        multilabel: Whether each probability stands for itself; else they sum to 1.
    """

    shown: str
    names: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    multilabel: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    @property
    def top(self) -> tuple[dict[str, Any], ...]:
        """The rows that are shown."""
        return self.rows[:MOST_ROWS]

    @property
    def summary(self) -> str:
        """What the models say, in one sentence."""
        return "; ".join(f"{name}: {self._says(name)}" for name in self.names) + "."

    def _says(self, name: str) -> str:
        if self.multilabel:
            chosen = [f"{row['label']} {row[name]:.0%}" for row in self.rows if row[name] >= 0.5]
            return ", ".join(chosen) or "no label above 50 %"
        best = max(self.rows, key=lambda row: row[name])
        return f"{best['label']} {best[name]:.0%}"

    @property
    def more(self) -> str:
        """What is not shown; "" if all is."""
        rest = self.rows[MOST_ROWS:]
        if not rest:
            return ""
        most = max(row[name] for row in rest for name in self.names)
        return f"{len(rest)} more classes, none above {most:.1%}"

    # --- forms ------------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The answer as text."""
        rows = [[row["label"], *(f"{row[name]:.1%}" for name in self.names)] for row in self.top]
        return "\n".join([self.shown, text_table(["class", *self.names], rows), *filter(None, (self.more,)),
                          *self.notes])

    def html(self) -> str:
        """The answer as a table with bars; styles in place, so that it needs no style sheet."""
        cell = "padding:2px 14px 2px 0;text-align:left;border:0;vertical-align:top"
        head = "".join(tag("th", name, scope="col", style=cell) for name in ("class", *self.names))
        body = "".join(f"<tr>{tag('th', row['label'], scope='row', style=cell)}{self._bars(row, cell)}</tr>"
                       for row in self.top)
        notes = "".join(tag("p", note, style="margin:2px 0") for note in filter(None, (self.more, *self.notes)))
        caption = tag("caption", self.shown, style="text-align:left;caption-side:top;padding:2px 0;font-weight:600")
        return (f'<table style="border-collapse:collapse;margin:4px 0;width:100%;max-width:620px">{caption}'
                f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}")

    def _bars(self, row: dict[str, Any], style: str) -> str:
        cells = []
        for i, name in enumerate(self.names):
            fill, edge = (_FILLS[i], _EDGES[i]) if len(self.names) > 1 else (_FILLS[1], _EDGES[1])
            look = f"display:block;width:{100 * row[name]:.1f}%;height:9px;background:{fill};border:1px solid {edge}"
            bar = tag("span", aria_hidden="true", style=look)
            number = tag("span", f"{row[name]:.1%}", style="font-variant-numeric:tabular-nums")
            cells.append(f'<td style="{style};width:40%">{number}{bar}</td>')
        return "".join(cells)

    def picture(self) -> Picture:
        """The answer as bars."""
        rows = self.top
        picture = Picture(height=1.1 + len(rows) * (0.32 * len(self.names) + 0.12))
        picture.heading(wrap(self.shown, 9.4, BODY, lines=2))
        picture.alt = self.text()
        axes = bare(picture.subplots())
        tall = 0.8 / len(self.names)
        for i, name in enumerate(self.names):
            places = [y - 0.4 + (i + 0.5) * tall for y in range(len(rows))]
            color, edge, hatch = ("white", ORANGE, "//") if i == 0 and len(self.names) > 1 else (BLUE, BLUE, "")
            axes.barh(places, [row[name] for row in rows], height=0.85 * tall, label=name, color=color,
                      edgecolor=edge, hatch=hatch)
            for y, row in zip(places, rows, strict=True):
                axes.annotate(f"{row[name]:.1%}", (row[name], y), (4, 0), textcoords="offset points", va="center",
                              fontsize=SMALL, color=INK)
        axes.axvline(0, color=LINES)
        axes.set(xlim=(0, 1.12), ylim=(len(rows) - 0.5, -0.5), xticks=[])
        axes.set_yticks(range(len(rows)), [wrap(row["label"], 2.4, BODY, lines=2) for row in rows], **plain(),
                        fontsize=BODY)
        if len(self.names) > 1:
            picture.legend(loc="outside lower left", ncols=2, fontsize=SMALL, frameon=False, labelcolor=INK)
        return picture

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": f"<div>{self.html()}</div>",
                "image/png": base64.b64encode(self.picture().png()).decode("ascii")}

    def __repr__(self) -> str:
        return self.text()
