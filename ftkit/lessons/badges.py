"""Links that open a lesson on Binder or on Colab, made from the one address in pyproject.toml: `make badges`.

Whoever publishes the course, or a copy of it, sets `Repository` under `[project.urls]` once. Then the README and every
lesson lead to that copy, and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ftkit.errors import UserError

BLOCK = ("<!-- open: make badges -->", "<!-- end of open -->")
BINDER, COLAB = "https://mybinder.org", "https://colab.research.google.com"
FIRST = "notebooks/00_start_here.ipynb"
INSTALL = '''# On Colab this installs ftkit; everywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "ftkit[lab] @ git+{address}"
    from google.colab import output
    output.enable_custom_widget_manager()  # the panels are widgets that Colab does not know'''


def put_badges(root: Path) -> str:
    """Write the links into the README and into each lesson, and the cell that installs ftkit on Colab.

    Args:
        root: Folder of the checkout.

    Returns:
        The owner and name of the repository.

    Raises:
        UserError: pyproject.toml names no repository on GitHub, or the README has no place for the links.
    """
    own = repository(root / "pyproject.toml")
    readme = root / "README.md"
    readme.write_text(put(readme.read_text(encoding="utf8"), badges(own, FIRST), str(readme)), encoding="utf8")
    for lesson in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        notebook = json.loads(lesson.read_text(encoding="utf8"))
        put_lesson(notebook, own, lesson.name)
        fresh = lesson.with_suffix(".new")
        fresh.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
        fresh.replace(lesson)
    return own


def repository(pyproject: Path) -> str:
    """The owner/name under `[project.urls] Repository`; raises UserError if it is missing or lies elsewhere."""
    urls = tomllib.loads(pyproject.read_text(encoding="utf8"))["project"].get("urls", {})
    given = urls.get("Repository", "")
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", given)
    if not found:
        said = f"'{given}' is no repository on GitHub" if given else "pyproject.toml does not say where the course lies"
        raise UserError(f"{said}. Binder and Colab fetch it from there. Add these lines to pyproject.toml:\n"
                        '[project.urls]\nRepository = "https://github.com/OWNER/NAME"')
    return found[1]


def addresses(own: str, path: str) -> dict[str, str]:
    """Where a file of the repository opens: {"Binder": address, "Colab": address}."""
    return {"Binder": f"{BINDER}/v2/gh/{own}/main?urlpath={quote(f'lab/tree/{path}', safe='')}",
            "Colab": f"{COLAB}/github/{own}/blob/main/{path}"}


def badges(own: str, path: str) -> str:
    """For the README: pictures that are links."""
    to = addresses(own, path)
    return (f"[![Open in Binder]({BINDER}/badge_logo.svg)]({to['Binder']})\n"
            f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({to['Colab']})")


def put_lesson(notebook: dict[str, Any], own: str, name: str) -> None:
    """The links into the first cell, in words, and the install cell behind it; in place.

    Words, because a picture from another machine is a hole on a plane, and asks the network.
    """
    links = " · ".join(f"[Open in {where}]({to})" for where, to in addresses(own, f"notebooks/{name}").items())
    first = notebook["cells"][0]
    text = "".join(first["source"])
    if BLOCK[0] not in text:
        text = f"{text.rstrip()}\n\n{BLOCK[0]}\n{BLOCK[1]}"
    first["source"] = put(text, links, name).splitlines(keepends=True)
    others = [cell for cell in notebook["cells"] if "colab" not in cell["metadata"].get("tags", [])]
    source = INSTALL.format(address=f"https://github.com/{own}").splitlines(keepends=True)
    others.insert(1, {"cell_type": "code", "execution_count": None, "id": "", "metadata": {"tags": ["colab"]},
                      "outputs": [], "source": source})
    for i, cell in enumerate(others):
        cell["id"] = f"cell-{i:02d}"
    notebook["cells"] = others


def put(text: str, lines: str, where: str) -> str:
    """The text with these lines between its two marks; raises UserError if it lacks them."""
    block = re.compile(f"{re.escape(BLOCK[0])}.*?{re.escape(BLOCK[1])}", re.DOTALL)
    if not block.search(text):
        raise UserError(f"{where} has no place for the links: put the lines {BLOCK[0]} and {BLOCK[1]} into it.")
    return block.sub(lambda _: f"{BLOCK[0]}\n{lines}\n{BLOCK[1]}", text)


def main(arguments: list[str] | None = None) -> int:
    """Write the links; 2 if it is not known where to."""
    parser = argparse.ArgumentParser(prog="python -m ftkit.lessons.badges", description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=Path(), help="folder of the checkout")
    try:
        own = put_badges(parser.parse_args(arguments).root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"The README and the lessons open from {own}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
