"""The freeze grid: what is edited is what fit trains."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from nets import data_for, tiny
from panel_helpers import tiny_map

import ftkit as ft
from ftkit.errors import UnknownName, UserError
from ftkit.strategies import Custom, Discriminative, Strategy, make_strategy
from ftkit.widgets.freeze_grid import FreezeGrid, freeze_map


def words(grid: FreezeGrid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.plan.cells]


def test_a_toggled_cell_trains_in_its_epoch_only_and_the_share_follows() -> None:
    grid = freeze_map(tiny_map(), "probe", epochs=2)
    assert grid.plan.shares == [pytest.approx(10 / 134)] * 2
    grid.toggle("block 1", epoch=2)
    assert words(grid) == [["frozen"] * 2, ["frozen"] * 2, ["frozen", "train"], ["frozen"] * 2, ["train"] * 2]
    assert grid.plan.shares == [pytest.approx(10 / 134), pytest.approx(38 / 134)]
    assert grid.say == "block 1 trains in epoch 2. 28 % of all parameters train in epoch 2."
    grid.toggle("block 1", epoch=2)
    assert grid.strategy == Custom([{"head": 1.0}] * 2)


def test_a_cell_that_trains_in_part_comes_back_as_it_was() -> None:
    grid = freeze_map(tiny_map(), "bn_only", epochs=1)
    before = grid.strategy
    assert words(grid)[1] == ["29 %"]
    grid.toggle("block 0", 1)
    assert words(grid)[1] == ["frozen"]
    grid.toggle("block 0", 1)
    assert grid.strategy == before
    grid.set_scale("block 0", 1, 0.5)  # only the part that trains
    assert words(grid)[1] == ["29 % ×0.5"]


def test_scales_are_set_doubled_and_repeated() -> None:
    grid = freeze_map(tiny_map(), "probe", epochs=3)
    grid.set_scale("block 2", 2, 0.1)
    grid.rescale("block 2", 2, 2)
    grid.repeat("block 2", 2)
    assert words(grid)[3] == ["frozen", "×0.2", "×0.2"]
    assert grid.say.startswith("block 2 trains at ×0.2 in epoch 2 to 3.")
    grid.rescale("stem", 1, 2)
    assert words(grid)[0] == ["frozen"] * 3
    grid.set_scale("block 2", 3, 0)
    assert words(grid)[3] == ["frozen", "×0.2", "frozen"]


@pytest.mark.parametrize("strategy", ["probe", "full", "last_k:k=1", "gradual", "bn_only", "bitfit",
                                      Discriminative(factor=0.5, warmup=0.3, decay="cosine")])
def test_an_untouched_grid_is_the_strategy_that_it_began_with(strategy: str | Strategy) -> None:
    layers, wanted = tiny_map(), make_strategy(strategy)
    grid = freeze_map(layers, strategy, epochs=3)
    for epoch in range(3):
        assert grid.strategy.plan(layers, epoch) == wanted.plan(layers, epoch)
    assert (grid.strategy.warmup, grid.strategy.decay) == (wanted.warmup, wanted.decay)


def test_fit_takes_the_grid_itself_and_trains_what_it_shows() -> None:
    model, data = tiny("bert"), data_for("text")
    grid = freeze_map(model, "probe", epochs=2)
    grid.toggle("block 2", epoch=2)
    grid.toggle("stem", epoch=2)
    run = ft.fit(model, data, grid, epochs=2, keep_best=False, progress=False, precision="fp32")
    total = model.parameters
    assert [row["trainable"] / total for row in run.epochs] == pytest.approx(grid.plan.shares)
    moved = {row["group"] for row in ft.audit(model, run).rows if row["moved"]}
    assert moved == {"stem", "block 2", "head"}
    assert "block 2" in run.config["strategy"]  # what was trained can be read from the history


def test_nothing_trains_is_said_at_once_and_refused_by_fit() -> None:
    grid = freeze_map(tiny_map(), "probe", epochs=3)
    grid.toggle("head", 2)
    assert grid.say == "head is frozen in epoch 2. Nothing trains in epoch 2: fit would refuse this plan."
    with pytest.raises(UserError, match="everything in epoch 2: nothing would train"):
        _ = grid.strategy
    with pytest.raises(UserError, match="everything in epoch 2"):
        make_strategy(grid)
    assert "nothing!" in grid.regions()["grid"]
    assert "image/png" not in grid.static_bundle()
    assert "frozen" in grid.static_bundle()["text/html"]


@pytest.mark.parametrize(("command", "arguments", "said"), [
    ("toggle", {"group": "blok 1", "epoch": 1}, "Did you mean 'block 1'"),
    ("toggle", {"group": "head", "epoch": 0}, "from 1 to 2"),
    ("toggle", {"group": "head", "epoch": 1.5}, "from 1 to 2"),
    ("toggle", {"group": "head"}, "missing"),
    ("set_scale", {"group": "head", "epoch": 1, "scale": -1}, "0 to 1000, not -1"),
    ("set_scale", {"group": "head", "epoch": 1, "scale": float("nan")}, "not nan"),
    ("set_scale", {"group": "head", "epoch": 1, "scale": None}, "not None"),
    ("rescale", {"group": "head", "epoch": 1, "factor": 1e9}, "between"),
    ("set_epochs", {"epochs": 0}, "from 1 to 50, not 0"),
    ("start_from", {"strategy": "prob"}, "Did you mean 'probe'"),
    ("start_from", {"strategy": "last_k:k=9"}, "block"),
    ("_write", {}, "Unknown command"),
])
def test_mistakes_are_named_and_change_nothing(command: str, arguments: dict[str, Any], said: str) -> None:
    grid = freeze_map(tiny_map(), "gradual", epochs=2)
    before = repr(grid)
    with pytest.raises(UserError, match=said):
        grid.command(command, **arguments)
    assert repr(grid) == before


def test_what_freeze_map_refuses() -> None:
    with pytest.raises(UserError, match="a model from load_backbone, not dict"):
        freeze_map({})
    with pytest.raises(UserError, match="epochs must be a whole number"):
        freeze_map(tiny_map(), epochs=51)
    with pytest.raises(UnknownName, match="Did you mean 'gradual'"):
        freeze_map(tiny_map(), "gradul")

    class Adapter(Strategy):
        name = "adapter"

        def adapt(self, model: Any) -> None:
            """Would put layers in."""

    with pytest.raises(UserError, match="adapter puts new layers into the model"):
        freeze_map(tiny_map(), Adapter())


def test_a_strategy_that_the_model_cannot_follow_is_not_offered() -> None:
    assert "bn_only" in freeze_map(tiny_map()).plan.starts
    assert "bn_only" not in freeze_map(tiny("bert")).plan.starts
    assert freeze_map(tiny_map(), "last_k:k=1").plan.starts[0] == "last_k:k=1"  # the present one, options and all


def test_more_epochs_repeat_the_last_and_starting_anew_keeps_their_number() -> None:
    grid = freeze_map(tiny_map(), "probe", epochs=2)
    grid.toggle("stem", 2)
    grid.set_epochs(4)
    grid.toggle("stem", 4)  # the columns are not one and the same dict
    assert words(grid)[0] == ["frozen", "train", "train", "frozen"]
    grid.start_from("full")
    assert words(grid)[0] == ["train"] * 4
    grid.set_epochs(1)
    assert grid.last[1] == 1


def test_the_live_grid_has_one_switch_per_cell_and_one_stop_for_the_tab_key() -> None:
    grid = freeze_map(tiny_map(), "gradual", epochs=3)
    html = grid.regions()["grid"]
    switches = re.findall(r'<button[^>]*role="switch"[^>]*>', html)
    assert len(switches) == 5 * 3
    assert [switch.count('tabindex="0"') for switch in switches].count(1) == 1
    assert html.count('aria-checked="true"') == 1 + 2 + 3
    assert 'aria-label="train: head, epoch 1"' in html
    sent = json.loads(re.search(r'data-args="([^"]*block 1[^"]*)"', html).group(1).replace("&quot;", '"'))  # type: ignore[union-attr]
    grid.command("toggle", **sent)
    assert words(grid)[2][sent["epoch"] - 1] != "frozen"


def test_an_open_view_hears_of_changes() -> None:
    grid, heard = freeze_map(tiny_map()), []
    grid.on_change.append(lambda: heard.append(grid.say))
    grid.toggle("stem", 1)
    assert heard == [grid.say]


def test_static_forms() -> None:
    grid = freeze_map(tiny_map(), "gradual", epochs=2)
    bundle = grid.static_bundle()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == repr(grid) == repr(freeze_map(tiny_map(), "gradual", epochs=2))
    assert bundle["text/plain"].startswith("Freeze map: of 134 parameters train, by epoch: 7.5 %, 28 %. stem to b")
    assert "<button" not in bundle["text/html"]
    assert bundle["text/html"].count('scope="row"') == 5 + 1
    assert "<caption" in bundle["text/html"]


def test_a_large_model_answers_in_time() -> None:
    """200 groups, 10 epochs: a command and the drawing of the panel, best of three, within 150 ms on a busy core."""
    import time

    grid = freeze_map(tiny_map(blocks=198), "gradual", epochs=10)

    def once() -> float:
        start = time.perf_counter()
        grid.command("toggle", group="block 100", epoch=5)
        grid.regions()
        return time.perf_counter() - start

    assert min(once() for _ in range(3)) < 0.15
