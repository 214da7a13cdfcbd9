"""Builds the book into build/book/html: `make book`. It needs no network and runs no notebook.

The pages are gathered in build/book/source, laid out as the repository is, so that relative links stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from api_pages import Package, write_pages
from sphinx.cmd.build import main as sphinx

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "data/*/README.md", "data/backbones/*/README.md",
         "notebooks/[0-9]*.ipynb")
_RELATIVE = re.compile(r"\]\((?!\w+:|#|/)([^)#\s]+)")


def gather(source: Path) -> None:
    """Copy every page of the book into an empty folder, with the files that they show or link to."""
    for name in ("index.md", "glossary.md"):
        _put(BOOK / name, source / name)
    pages = [page for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    for page in pages:
        _put(page, source / page.relative_to(ROOT))
    for page in pages:
        for link in _RELATIVE.findall(page.read_text(encoding="utf8")):
            file = (page.parent / link).resolve()
            if file.is_file() and file.is_relative_to(ROOT) and not (source / file.relative_to(ROOT)).exists():
                _put(file, source / file.relative_to(ROOT))


def _put(file: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)


def build(out: Path) -> int:
    """Gather, write the API's pages, and run Sphinx; a warning fails the build.

    Args:
        out: Holds source/, html/ and places.json afterwards, all made anew.

    Returns:
        0, or Sphinx's exit status.
    """
    for made in ("source", "html", "doctrees"):
        shutil.rmtree(out / made, ignore_errors=True)
    source = out / "source"
    gather(source)
    places = write_pages(Package(ROOT), source / "api")
    (out / "places.json").write_text(json.dumps(places), encoding="utf8")
    return sphinx(["-W", "--keep-going", "-q", "-b", "html", "-c", str(BOOK), "-d", str(out / "doctrees"), str(source),
                   str(out / "html")])


def main() -> int:
    """Build, and say where the book is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="default: build/book")
    out = parser.parse_args().out.resolve()
    status = build(out)
    if status == 0:
        print(f"The book is in {out / 'html'}: open index.html in a browser.")
    return status


if __name__ == "__main__":
    sys.exit(main())
