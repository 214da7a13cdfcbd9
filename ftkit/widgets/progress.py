"""The panel that `ft.fit` shows in a notebook: a bar with the time left, the curves as they grow, and a Stop button.

It reads the run and changes nothing in it. The page is drawn at most 5 times a second, in the thread that trains,
between two steps; when the run ends, the panel gives way to a plain picture that a saved notebook keeps. A kernel that
is busy training may not hear the Stop button (ipykernel 7.1 does, 7.4 does not); the page then interrupts it, and the
session ends the run as cleanly.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ftkit.widgets.markup import button, tag
from ftkit.widgets.progress_svg import Chart, Trail, charts, image, live
from ftkit.widgets.progress_words import duration, ending
from ftkit.widgets.small_panel import SmallPanel

if TYPE_CHECKING:
    from ftkit.training import TrainSession

PAUSE = 0.2  # seconds between two drawings


class RunPanel(SmallPanel):
    """The progress of one run.

    Args:
        session: The run that is shown; `stop` ends it after the step it is in.
        clock: Seconds that only grow.
    """

    title = "Training"
    commands = ("stop",)

    def __init__(self, session: TrainSession, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.session, self.clock = session, clock
        self.trail = Trail(session.total_steps)
        for row in session.history.steps:  # of a run that is resumed
            self.trail.add(row["step"], row["loss"])
        self.began = self.drawn = clock()
        self.pace: deque[tuple[float, int]] = deque([(self.began, session.step_count)], maxlen=30)  # (when, step)
        self.ended = False

    # --- what fit calls ---------------------------------------------------------------------------------------------

    def step(self, row: dict[str, Any]) -> None:
        """Note a step, and draw if the last drawing is long enough ago."""
        self.trail.add(row["step"], row["loss"])
        now = self.clock()
        if now - self.drawn >= PAUSE:
            self._draw(now)

    def epoch(self, row: dict[str, Any]) -> None:
        """Draw, and say how the epoch ended: the only thing that is spoken while a run goes."""
        score = f", validation accuracy {row['accuracy']:.3f}" if "accuracy" in row else ""
        self.say = f"Epoch {row['epoch'] + 1}: training loss {row['train_loss']:.3f}{score}."
        now = self.clock()
        if now - self.drawn >= PAUSE:  # epochs may be quicker than that, too
            self._draw(now)

    def close(self) -> None:
        """The run has ended, or broke off."""
        self.ended = True
        self._draw(self.clock())

    def _draw(self, now: float) -> None:
        self.drawn = now
        self.pace.append((now, self.session.step_count))
        self.changed(self.say)

    # --- what the page calls ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run after this step; safe from any thread."""
        self.session.stop()
        self.changed("Stopping after this step. The model will be usable, and a checkpoint is written.")

    # --- rendering --------------------------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the last drawings; None before the first step."""
        (then, first), (now, last) = self.pace[0], self.pace[-1]
        return None if last == first else (now - then) / (last - first) * (self.session.total_steps - last)

    def regions(self) -> dict[str, str]:
        """Bar, curves and button; the button is never redrawn, or a click could fall between two buttons."""
        halt = button("Stop", "stop", "stop", data_interrupt=True)
        return {"bar": self._bar(), "curves": live(self._charts()),
                "stop": f'<div class="ft-line">{halt}<span class="ft-quiet">leaves a usable model and a checkpoint'
                        "</span></div>"}

    def _bar(self) -> str:
        session = self.session
        rows, left = session.history.epochs, self.seconds_left
        facts = [f"step {session.step_count} of {session.total_steps}",
                 f"epoch {min(session.epoch + 1, session.settings.epochs)} of {session.settings.epochs}"]
        if session.history.steps:
            facts.append(f"loss {session.history.steps[-1]['loss']:.3f}")
        if rows and "accuracy" in rows[-1]:
            facts.append(f"accuracy {rows[-1]['accuracy']:.3f}")
        facts.append("the first step is under way" if left is None else f"{duration(left)} left")
        bar = tag("progress", max=session.total_steps, value=session.step_count, aria_label="Steps done")
        return f'{bar}<p class="ft-facts">{" · ".join(facts)}</p>'

    def _charts(self) -> list[Chart]:
        session = self.session
        return charts(session.history, self.trail, session.step_count if self.ended else session.total_steps)

    def _text(self) -> str:
        session = self.session
        if not self.ended:
            return f"Training: step {session.step_count} of {session.total_steps}"
        return ending(session.history, session.step_count, session.total_steps, self.drawn - self.began)

    def _html(self) -> str:
        return (f'<div style="color:inherit">{tag("p", self._text(), style="margin:4px 0")}'
                f"{image(self._charts())}</div>")

    def refresh_static(self) -> None:
        """Nothing: the panel's one output is replaced at the end (see `show_run`)."""


class ShownRun:
    """A RunPanel in a notebook's output, until the run ends."""

    def __init__(self, session: TrainSession) -> None:
        from IPython.display import DisplayHandle

        self.run = RunPanel(session)
        self.step, self.epoch = self.run.step, self.run.epoch
        live: Any = self.run.panel._repr_mimebundle_() or {}
        data = live[0] if isinstance(live, tuple) else live
        self.handle = DisplayHandle()  # type: ignore[no-untyped-call]
        self.handle.display({**data, "text/plain": "Training"}, raw=True)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Leave the sentence and the curves in place of the panel: they need no kernel."""
        self.run.close()
        self.handle.update(self.run.static_bundle(), raw=True)  # type: ignore[no-untyped-call]
        self.run.panel.close()


def show_run(session: TrainSession) -> ShownRun:
    """Show the panel in the notebook that is running; an error here means that it cannot be shown."""
    return ShownRun(session)
