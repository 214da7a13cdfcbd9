"""Tells listeners that there is something new, without wearing them out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Bell:
    """Calls its listeners.

    Args:
        least: Seconds between two calls of `tick`.
        clock: Gives seconds.

    Attributes:
        listeners: Functions without arguments. What they raise is logged: training must not end because a view failed.
    """

    def __init__(self, least: float = 0.2, clock: Callable[[], float] = time.monotonic) -> None:
        self.least, self.clock, self.last = least, clock, -math.inf
        self.listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Call them now."""
        self.last = self.clock()
        for listener in list(self.listeners):
            try:
                listener()
            except Exception as error:
                log.error("A listener of an experiment failed.", exc_info=error)

    def tick(self) -> None:
        """Call them if enough time has passed since the last call."""
        if self.clock() - self.last >= self.least:
            self.ring()
