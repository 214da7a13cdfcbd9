"""Runs side by side: the numbers are those of the runs, and what is ticked is what is drawn."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pytest
from nets import data_for, tiny

import ftkit as ft
from ftkit.errors import UnknownName, UserError
from ftkit.training import History
from ftkit.viz.style import run_style
from ftkit.widgets.compare import RunComparison, compare


@lru_cache
def trained(strategy: str, epochs: int = 2, n_valid: int = 10) -> tuple[ft.Model, Any, History]:
    model, data = tiny("bert"), data_for("text", n_valid=n_valid)
    return model, data, ft.fit(model, data, strategy, epochs=epochs, precision="fp32", batch_size=4, progress=False)


def run(strategy: str, epochs: int = 2) -> History:
    return trained(strategy, epochs)[2]


def test_numbers_are_those_of_the_runs() -> None:
    probe, full = run("probe"), run("full")
    panel = compare(probe, full)
    assert [row["run"] for row in panel.rows] == ["1: LinearProbe", "2: Full"]
    for row, history in zip(panel.rows, (probe, full), strict=True):
        best = history.epochs[history.best_epoch or 0]
        assert row["accuracy"] == best["accuracy"]
        assert row["loss"] == best["valid_loss"]
        assert row["seconds"] == history.train_seconds
        assert row["memory_mb"] == history.epochs[-1]["peak_memory_mb"]
    assert panel.rows[1]["share"] == 1.0
    assert panel.rows[0]["share"] == pytest.approx(full.epochs[0]["trainable"] and
                                                   probe.epochs[0]["trainable"] / full.epochs[0]["trainable"])


def test_runs_by_name_by_dict_and_with_their_test_scores() -> None:
    probe = run("probe")
    assert [row["run"] for row in compare(frozen=probe, mine=probe).rows] == ["frozen", "mine"]
    assert [row["run"] for row in compare({"frozen": probe}).rows] == ["frozen"]
    assert [row["run"] for row in compare(probe, again=probe).rows] == ["1: LinearProbe", "again"]
    model, data, history = trained("full")
    scores = ft.evaluate(model, data.test, precision="fp32")
    panel = compare((history, scores), (history, scores))
    assert panel.rows[0]["accuracy"] == scores["accuracy"]
    assert panel.rows[0]["loss"] == scores["loss"]
    assert "test accuracy" in repr(panel)
    assert "validation accuracy" in repr(compare(history))


def test_hiding_a_run_leaves_the_others_their_colours() -> None:
    panel = compare(a=run("probe"), b=run("full"), c=run("gradual"))
    panel.toggle("a")
    assert panel.shown == ["b", "c"]
    assert panel.say == "a is hidden."
    picture = panel.picture
    assert picture is not None
    drawn = {line.get_color() for line in picture.axes[0].get_lines()}
    assert run_style(1).color in drawn
    assert run_style(2).color in drawn
    assert run_style(0).color not in drawn
    assert "probe" not in repr(panel)
    assert len(repr(panel).splitlines()) == 3
    panel.toggle("a")
    assert panel.shown == ["a", "b", "c"]  # back at its place
    for name in "abc":
        panel.toggle(name)
    assert panel.picture is None
    assert "tick one" in panel.regions()["picture"]
    panel.show_all()
    assert len(panel.shown) == 3


def test_runs_that_know_little_are_shown_with_what_they_know() -> None:
    fresh = History()
    old = History.from_json(run("probe").to_json())
    del old.config["parameters"]  # saved before runs noted it
    blind = trained("full", 1, 0)[2]
    panel = compare(fresh=fresh, old=old, blind=blind)
    table = repr(panel).splitlines()
    assert table[1].split() == ["fresh", "–", "–", "–", "–", "–"]
    assert "%" not in table[2]
    assert table[3].split()[1:3] == ["–", "–"]  # no validation split
    assert panel.picture is not None  # of those that have made a step


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "no run at all"), (("a run",), "is not a run but str"), (([],), "is not a run but list"),
    (({},), "no run at all"),
])
def test_what_is_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        compare(*arguments)


def test_test_and_validation_accuracy_do_not_mix() -> None:
    history = run("probe")
    with pytest.raises(UserError, match="b came without an Evaluation"):
        compare(a=(history, {"accuracy": 1.0}), b=history)
    with pytest.raises(UserError, match="'a' must be a History or a pair"):
        compare(a=(history, {"loss": 1.0}))
    with pytest.raises(UnknownName, match="Did you mean 'probe'"):
        compare(probe=history).command("toggle", run="prob")


def test_the_live_table_has_a_named_box_per_run_and_says_what_memory_means() -> None:
    name = 'my <run> "1"'
    panel = compare({name: run("probe"), "two": run("full")})
    html = panel.regions()["table"]
    assert len(re.findall(r'<input type="checkbox"[^>]* checked', html)) == 2
    assert "my &lt;run&gt;" in html
    assert "<run>" not in html
    assert "never shows less than an earlier one" in html
    panel.command("toggle", run=name)
    assert len(re.findall(r'<input type="checkbox"[^>]* checked', panel.regions()["table"])) == 1
    alt = re.search(r'alt="([^"]*)"', panel.regions()["picture"])
    assert alt
    assert alt.group(1).startswith("Learning curves of two: 12 steps")


def test_static_forms() -> None:
    panel = compare(a=run("probe"), b=run("full"))
    bundle = panel.static_bundle()
    assert {"text/plain", "text/html", "image/png"} == set(bundle)
    assert "<input" not in bundle["text/html"]
    assert bundle["text/html"].count('scope="row"') == 2
    assert bundle["text/plain"] == repr(RunComparison({"a": run("probe"), "b": run("full")}))
