"""Data: one call from a name, a file, a folder or a hub to train, valid and test, and to the task they define.

`load_data` in load.py tells the story from top to bottom; each step has a file of its own.
"""

from __future__ import annotations

from ftkit.bundle import bundled_root
from ftkit.data.bundled import list_data
from ftkit.data.load import load_data
from ftkit.data.report import DataReport
from ftkit.data.scenes import Scene, load_scenes
from ftkit.data.split import Data, Split

__all__ = ["Data", "DataReport", "Scene", "Split", "bundled_root", "list_data", "load_data", "load_scenes"]
