"""The live playground: an anywidget that shows an experiment's snapshots and passes its commands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ftkit.widgets.panel import Panel, Throttle

SCRIPTS = ("common.js", "layers.js", "curves.js", "controls.js", "playground.js")
STYLES = ("common.css", "playground.css")


class PlaygroundView(Panel):
    """The panel of one experiment.

    Args:
        experiment: An Experiment or a Recording: anything with `snapshot()`, and perhaps `on_change`.
        answer: Called with each command of the page; must be quick.
        rested: Called, in a thread of its own, when the run has come to rest and the page has been told.
    """

    scripts: ClassVar[tuple[str, ...]] = SCRIPTS
    styles: ClassVar[tuple[str, ...]] = STYLES

    def __init__(self, experiment: Any, answer: Callable[[str, dict[str, Any]], Any],
                 rested: Callable[[], None]) -> None:
        super().__init__(answer, state=experiment.snapshot())
        self._experiment = experiment
        self._rest = Throttle(rested, per_second=0.5)
        experiment.on_change.append(Throttle(self._send_state).poke)

    def _send_state(self) -> None:
        self.state = self._experiment.snapshot()
        if self.state["status"] not in ("running", "stopping"):
            self._rest.poke()
