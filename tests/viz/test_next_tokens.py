"""The picture of the next token: bars are the probabilities, and every word can be read."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.patches import Rectangle
from viz_helpers import LONG, check_layout, said
from writers import writer

from ftkit.errors import UserError
from ftkit.report import next_tokens as rows_of
from ftkit.viz import next_tokens


def bars(picture: Any) -> list[tuple[float, float, bool]]:
    """(place, length, hatched) of every bar."""
    return [(round(bar.get_y() + bar.get_height() / 2, 3), bar.get_width(), bool(bar.get_hatch()))
            for bar in picture.axes[0].patches if isinstance(bar, Rectangle)]


def test_bars_are_the_probabilities() -> None:
    model = writer()
    found = rows_of(model, "the cook", 4)
    picture = next_tokens(model, "the cook", n=4)
    check_layout(picture)
    assert [length for _, length, _ in bars(picture)] == pytest.approx(
        [*(row["before"] for row in found.rows), found.others[0]])
    assert "What comes after “the cook”?" in said(picture)
    assert "may not be drawn" not in said(picture)
    assert picture.alt.startswith("Bars of the likeliest next tokens. What comes after “the cook”? ")
    assert "then" not in picture.alt


def test_before_and_after_the_controls() -> None:
    model = writer()
    controls = {"temperature": 0.5, "top_k": 2, "repetition_penalty": 1.2}
    found = rows_of(model, "the cook", 4, **controls)
    picture = next_tokens(model, "the cook", n=4, **controls)
    check_layout(picture)
    drawn = bars(picture)
    assert [hatched for _, _, hatched in drawn].count(True) >= 2, "what may not be drawn is told apart without colour"
    after = [row["after"] for row in found.rows if row["after"]]
    assert set(after) <= {length for _, length, _ in drawn}
    assert "temperature 0.5, top k 2, repetition penalty 1.2" in said(picture)
    assert "With temperature 0.5, top k 2, repetition penalty 1.2, 2 of" in picture.alt


@pytest.mark.parametrize(("prompt", "n", "controls"), [
    ("", 1, {}), (LONG * 3, 25, {"temperature": 0}), ([{"role": "user", "content": "Weather?"}], 12, {"top_p": 0.5}),
    ("fog", 12, {"temperature": 5.0})])
def test_other_shapes(prompt: Any, n: int, controls: dict[str, Any]) -> None:
    picture = next_tokens(writer("llama"), prompt, n=n, **controls)
    check_layout(picture)
    assert len(picture.alt) < 2500


@pytest.mark.parametrize("n", [0, 26, 2.5, "x"])
def test_mistakes(n: Any) -> None:
    with pytest.raises(UserError, match="from 1 to 25"):
        next_tokens(writer(), "a", n=n)
