"""Every picture of a lesson, and every one on the project's pages, says in words what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         *sorted((ROOT / "data").rglob("README.md"))]
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")


class _Images(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.alts: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag == "svg" and given.get("aria-hidden") != "true":
            self.alts.append(given.get("aria-label"))


def alternatives(notebook: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """(place, alternative text) of every picture: in outputs, in HTML, and in Markdown."""
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield from ((f"cell {number}", alt) for alt in in_markdown(source))
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield from ((f"cell {number}", alt) for alt in _Images("".join(data.get("text/html", ""))).alts)
            for kind in PICTURES:
                if kind in data:  # our own pictures say it as text; nbconvert and the book look into the metadata
                    own = output.get("metadata", {}).get(kind, {}).get("alt")
                    yield f"cell {number}", own or "".join(data.get("text/plain", ""))


def in_markdown(text: str) -> list[str | None]:
    """Of pictures as Markdown and as HTML."""
    return [*re.findall(r"!\[([^\]]*)\]\(", text), *_Images(text).alts]


def is_telling(alt: str | None) -> bool:
    """Some words; not the name of a class, of a file, or of a place in memory."""
    text = (alt or "").strip()
    return (len(text.split()) >= 3 and not re.search(r"^<.*>$|\b0x[0-9a-f]+|\.(?:png|jpe?g|svg)$", text)
            and not text.startswith(("Figure(", "Picture(", "data:")))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_every_picture_of_a_lesson_has_alternative_text(lesson: Path) -> None:
    found = list(alternatives(json.loads(lesson.read_text(encoding="utf8"))))
    assert len(found) >= 3
    for place, alt in found:
        assert is_telling(alt), f"{lesson.name}, {place}: {alt!r}"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_pictures_of_a_lesson_do_not_all_say_the_same(lesson: Path) -> None:
    outputs = [alt for place, alt in alternatives(json.loads(lesson.read_text(encoding="utf8")))]
    assert len(set(outputs)) > len(outputs) / 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_picture_of_a_page_has_alternative_text(page: Path) -> None:
    for alt in in_markdown(page.read_text(encoding="utf8")):
        assert is_telling(alt), f"{page.name}: {alt!r}"


def test_it_would_notice() -> None:
    png = {"metadata": {}, "data": {"image/png": "iVBOR", "text/plain": "<Figure size 9x9>"}}
    html = {"metadata": {}, "data": {"text/html": "<p><img src='x'><svg></svg></p>"}}
    notebook = {"cells": [{"cell_type": "code", "source": [], "outputs": [png, html]},
                          {"cell_type": "markdown", "source": ["![](a.png) and ![a dog on a chair](b.png)"]}]}
    assert [is_telling(alt) for _, alt in alternatives(notebook)] == [False, False, False, False, True]
    for bad in (None, "", "plot", "a/very/long/name.png", "Figure(1000x400)", "<Axes of something else>"):
        assert not is_telling(bad)
