"""Colours for everybody: with one kind of cone missing, and in greyscale, what is drawn together stays told apart.

Two things are told apart if their colours are at least APART in CIELAB for every way of seeing, greyscale included, or
if they differ in hatch, marker or line as well. The palette stays at least SEEN apart without one kind of cone.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from colour_vision import VISIONS, distance, lab, least_distance
from matplotlib.artist import Artist
from matplotlib.colors import Colormap, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from test_sound_pictures import LETTERS, spelled
from viz_helpers import make_evaluation, make_run, tiny_map, words
from widgets.snapshots import branched, fresh, running

from ftkit import viz
from ftkit.viz import style
from ftkit.viz.activations import COLOURS
from ftkit.viz.gradcam import _GLOW
from ftkit.viz.sound import INKS
from ftkit.viz.style import Picture, run_style
from ftkit.widgets.answer import Answer
from ftkit.widgets.difference import _EXTRA, _MISSING
from ftkit.widgets.render_picture import as_picture

ROOT = Path(__file__).parents[2]
APART, SEEN = 20.0, 15.0
PALETTE = {name: getattr(style, name) for name in ("BLUE", "ORANGE", "GREEN", "VERMILLION", "PURPLE", "SKY", "BLACK")}
STATIC = ROOT / "ftkit" / "widgets" / "static"


# --- the measure itself -----------------------------------------------------------------------------------------------


def test_the_measure_knows_what_is_known() -> None:
    assert lab("red") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # sRGB's red under D65, as tables have it
    assert lab("white") == pytest.approx([100, 0, 0], abs=0.02)
    for vision in VISIONS:
        assert lab("white", vision) == pytest.approx([100, 0, 0], abs=0.1), "white stays white"
        assert lab("#777777", vision) == pytest.approx(lab("#777777"), abs=0.1), "and grey grey"
    assert distance("#d7191c", "#1a9641", "deuteranopia") < 0.4 * distance("#d7191c", "#1a9641"), "red and green merge"
    assert distance("#2b83ba", "#1a9641", "tritanopia") < 0.4 * distance("#2b83ba", "#1a9641"), "blue and green"
    assert distance("#d7191c", "#1a9641", "greyscale") < APART


def test_the_palette_is_seen_without_one_kind_of_cone() -> None:
    for (one, a), (other, b) in itertools.combinations(PALETTE.items(), 2):
        for vision in ("usual", "protanopia", "deuteranopia", "tritanopia"):
            assert distance(a, b, vision) >= SEEN, (one, other, vision)


def test_runs_are_told_apart_without_colour() -> None:
    for i, j in itertools.combinations(range(8), 2):
        one, other = run_style(i), run_style(j)
        assert (one.line, one.marker) != (other.line, other.marker), (i, j)
        assert one.hatch != other.hatch, (i, j)


@pytest.mark.parametrize("name", [COLOURS, INKS, _GLOW], ids=["cividis", "inks", "glow"])
def test_scales_of_colour_are_scales_of_brightness(name: Any) -> None:
    """More is steadily darker, or steadily brighter, for everybody."""
    scale = name if isinstance(name, Colormap) else matplotlib.colormaps[name]
    for vision in VISIONS:
        steps = np.linspace(0, 1, 33)
        brightness = [lab(np.asarray(scale(x))[:3] * scale(x)[3] + 1 - scale(x)[3], vision)[0] for x in steps]
        rises = np.diff(brightness)
        assert (rises > 0).all() or (rises < 0).all(), vision
        assert abs(brightness[-1] - brightness[0]) > APART, vision


# --- pictures, as they are drawn --------------------------------------------------------------------------------------


@cache
def drawn() -> dict[str, Picture]:
    """Every kind of picture whose colours stand for things."""
    names = ["cat", "dog", "owl"]
    runs = {f"run {i}": make_run((0.5, 0.5 + i / 20), trainable=(10, 40)) for i in range(8)}
    several = make_evaluation([[1, 0, 1], [0, 1, 1]], [[1, 1, 0], [0, 1, 1]], names)
    rows = tuple({"label": name, "before": 0.2, "after": 0.4} for name in names)
    sure = make_evaluation([0, 1, 2, 0] * 5, [0, 1, 1, 0] * 5, names)
    return {
        "curves": viz.curves(make_run(trainable=(10, 40), steps=30)), "curves of several": viz.curves(runs),
        "compare": viz.compare(runs), "labels": viz.confusion(several), "reliability": viz.reliability(sure),
        "freeze map": viz.freeze_map(tiny_map(), "gradual"), "in part": viz.freeze_map(tiny_map(), "bitfit"),
        "scales": viz.freeze_map(tiny_map(), "discriminative"),
        "answer": Answer("a cat?", ("before", "after"), rows).picture(),
        **{f"playground {make.__name__}": as_picture(make()) for make in (fresh, running, branched)}}


def sign_and_colour(artist: Artist) -> tuple[tuple[str, ...], str]:
    """What tells an artist apart beside colour, and its colour."""
    if isinstance(artist, Line2D):
        line, marker = str(artist.get_linestyle()), str(artist.get_marker())
        pattern = str(artist._unscaled_dash_pattern)  # type: ignore[attr-defined]
        face = artist.get_markerfacecolor() if line == "None" else artist.get_color()
        return ("line", line if line == "None" else pattern, marker), to_hex(face)  # type: ignore[arg-type]
    assert isinstance(artist, Patch)
    return ("patch", artist.get_hatch() or ""), to_hex(artist.get_facecolor())


def keys(picture: Picture) -> Iterator[list[Artist]]:
    for legend in [*picture.legends, *(axes.get_legend() for axes in picture.axes)]:
        if legend is not None:
            yield list(legend.legend_handles)  # type: ignore[arg-type]


def curves_of(picture: Picture) -> Iterator[list[Artist]]:
    """The curves of each panel; rules of INK and LINES are no curves."""
    rules = {style.INK.lower(), style.LINES.lower()}
    for axes in picture.axes:
        yield [line for line in axes.get_lines() if len(line.get_xdata()) > 2 and to_hex(line.get_color()) not in rules]


def test_what_is_drawn_together_is_told_apart() -> None:
    for name, picture in drawn().items():
        for group in (*keys(picture), *curves_of(picture)):
            for (sign, color), (other_sign, other) in itertools.combinations(map(sign_and_colour, group), 2):
                if sign == other_sign and color != other:
                    least, vision = least_distance(color, other)
                    assert least >= APART, f"{name}: {sign} in {color} and {other}: {least:.0f} for {vision}"


def test_the_letters_of_an_alignment_are_told_apart_by_letters() -> None:
    """It has more curves than there are lines and colours: each peak carries its letter."""
    picture = viz.alignment(spelled("an old man"), LETTERS)
    above = [text.get_text() for text in words(picture) if len(text.get_text()) == 1 < text.get_position()[1]]
    assert "".join(above).replace("␣", " ") == "an old man"


def test_it_would_notice() -> None:
    """Two curves that differ in colour alone, and merge in greyscale."""
    picture = Picture(3)
    axes = picture.subplots()
    for color in (style.ORANGE, style.SKY):
        axes.plot([0, 1, 2], [0, 1, 2], color=color, label=color)
    axes.legend()
    pairs = [list(map(sign_and_colour, group)) for group in (*keys(picture), *curves_of(picture))]
    assert len(pairs) == 2
    for (sign, color), (other_sign, other) in pairs:
        assert sign == other_sign
        assert least_distance(color, other)[0] < APART


def test_every_bar_of_a_comparison_has_its_own_hatch() -> None:
    for axes in drawn()["compare"].axes:
        assert len({patch.get_hatch() for patch in axes.patches}) == 8


# --- panels: their style sheets ---------------------------------------------------------------------------------------

# Every colour that panels are written with, and what tells it apart beside colour.
KNOWN = {
    "#0072b2": "trains, the first run; solid, and a word", "#56b4e9": "the same in the dark; a run, with dashes",
    "#e69f00": "partly, and before: hatched; the second run, with dashes", "#d55e00": "a run, with dashes",
    "#ff8a3c": "the same in the dark", "#009e73": "a run, with dashes", "#2fc79a": "good, and a run, in the dark",
    "#b8dcf5": "a run in the dark, with dashes", "#cc79a7": "a run, with a marker", "#00734f": "good: a word in bold",
    "#a84300": "warnings: a word in bold", "#ffae80": "the same in the dark", "#0a58ca": "the focus: a ring",
    "#8ab8ff": "the same in the dark", "#f7dcc8": "missing: struck through", "#cfe6f5": "extra: underlined and bold",
    "#f7d68f": "partly: hatched", "#264653": "a quiz's buttons", "#9b2226": "wrong: the word",
    "#2d6a4f": "right: the word", "#e9a23b": "the focus: a ring"}


def is_grey(color: str) -> bool:
    return float(np.linalg.norm(lab(color)[1:])) < 3


def test_every_colour_in_the_sources_is_known() -> None:
    """A new one makes this fail: say in KNOWN what else tells it apart."""
    palette = {color.lower() for color in PALETTE.values()}
    for file in (ROOT / "ftkit").rglob("*"):
        if file.suffix in (".py", ".css", ".js") and "_bundled" not in file.parts:
            text = file.read_text(encoding="utf8")
            found = re.findall(r"(?<![&\w])#[0-9a-fA-F]{6}\b", text)
            unknown = {color.lower() for color in found if not is_grey(color)} - palette - set(KNOWN)
            assert not unknown, f"{file.name}: {unknown}"


def properties(scheme: int) -> dict[str, str]:
    """The colours of common.css: 0 in the light, 1 in the dark."""
    css = (STATIC / "common.css").read_text(encoding="utf8")
    found = {}
    for name, value in re.findall(r"--ft-([\w-]+): ([^;]+);", css):
        colors = re.findall(r"#[0-9a-f]{6}", value)
        if colors and "gradient" not in value:
            found[name] = colors[min(scheme, len(colors) - 1)]
    return found


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_states_of_layers_are_patterns(scheme: int) -> None:
    css = (STATIC / "common.css").read_text(encoding="utf8") + (STATIC / "small.css").read_text(encoding="utf8")
    for state in ("frozen", "partly"):
        rules = re.findall(rf'\[data-state="{state}"\](?: i)?(?:, [^{{]+)? \{{([^}}]*)\}}', css)
        grounds = [rule for rule in rules if "background" in rule and "var(--ft-paper)" not in rule]
        assert grounds
        assert all(f"var(--ft-{state}-hatch)" in rule for rule in grounds), state
    angles = {re.search(rf"--ft-{state}-hatch: repeating-linear-gradient\((-?\d+)deg", css)[1]  # type: ignore[index]
              for state in ("frozen", "partly")}
    assert len(angles) == 2, "the two hatches lean to different sides"
    colors = properties(scheme)
    for ground in ("paper", "wash"):
        assert distance(colors["trains"], colors[ground], "greyscale") > APART
    for one, other in itertools.combinations(("trains", "partly", "frozen"), 2):
        assert all(distance(colors[one], colors[other], vision) >= SEEN for vision in VISIONS if vision != "greyscale")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_branches_differ_in_dashes_or_markers(scheme: int) -> None:
    script = (STATIC / "curves.js").read_text(encoding="utf8")
    dashes = len(re.findall(r'"', re.search(r"const DASHES = \[(.*?)\]", script)[1])) // 2  # type: ignore[index]
    markers = len(re.findall(r"^  \"M", script, re.MULTILINE))
    css = (STATIC / "playground.css").read_text(encoding="utf8")
    runs = [value for _, value in re.findall(r"\.ft-run-(\d) \{ --ft-run: ([^;]+);", css)]
    assert (dashes, markers, len(runs)) == (4, 5, 6)
    colors = [found[min(scheme, len(found) - 1)] if (found := re.findall(r"#[0-9a-f]{6}", value))
              else properties(scheme)["trains"] for value in runs]
    for i, j in itertools.combinations(range(20), 2):
        assert (i % dashes, i % markers) != (j % dashes, j % markers), "drawn with markers"
    for i, j in itertools.combinations(range(6), 2):  # the pale ones have no markers
        close = min(distance(colors[i], colors[j], vision) for vision in VISIONS if vision != "greyscale") < SEEN
        assert i % dashes != j % dashes or not close, (i, j)
    assert script.count('"stroke-dasharray": DASHES[i % 4]') == 2, "curves and their key have the same dashes"


def test_words_that_differ_are_marked_twice() -> None:
    assert "line-through" in _MISSING
    assert "underline" in _EXTRA


# --- lessons ----------------------------------------------------------------------------------------------------------

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
_DRAWING = {"plot", "bar", "barh", "scatter", "fill_between", "axhline", "axvline", "hist", "stackplot", "step"}
_SIGNS = ("linestyle", "marker", "hatch")
_FINE = {"white", "none", "k", "black", "cividis", "gray", "Greys"}


def code_cells(lesson: Path) -> Iterator[ast.Module]:
    for cell in json.loads(lesson.read_text(encoding="utf8"))["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in "".join(cell["source"]).splitlines() if not line.lstrip().startswith(("%", "!"))]
            yield ast.parse("\n".join(lines))


def colour_of(node: ast.expr) -> str | None:
    """The colour that an argument names, if it is written out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return getattr(style, name, None) if name.isupper() else None


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lessons_draw_with_the_palette_and_never_by_colour_alone(lesson: Path) -> None:
    palette = {color.lower() for color in (*PALETTE.values(), style.WRONG, style.INK, style.LINES, style.PALE)}
    for cell in code_cells(lesson):
        calls = [node for node in ast.walk(cell) if isinstance(node, ast.Call)]
        for call in calls:
            for word in call.keywords:
                if word.arg in ("color", "edgecolor", "facecolor", "markerfacecolor", "cmap", "c"):
                    color = colour_of(word.value)
                    assert color is None or color in _FINE or color.lower() in palette, f"{lesson.name}: {color}"
        signs = []
        for call in calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr in _DRAWING:
                given = {word.arg: word.value for word in call.keywords}
                color = colour_of(given["color"]) if "color" in given else None
                if color and color.lower() not in {style.INK.lower(), style.LINES.lower()}:
                    look = tuple(ast.unparse(given[sign]) if sign in given else "" for sign in _SIGNS)
                    signs.append(((ast.unparse(call.func), *look), color))
        for (one, a), (other, b) in itertools.combinations(signs, 2):
            if one == other and a != b:
                assert least_distance(a, b)[0] >= APART, f"{lesson.name}: {one} is told apart by colour alone"
