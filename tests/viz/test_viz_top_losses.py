"""The worst examples come first, and can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from viz_helpers import LONG, check_layout, make_evaluation, said

from ftkit.errors import UserError
from ftkit.viz import top_losses, top_losses_frame


def test_the_frame_is_sorted_and_says_what_is_what() -> None:
    evaluation = make_evaluation([0, 1, 0, 1], [0, 0, 1, 1], ["bad", "good"], list("abcd"))
    frame = top_losses_frame(evaluation, n=3)
    assert frame["row"].tolist() == [1, 2, 0]
    assert frame["input"].tolist() == ["b", "c", "a"]
    assert frame["true"].tolist() == ["good", "bad", "bad"]
    assert frame["predicted"].tolist() == ["bad", "good", "bad"]
    assert frame["probability"].tolist() == pytest.approx([0.8] * 3)
    assert frame["loss"].is_monotonic_decreasing
    assert len(top_losses_frame(evaluation, n=100)) == 4


def test_texts_become_a_table() -> None:
    texts = ["It cost $5, not $10.", "word " * 500, LONG, "", "new\nline"]
    picture = top_losses(make_evaluation([0, 1, 0, 1, 0], [1, 0, 1, 0, 0], ["bad", LONG], texts))
    check_layout(picture)
    shown = said(picture)
    assert "It cost $5, not $10." in shown
    assert "word…" in shown or "word word word" in shown
    assert "(an empty text)" in shown
    assert "new line" in shown
    assert "✗ bad" in shown
    assert "✓ bad" in shown, "a right answer with a high loss is no mistake"
    assert picture.alt.startswith("The 5 examples with the highest loss. 1. It cost $5, not $10.: bad, taken for Donau")


@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_pictures_become_a_grid(n: int, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    inputs = [Image.new("L", (8, 8)), np.zeros((300, 200, 3), np.uint8), tmp_path / "a.png"] * 3
    picture = top_losses(make_evaluation([0] * 9, [1] * 9, ["cat", LONG], inputs), n=n)
    check_layout(picture)
    assert sum(len(axes.get_images()) for axes in picture.axes) == n
    assert said(picture).count("true: cat") == n


def test_a_sound_is_named_by_its_file() -> None:
    shown = said(top_losses(make_evaluation([0], [1], ["no", "yes"], [Path("folder/yes/0.wav")])))
    assert "0.wav" in shown
    assert "folder" not in shown


def test_several_labels() -> None:
    evaluation = make_evaluation([[1, 1], [0, 0]], [[0, 1], [0, 0]], ["sport", "weather"])
    frame = top_losses_frame(evaluation)
    assert frame["true"].tolist() == ["sport, weather", "none"]
    assert frame["predicted"].tolist() == ["weather", "none"]
    check_layout(top_losses(evaluation))


@pytest.mark.parametrize("n", [0, -3, 1.5, "all"])
def test_mistakes_are_named(n: Any) -> None:
    with pytest.raises(UserError, match="n must be a whole number"):
        top_losses(make_evaluation([0], [1], ["no", "yes"]), n=n)
    with pytest.raises(UserError, match="top_losses draws what evaluate returns"):
        top_losses([1, 2])
