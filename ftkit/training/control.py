"""Steering a run from outside: pause, stop, Ctrl-C, and which random numbers a step sees."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ftkit.strategies import Plan
from ftkit.training import processes


class Control:
    """The switches of a session; safe to use from any thread.

    Attributes:
        pending: Plans to apply at the next step boundary: the last one counts.
        stopped: "" or why the run was ended: "stopped", "interrupted".
        out: Folder for checkpoints, or None.
        saves: Whether a stop leaves a checkpoint on disk.
    """

    def __init__(self) -> None:
        self.pending: deque[Plan | list[Plan] | None] = deque()
        self.stopped = ""
        self.out: Path | None = None
        self.saves = True
        self._going = threading.Event()
        self._going.set()

    def pause(self) -> None:
        """Hold the run."""
        self._going.clear()

    def go_on(self) -> None:
        """Let it go on; also after a stop."""
        self.stopped = ""
        self._going.set()

    def stop(self, why: str) -> None:
        """End the run at the next step boundary."""
        self.stopped = why
        self._going.set()

    def take_stop(self) -> str:
        """Why the run is to end, "" if it is not. Taken once: the next run starts afresh."""
        why, self.stopped = self.stopped, ""
        return why

    def wait(self) -> bool:
        """Block while paused; True if the run is to end."""
        while not self._going.wait(0.1):  # woken now and then, so that Ctrl-C gets through
            if self.stopped:
                break
        return bool(self.stopped)

    @contextlib.contextmanager
    def catching_interrupts(self) -> Iterator[None]:
        """Turn the first Ctrl-C into a stop between two steps; the second one breaks off at once.

        Only the main thread may do this; elsewhere it does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handler(*_: Any) -> None:
            if self.stopped == "interrupted":
                self.stopped = ""
                raise KeyboardInterrupt
            self.stop("interrupted")

        before = signal.signal(signal.SIGINT, handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def checkpoint_folder(self, name: str) -> Path:
        """`out`/checkpoint, or a folder of this run in ftkit's own cache (FTKIT_HOME, else ~/.cache/ftkit)."""
        if self.out:
            return self.out / "checkpoint"
        home = Path(os.environ.get("FTKIT_HOME", "~/.cache/ftkit")).expanduser()
        return home / "interrupted" / "".join(c if c.isalnum() or c in "-._" else "-" for c in name)[-80:]


@contextlib.contextmanager
def seeded(seed: int, step: int) -> Iterator[None]:
    """Dropout and augmentation by seed and step alone: a run that was paused or resumed sees the same numbers.

    The random state outside is put back.
    """
    on_gpu = torch.cuda.is_initialized()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        number = (seed * 1_000_003 + step) * 1_009 + processes.state().process_index
        # Before a GPU is in use, torch.manual_seed would queue a call for it, with a stack trace, in every step.
        (torch.manual_seed if on_gpu else torch.default_generator.manual_seed)(number)
        outside = np.random.get_state()
        np.random.seed(number % 2**32)  # transformers masks stretches of sound by NumPy's global numbers
        try:
            yield
        finally:
            np.random.set_state(outside)
