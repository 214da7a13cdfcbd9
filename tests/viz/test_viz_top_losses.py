"""The worst examples come first, and can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from viz_helpers import LONG, check_layout, make_evaluation, said

from ftkit.errors import UserError
from ftkit.training import Evaluation
from ftkit.viz import confusion, top_losses, top_losses_frame


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


def test_a_recogniser_shows_what_was_said_and_what_it_heard() -> None:
    sounds = [np.zeros(1600, dtype=np.float32)] * 3
    said = np.array(["It's late.", "no", "So ends."])
    found = Evaluation({"cer": 0.5}, np.zeros((3, 0)), said, np.array([0.1, 3, 2]), (), sounds,
                       ["it's late", "", "so end"])
    frame = top_losses_frame(found, 3)
    assert frame.columns.tolist() == ["row", "input", "true", "predicted", "loss"]
    assert frame["true"].tolist() == ["no", "so ends", "it's late"], "as they are compared"
    picture = top_losses(found, 3)
    words = [text.get_text() for text in picture.axes[0].texts]
    assert {"sound", "said", "the model heard", "loss", "✗ (nothing)", "✗ so end", "✓ it's late"} <= set(words)
    assert "prob." not in words
    assert "a sound: no, taken for nothing, loss 3.00" in picture.alt
    with pytest.raises(UserError, match="confusion is for classes, and this model writes texts"):
        confusion(found)
