"""The playground's static forms: what they say, that they stand alone, and that nothing lies on anything else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from snapshots import branched, fresh, running
from viz.viz_helpers import check_layout, said

from ftkit.errors import UserError
from ftkit.widgets.render import render
from ftkit.widgets.render_curves import event_marks
from ftkit.widgets.words import short, size

ALL = pytest.mark.parametrize("make", [fresh, running, branched], ids=lambda make: make.__name__)
VOID = {"img", "br"}


class Reader(HTMLParser):
    """Checks that elements close in order; keeps tags with their attributes, and the rows of the table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@ALL
def test_each_form_says_the_same_every_time(make: Any) -> None:
    one, two = render(make()), render(make())
    assert (one.text, one.html, one.picture.alt) == (two.text, two.html, two.picture.alt)
    assert one.png[:8] == b"\x89PNG\r\n\x1a\n"
    assert one.png == two.png


@ALL
def test_text_has_an_aligned_row_for_each_group(make: Any) -> None:
    snapshot = make()
    lines = render(snapshot).text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("group "))
    table = lines[at : at + 1 + len(snapshot["groups"])]
    starts = {line.index(word) for line, word in zip(table, ["state", *(g["state"] for g in snapshot["groups"])],
                                                     strict=True)}
    assert len(starts) == 1
    assert [line.split("  ")[0] for line in table[1:]] == [group["name"] for group in snapshot["groups"]]


def test_text_says_state_numbers_gradients_warnings_events_and_the_answer() -> None:
    text = render(branched()).text
    assert "resnet18: finished, step 400 of 400, epoch 8 of 8" in text
    assert "Trains: 74.0 k of 11.2 M parameters (0.7 %)." in text
    assert "A step costs: 212 ms, 62 % of full fine-tuning." in text
    assert re.search(r"block 0 +partly +74\.0 k +0\.81 +0\.0034 +592 kB +3\.2 MB +stored", text)
    assert re.search(r"block 7 +frozen .* passes", text)
    assert "Warning! head: trains, but the optimizer does not know it: it will never move" in text
    assert "1: block 0 thawed at step 100 (first block only)" in text
    assert text.endswith("Guess: 20 %. Measured: 78 %. Score: 42 of 100.")
    assert "block 9   frozen, soon trains" in render(running()).text
    assert "trains ×0.3" in render(running()).text


def test_the_steady_text_leaves_out_what_differs_each_time() -> None:
    slow = branched()
    slow["header"].update(step_ms=999.0, cost=0.9, memory_mb=1.0)
    slow["question"].update(answer=90.0, score=1)
    assert render(slow).text != render(branched()).text
    assert render(slow).steady_text == render(branched()).steady_text
    assert repr(render(slow)) == render(branched()).steady_text


def test_what_a_step_costs_may_exceed_full_fine_tuning_and_may_be_unknown() -> None:
    snapshot = running()
    snapshot["header"]["cost"] = 1.13
    assert "113 % of full fine-tuning" in render(snapshot).text
    snapshot["header"].update(cost=None, step_ms=None, share=None, trainable=None)  # a question waits for its guess
    text = render(snapshot).text
    assert "A step costs: not known yet." in text
    assert "Trains: guess first." in text
    assert "guess first" in render(snapshot).html


@ALL
def test_html_is_well_formed_and_needs_nothing_else(make: Any) -> None:
    html = render(make()).html
    tags = Reader(html).tags
    assert not {"script", "style", "link", "iframe"} & {tag for tag, _ in tags}
    assert "http" not in html
    assert not any("class" in attributes or "id" in attributes for _, attributes in tags)
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert all(image["src"].startswith("data:image/png") and image["alt"] for image in images)
    assert bool(images) == any(curve["train"] for curve in make()["curves"])


@ALL
def test_html_is_a_real_table_that_reads_without_its_styles(make: Any) -> None:
    snapshot, reader = make(), Reader(render(make()).html)
    assert [attributes.get("scope") for tag, attributes in reader.tags if tag == "th"].count("row") == len(
        snapshot["groups"])
    assert any(tag == "caption" for tag, _ in reader.tags)
    rows = {row[0]: row for row in reader.rows}
    for group in snapshot["groups"]:
        assert rows[group["name"]][1].startswith(group["state"])
        assert rows[group["name"]][-1] == group["gradient"]
        for text in group["warnings"]:
            i = next(i for i, row in enumerate(reader.rows) if row[0] == group["name"])
            assert reader.rows[i + 1][0] == f"Warning! {text}"


def test_what_a_user_wrote_is_escaped() -> None:
    evil = branched()
    evil["groups"][0]["name"] = evil["model"]["name"] = evil["curves"][0]["name"] = '<img src=x onerror="alert(1)">'
    evil["groups"][0]["warnings"] = evil["groups"][1]["warnings"] = ["<b>& so on"]
    evil["message"] = "<script>alert(1)</script>"
    reader = Reader(render(evil).html)
    assert [tag for tag, _ in reader.tags].count("img") == 1  # the curves
    assert not {"b", "script"} & {tag for tag, _ in reader.tags}


@ALL
def test_no_word_of_the_picture_is_clipped_or_covered(make: Any) -> None:
    picture = render(make()).picture
    check_layout(picture)
    words = said(picture)
    assert all(group["name"] in words for group in make()["groups"])
    assert ("passes" in words) == any(group["gradient"] == "passes" for group in make()["groups"])


def test_a_crowded_picture_keeps_its_order() -> None:
    crowded = branched()
    name = "a very long name that somebody gave to a branch of a run"
    crowded["groups"][2]["name"] = "encoder.stages.layer_normalization.3"
    crowded["groups"][2]["warnings"] = ["something that takes many words to explain " * 4, "and another thing"]
    crowded["curves"] = [{**crowded["curves"][0], "name": f"{name} {i}"} for i in range(6)]
    crowded["curves"][0]["events"] = [{"step": 110 + 9 * i, "text": f"block {i} thawed, {name}"} for i in range(20)]
    crowded["message"] = f"Training broke off: {name}. " * 3
    check_layout(render(crowded).picture)


def test_events_that_are_close_share_a_mark() -> None:
    snapshot = branched()
    assert event_marks(snapshot) == [(100, "1–3")]
    snapshot["curves"][0]["events"][1]["step"] = 180
    assert event_marks(snapshot, near=10) == [(100, "1–2"), (180, "3")]
    assert event_marks(snapshot, near=100) == [(100, "1–3")]


def test_looking_back_is_said_and_drawn() -> None:
    snapshot = {**branched(), "showing": 120}
    assert "looking back, step 120 of 400, epoch 3 of 8" in render(snapshot).text
    lines = [line.get_xdata()[0] for line in render(snapshot).picture.axes[1].get_lines()]
    assert 120 in lines


@pytest.mark.parametrize(("number", "text"), [(None, "–"), (0, "0"), (0.0123456, "0.0123"), (1.2e-5, "1.2e-5"),
                                              (99.96, "100"), (1234.5, "1234"), (123_456, "1.2e5"), (0.5, "0.5")])
def test_short_numbers(number: Any, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(("number", "text"), [(None, "–"), (0, "0"), (640, "640 B"), (11_900_000, "11.9 MB")])
def test_sizes(number: Any, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize("wrong", [None, "run.json", {"version": 1}])
def test_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(UserError, match=r"Playground\.snapshot"):
        render(wrong)


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(UserError, match="version 2"):
        render(fresh(version=2))
