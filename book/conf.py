"""Settings of the published book. `make book` builds it: see build_book.py."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

BOOK = Path(__file__).parent
ROOT = BOOK.parent
sys.path.insert(0, str(BOOK))

# The one setting: where the source is published, such as "https://github.com/OWNER/ftkit". Empty: no links to it.
# .github/workflows/pages.yml passes it on from GitHub.
REPOSITORY = os.environ.get("BOOK_REPOSITORY", "").rstrip("/")

PLACES: dict[str, str] = {}
project = "ftkit"
author = "the authors of ftkit"
release = re.search(r'__version__ = "(.+)"', (ROOT / "ftkit" / "__init__.py").read_text(encoding="utf8"))[1]  # type: ignore[index]
extensions = ["myst_nb", "lesson_words", "picture_words", *(["sphinx.ext.linkcode"] if REPOSITORY else [])]
exclude_patterns = ["_build"]

# Notebooks: shown with the outputs that they were committed with. A live panel has no kernel here: its static form,
# the output after it, is what a reader sees; and no script of ipywidgets is fetched from anywhere.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_ipywidgets_js: dict[str, Any] = {}
nb_merge_streams = True
myst_heading_anchors = 3

# Signatures with a parameter per line where they are long.
maximum_signature_line_length = 90
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_title = "ftkit"
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_copyright = False
html_context = {"default_mode": "auto"}
html_theme_options: dict[str, Any] = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # one search field is enough: the one above the table of contents
}
if REPOSITORY:
    html_theme_options |= {"repository_url": REPOSITORY, "repository_branch": "main", "use_repository_button": True,
                           "use_issues_button": True}
    if (ROOT / "binder").is_dir():
        html_theme_options["launch_buttons"] = {"binderhub_url": "https://mybinder.org",
                                                "notebook_interface": "jupyterlab"}


def setup(app: Any) -> None:
    """Called by Sphinx: the places of public names lie beside the gathered pages."""
    PLACES.update(json.loads((Path(app.srcdir).parent / "places.json").read_text(encoding="utf8")))


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Where Sphinx should link a signature's [source] to."""
    place = PLACES.get(f"{info['module']}.{info['fullname']}") if domain == "py" else None
    return f"{REPOSITORY}/blob/main/{place}" if place else None
