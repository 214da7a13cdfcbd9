"""For all tests: one thread, because tiny matrices gain nothing from more, and lose much when cores are shared."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; training honours it too
