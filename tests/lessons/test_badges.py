"""Links to Binder and Colab lead to the repository that pyproject.toml names, and are written anew without a trace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from ftkit.errors import UserError
from ftkit.lessons.badges import BLOCK, main, put_badges, repository

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for file in ("README.md", "pyproject.toml", *(f"notebooks/{p.name}" for p in sorted(
            (ROOT / "notebooks").glob("[0-9]*.ipynb")))):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def name(checkout: Path, address: str) -> None:
    file = checkout / "pyproject.toml"
    text = file.read_text(encoding="utf8").partition("\n[project.urls]")[0]
    file.write_text(f'{text}\n[project.urls]\nRepository = "{address}"\n', encoding="utf8")


def test_every_lesson_and_the_readme_lead_to_the_named_repository(checkout: Path) -> None:
    name(checkout, "https://github.com/school/course.git")
    assert put_badges(checkout) == "school/course"
    readme = (checkout / "README.md").read_text(encoding="utf8")
    assert "badge_logo.svg)](https://mybinder.org/v2/gh/school/course/main?urlpath=" in readme
    assert "colab-badge.svg)](https://colab.research.google.com/github/school/course/blob/main/notebooks/00_" in readme
    lessons = sorted((checkout / "notebooks").glob("*.ipynb"))
    assert len(lessons) >= 5
    for lesson in lessons:
        cells = json.loads(lesson.read_text(encoding="utf8"))["cells"]
        first = "".join(cells[0]["source"])
        link = urlparse(first.partition("[Open in Binder](")[2].partition(")")[0])
        assert parse_qs(link.query)["urlpath"] == [f"lab/tree/notebooks/{lesson.name}"]
        assert (checkout / "notebooks" / lesson.name).is_file()
        assert "git+https://github.com/school/course" in "".join(cells[1]["source"])
        assert [cell["id"] for cell in cells] == [f"cell-{i:02d}" for i in range(len(cells))]


def test_another_address_replaces_the_first(checkout: Path) -> None:
    name(checkout, "https://github.com/school/course")
    put_badges(checkout)
    once = {file.name: file.read_text(encoding="utf8") for file in checkout.rglob("*.*") if file.is_file()}
    put_badges(checkout)
    assert once == {file.name: file.read_text(encoding="utf8") for file in checkout.rglob("*.*") if file.is_file()}
    name(checkout, "https://github.com/other/copy")
    put_badges(checkout)
    for file in checkout.rglob("*.*"):
        if file.suffix in (".ipynb", ".md"):
            text = file.read_text(encoding="utf8")
            assert "school/course" not in text
            assert "other/copy" in text


def test_the_install_cell_does_nothing_outside_colab(checkout: Path) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    name(checkout, "https://github.com/school/course")
    put_badges(checkout)
    cell = json.loads((checkout / "notebooks/00_start_here.ipynb").read_text(encoding="utf8"))["cells"][1]
    code = TransformerManager().transform_cell("".join(cell["source"]))
    asked: list[tuple[str, str]] = []

    class Shell:
        def run_line_magic(self, magic: str, line: str) -> None:
            asked.append((magic, line))

    exec(code, {"get_ipython": Shell})
    assert asked == []
    with pytest.MonkeyPatch.context() as patch:
        import sys
        import types

        output = types.SimpleNamespace(enable_custom_widget_manager=lambda: asked.append(("widgets", "")))
        patch.setitem(sys.modules, "google", types.ModuleType("google"))
        patch.setitem(sys.modules, "google.colab", types.SimpleNamespace(output=output))
        exec(code, {"get_ipython": Shell})
    assert asked == [("pip", 'install --quiet "ftkit[lab] @ git+https://github.com/school/course"'), ("widgets", "")]


@pytest.mark.parametrize("address", ["", "https://gitlab.com/school/course", "school/course"])
def test_without_an_address_nothing_is_written(
        checkout: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    if address:
        name(checkout, address)
    before = (checkout / "README.md").read_bytes()
    assert main([str(checkout)]) == 2
    assert 'Repository = "https://github.com/OWNER/NAME"' in capsys.readouterr().err
    assert (checkout / "README.md").read_bytes() == before


def test_a_readme_without_a_place_is_an_error(checkout: Path) -> None:
    name(checkout, "https://github.com/school/course")
    assert repository(checkout / "pyproject.toml") == "school/course"
    (checkout / "README.md").write_text("# ours\n", encoding="utf8")
    with pytest.raises(UserError, match=r"README\.md has no place for the links") as got:
        put_badges(checkout)
    assert BLOCK[0] in str(got.value)
