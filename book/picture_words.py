"""A Sphinx extension: pictures in the outputs of lessons get their alternative text.

MyST-NB names the file of each picture by its sha256, and knows nothing of what it shows. The notebook does: in the
output's metadata, or as the output's text form.
"""

from __future__ import annotations

import hashlib
import json
from binascii import a2b_base64
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

KINDS = ("image/png", "image/jpeg")


class SayPictures(SphinxTransform):
    """Runs on each page when it has been read."""

    default_priority = 410

    def apply(self, **_: Any) -> None:
        """Give an alternative text to each picture that has none."""
        notebook = Path(self.env.doc2path(self.env.docname))
        if notebook.suffix != ".ipynb":
            return
        known = said(json.loads(notebook.read_text(encoding="utf8")))
        for image in self.document.findall(nodes.image):
            alt = known.get(PurePosixPath(str(image["uri"]).replace("\\", "/")).stem)
            if alt and not image.get("alt"):
                image["alt"] = alt


def said(notebook: dict[str, Any]) -> dict[str, str]:
    """What each picture in the outputs shows, by the sha256 of its file."""
    found = {}
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", ())):
        for kind in KINDS:
            if kind in (data := output.get("data", {})):
                alt = output.get("metadata", {}).get(kind, {}).get("alt") or "".join(data.get("text/plain", ""))
                found[hashlib.sha256(a2b_base64("".join(data[kind]))).hexdigest()] = " ".join(alt.split())
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_transform(SayPictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
