"""The next token: how likely each one is, before and after the sampling controls."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.report.next_tokens import NextTokens
from ftkit.report.next_tokens import next_tokens as rows_of
from ftkit.tasks.sampling import Sampling
from ftkit.viz.style import BLUE, INK, LINES, ORANGE, PALE, SMALL, WIDTH, Picture, mix, tidy
from ftkit.viz.words import percent, plain, text_width, wrap

MOST = 25
_BEFORE: dict[str, Any] = {"facecolor": PALE, "edgecolor": LINES, "linewidth": 1}
_AFTER: dict[str, Any] = {"facecolor": mix(BLUE, 0.75), "edgecolor": INK, "linewidth": 0.5}
_OUT: dict[str, Any] = {"facecolor": mix(ORANGE, 0.45), "hatch": "////", "edgecolor": LINES, "linewidth": 0.8}


def next_tokens(model: Model, prompt: Any, n: int = 12, **controls: Any) -> Picture:
    """Draw what a text generator would write next: pale bars as the network says it, blue ones after the controls.

    A hatched bar is a token that may no longer be drawn. "␣" is a space, "↵" a new line.

    Args:
        model: Of the task "causal-lm".
        prompt: A text or a chat.
        n: How many tokens to show, the likeliest.
        controls: As in `ftkit.generate`: temperature, top_k, top_p, repetition_penalty.

    Returns:
        A Picture.

    Raises:
        UserError: The model does not write texts; a control makes no sense; n is not from 1 to 25.

    Lesson 07.
    """
    if not isinstance(n, int) or not 1 <= n <= MOST:
        raise UserError(f"n must be a whole number from 1 to {MOST}, not {n!r}.")
    found = rows_of(model, prompt, n, **controls)
    changed = found.sampling != Sampling()
    picture = Picture(height=1.5 + 0.34 * (len(found.rows) + 1))
    picture.heading(_title(found))
    _draw(picture.subplots(), found, changed)
    keys = [Patch(label="as the network says it", **_BEFORE)]
    if changed:
        keys += [Patch(label=_told(found.sampling), **_AFTER), Patch(label="may not be drawn", **_OUT)]
    picture.legend(handles=keys, loc="outside lower left", ncols=len(keys), fontsize=SMALL, frameon=False,
                   labelcolor=INK)
    picture.alt = _in_words(found, changed)
    return picture


def _draw(axes: Axes, found: NextTokens, changed: bool) -> None:
    rows = [(row["token"], row["before"], row["after"]) for row in found.rows]
    rows.append((f"{found.tokens - len(rows):,} others", *found.others))
    tidy(axes, x="probability")
    for place, (_, before, after) in enumerate(rows):
        out = changed and after == 0
        axes.barh(place, before, 0.8, **(_OUT if out else _BEFORE))
        if changed and after:
            axes.barh(place, after, 0.4, **_AFTER)
        told = percent(before) + (f" → {'0 %' if out else percent(after)}" if changed else "")
        axes.annotate(told, (max(before, after if changed else 0), place), (4, 0), textcoords="offset points",
                      va="center", fontsize=SMALL, color=INK, in_layout=False)
    most = max(max(before, after if changed else 0) for _, before, after in rows)
    room = 1.15 * text_width("99.9 % → 99.9 %" if changed else "99.9 %", SMALL) / (WIDTH - 2.2)
    axes.set(xlim=(0, most / (1 - room) if room < 1 else 2 * most), ylim=(len(rows) - 0.4, -0.6))
    names = [wrap(token, 1.5, SMALL, lines=1) for token, *_ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SMALL, **plain())
    axes.tick_params(axis="y", length=0)


def _title(found: NextTokens) -> str:
    prompt = found.prompt if isinstance(found.prompt, str) else found.prompt[-1]["content"]
    text = " ".join(prompt.split())
    return f"What comes after “{'…' if len(text) > 60 else ''}{text[-60:]}”?" if text else "How does a text begin?"


def _told(sampling: Sampling) -> str:
    parts = [f"{name.replace('_', ' ')} {getattr(sampling, name):g}" for name in
             ("temperature", "top_k", "top_p", "repetition_penalty") if getattr(sampling, name) != getattr(
                 Sampling(), name)]
    return ", ".join(parts)


def _in_words(found: NextTokens, changed: bool) -> str:
    rows = "; ".join(f"{row['token']} {percent(row['before'])}" + (f", then {percent(row['after'])}" if changed else "")
                     for row in found.rows)
    after = (f" With {_told(found.sampling)}, {found.drawn_from:,} of {found.tokens:,} tokens may be drawn."
             if changed else "")
    others = f"all others {percent(found.others[0])}" + (f", then {percent(found.others[1])}" if changed else "")
    return f"Bars of the likeliest next tokens. {_title(found)} {rows}; {others}.{after}"
