"""What a command left, and how to run one in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> Any:
        """The last line of stdout as JSON."""
        return json.loads(self.out.splitlines()[-1])


def shell(*words: object, timeout: float = 240, **env: str) -> Ran:
    """A command in a process of its own."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, **env}, stdin=subprocess.DEVNULL)
    return Ran(done.returncode, done.stdout, done.stderr)
