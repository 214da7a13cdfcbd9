"""A virtual environment without ftkit, which shares all heavy packages with the one that runs the tests.

A .pth file puts the running environment's site-packages on its path. The .pth files of that folder are not read, so an
editable ftkit there is not seen; and what is installed into the clean environment comes first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def clean_environment(place: Path) -> Path:
    """Make one in an empty folder; returns the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = [path for path in place.rglob("site-packages") if path.is_dir()]
    shared = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    (site / "shared.pth").write_text("\n".join(shared), encoding="utf8")
    return place / ("Scripts" if os.name == "nt" else "bin")
