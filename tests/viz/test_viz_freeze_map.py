"""The freeze map shows exactly the plan."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.patches import Rectangle
from viz_helpers import check_layout, said, tiny_map

from ftkit.errors import UnknownName, UserError
from ftkit.strategies import Custom, Discriminative, GradualUnfreeze
from ftkit.viz import Picture, freeze_map


def cells(picture: Picture) -> list[Rectangle]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle)]


def cell_words(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.axes[0].texts]


def test_gradual_unfreezing_is_a_staircase_with_the_input_on_top() -> None:
    picture = freeze_map(tiny_map(), "gradual", epochs=3)
    check_layout(picture)
    assert len(cells(picture)) == 5 * 3
    frozen, train = ["frozen"], ["train"]
    assert cell_words(picture) == [*frozen * 3, *frozen * 3, *frozen * 2, *train, *frozen, *train * 2, *train * 3]
    labels = [text.get_text() for text in picture.axes[0].get_yticklabels()]
    assert labels == ["stem", "block 0", "block 1", "block 2", "head"]
    top, bottom = picture.axes[0].get_ylim()
    assert bottom == 0  # the first row is at the top
    assert top == 5
    assert picture.alt == ("gradual: 7.5 % of 134 parameters train in epoch 1, 49 % in epoch 3. "
                           "stem to block 0: frozen throughout; block 1: frozen in epochs 1–2, trains in epoch 3; "
                           "block 2: frozen in epoch 1, trains in epochs 2–3; head: trains throughout.")
    assert "40 | 28" in said(picture)  # parameters of stem and block 0


def test_colour_is_never_the_only_sign() -> None:
    hatches: dict[str, set[Any]] = {}
    picture = freeze_map(tiny_map(), "bn_only", epochs=1)
    for cell, word in zip(cells(picture), cell_words(picture), strict=True):
        hatches.setdefault(word, set()).add(cell.get_hatch())
    assert hatches == {"frozen": {"//"}, "29 %": {".."}, "train": {""}}


def test_learning_rate_scales_are_written_and_shaded() -> None:
    picture = freeze_map(tiny_map(), Discriminative(factor=0.5), epochs=1)
    check_layout(picture)
    assert cell_words(picture) == ["×0.062", "×0.12", "×0.25", "×0.5", "train"]
    brightness = [sum(cell.get_facecolor()[:3]) for cell in cells(picture)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 5
    mixed = Custom({"head": 2, "block 0": 0.1, "layers.0.0.weight": 1, "layers.1.0.weight": 0.5})
    assert cell_words(freeze_map(tiny_map(), mixed, epochs=1)) == ["frozen", "×0.1–1", "57 % ×0.5", "frozen", "×2"]


@pytest.mark.parametrize(("blocks", "epochs", "strategy"), [
    (1, 1, "probe"), (17, 20, GradualUnfreeze()), (40, 3, "discriminative"), (3, 100, "gradual:every=20"),
    (6, 8, "bn_only"), (3, 3, "custom:head=1,block_2=0.333,stem=0.25")])
def test_any_size_stays_readable(blocks: int, epochs: int, strategy: Any) -> None:
    picture = freeze_map(tiny_map(blocks), strategy, epochs=epochs)
    check_layout(picture)
    assert len(cells(picture)) == (blocks + 2) * epochs
    assert "train" in cell_words(picture)


def test_the_title_names_the_strategy_and_its_options() -> None:
    titles = [freeze_map(tiny_map(), strategy, 2).get_suptitle() for strategy in ("last_k:k=2", "full", "probe")]
    assert titles == [
        "last_k (k=2): 49 % of 134 parameters train in every epoch",
        "full: 100 % of 134 parameters train in every epoch",
        "probe: 7.5 % of 134 parameters train in every epoch"]
    assert "gradual (every=2, step=1): " in freeze_map(tiny_map(), GradualUnfreeze(every=2), 2).alt


def test_mistakes_are_named() -> None:
    with pytest.raises(UnknownName, match="gradual"):
        freeze_map(tiny_map(), "gradul")
    with pytest.raises(UserError, match="3 blocks"):
        freeze_map(tiny_map(), "last_k:k=9")
    for epochs in (0, -1, 2.5):
        with pytest.raises(UserError, match="epochs must be a whole number"):
            freeze_map(tiny_map(), "full", epochs)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not str"):
        freeze_map("minilm", "full")
