"""Where the files that come with ftkit lie: data sets and backbones."""

from __future__ import annotations

from pathlib import Path

from ftkit.errors import DataError


def bundled_root() -> Path:
    """The folder with the bundled data: inside an installed package, or `data/` at the top of a checkout.

    Raises:
        DataError: Neither is there: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_bundled", package.parent / "data"):
        if root.is_dir():
            return root
    raise DataError("The bundled data are not there: neither ftkit/_bundled nor data/. Install ftkit again.")
