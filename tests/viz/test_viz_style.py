"""The picture itself: what it says without being seen, in a notebook, in a thread, under a user's settings."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import matplotlib.style
import numpy as np
import pytest
from kernels import executed
from PIL import Image
from viz_helpers import make_evaluation, make_run, tiny_map

from ftkit import viz
from ftkit.viz.style import Picture, run_style
from ftkit.viz.words import clean, count, percent, text_width, wrap


def pictures() -> list[Picture]:
    evaluation = make_evaluation([0, 1, 1], [0, 1, 0], ["cat", "dog"])
    run = make_run(trainable=(10, 40))
    return [viz.freeze_map(tiny_map(), "gradual"), viz.curves(run), viz.curves({"a": run, "b": run}),
            viz.confusion(evaluation), viz.top_losses(evaluation), viz.compare({"a": (run, evaluation)})]


def test_a_picture_is_a_png_and_a_sentence() -> None:
    for picture in pictures():
        bundle, metadata = picture._repr_mimebundle_(include=None, exclude=None)
        image = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        assert image.width == 1000
        assert 150 < image.height < 1500
        assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 10, "an empty picture"
        assert image.info["Description"] == picture.alt
        assert bundle["text/plain"] == repr(picture) == picture.alt == metadata["image/png"]["alt"]
        assert picture.alt.endswith(".")
        assert "0x" not in picture.alt


def test_the_same_input_gives_the_same_picture_in_any_thread() -> None:
    expected = [(picture.alt, picture.png()) for picture in pictures()]
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: [(picture.alt, picture.png()) for picture in pictures()], range(2)):
            assert found == expected


def test_the_users_matplotlib_settings_do_not_reach_it() -> None:
    expected = [picture.png() for picture in pictures()]
    with matplotlib.style.context("dark_background"):
        assert [picture.png() for picture in pictures()] == expected


def test_a_notebook_shows_it_with_its_alternative_text() -> None:
    run = make_run()
    show = f"from ftkit import viz\nfrom ftkit.training import History\nrun = History.from_json({run.to_json()!r})\n" \
           "viz.curves(run)"
    notebook = executed(show, "import sys; 'matplotlib.pyplot' in sys.modules",
                        "import matplotlib.pyplot\nviz.curves(run)")
    alt = viz.curves(run).alt
    for cell in (notebook.cells[0], notebook.cells[2]):  # with and without pyplot's own display of figures
        (output,) = cell.outputs
        assert output.data["image/png"].startswith("iVBOR")
        assert output.data["text/plain"] == alt == output.metadata["image/png"]["alt"]
    assert notebook.cells[1].outputs[0].data["text/plain"] == "False"


def test_runs_differ_in_more_than_colour() -> None:
    for sign in ("line", "marker", "hatch"):
        assert getattr(run_style(0), sign) != getattr(run_style(1), sign)
    assert len({run_style(i) for i in range(24)}) == 24


@pytest.mark.parametrize(("number", "text"), [
    (0, "0"), (770, "770"), (999, "999"), (148_610, "149 k"), (1_500, "1.5 k"), (11_916_672, "11.9 M"),
    (999_999, "1.0 M"), (22_700_000, "22.7 M"), (138_400_000, "138 M"), (1_240_000_000, "1.2 B")])
def test_counts_are_short(number: int, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(("share", "text"), [
    (0, "0 %"), (1, "100 %"), (0.0065, "0.7 %"), (0.16, "16 %"), (0.00033, "0.03 %"), (0.99, "99 %"),
    (0.9949, "99.5 %"), (0.99999, ">99.9 %"), (1e-9, "<0.001 %")])
def test_a_little_is_not_nothing_and_nearly_all_is_not_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_wrapping_keeps_every_word_within_the_width() -> None:
    text = "a few words and Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz, then 日本 and $5"
    for width in (0.5, 1.0, 3.0):
        lines = wrap(text, width, 11).split("\n")
        assert all(text_width(line, 11) <= width for line in lines)
        joined = "".join(line[:-1] if line.endswith("-") else line for line in lines).replace(" ", "")
        assert joined == clean(text).replace(" ", "")
    short = wrap("word " * 10_000, 2.0, 11, lines=3)
    assert short.count("\n") == 2
    assert short.endswith("…")
    assert wrap("", 1.0, 11) == ""


def test_what_cannot_be_drawn_is_a_box_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    text = "tab\tnew\nline\x00 \U000104a0 $x^2$ fünf"  # a letter of Osmanya, which hardly any font has
    assert clean(text) == "tab new line □ $x^2$ fünf"
    viz.top_losses(make_evaluation([0], [1], ["no", "yes"], [text])).png()
    assert not recwarn.list
