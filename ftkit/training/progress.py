"""What one sees of a run while it goes: a live panel in a notebook, a tqdm bar elsewhere. Neither can break the run."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from ftkit.errors import check_name
from ftkit.training import processes

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession

Row = dict[str, Any]


class Display(Protocol):
    """Something that shows a run. It may read the session, and stop it, but changes nothing else."""

    def step(self, row: Row) -> None:
        """After each step."""

    def epoch(self, row: Row) -> None:
        """After each epoch."""

    def close(self) -> None:
        """At the end, also if the run broke off."""


@contextlib.contextmanager
def showing(session: TrainSession, progress: bool | str | None) -> Iterator[None]:
    """Show a run while it goes.

    Args:
        session: The run; its observers are called as well.
        progress: True or False; None shows it on a terminal and in a notebook; "bar" shows a bar in a notebook too.
    """
    display = _choose(session, progress)
    if display is None:
        yield
        return
    shown = _Shown(session, display)
    try:
        yield
    finally:
        shown.close()


@contextlib.contextmanager
def counting(total: int, what: str, progress: bool | None, done: int = 0) -> Iterator[Callable[..., None]]:
    """A bar for a loop that is no session, such as PPO's.

    Args:
        total: Steps in all.
        what: A word before the bar.
        progress: True or False; None shows it on a terminal and in a notebook.
        done: Steps that are over already.

    Gives a function to call after each step, with numbers to show by their names.
    """
    from tqdm import tqdm

    wanted = processes.is_main() and (_watched() if progress is None else progress)
    with tqdm(total=total, initial=done, unit="step", leave=False, desc=what, dynamic_ncols=True,
              disable=not wanted) as bar:
        def after_step(**numbers: float) -> None:
            bar.set_postfix({name: f"{value:.3f}" for name, value in numbers.items()}, refresh=False)
            bar.update()

        yield after_step


def _watched() -> bool:
    """Whether somebody looks on: at a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _choose(session: TrainSession, progress: bool | str | None) -> Display | None:
    if isinstance(progress, str):
        check_name("progress display", progress, ("bar",), "Or True, False, None.")
    if not processes.is_main() or progress is False:
        return None
    if progress is None and not _watched():
        return None
    return (None if progress == "bar" else notebook_panel(session)) or Bar(session)


def notebook_panel(session: TrainSession) -> Display | None:
    """The panel of ftkit.widgets, if this is a notebook's kernel and the panel can be shown."""
    ipython = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return None
    try:
        from ftkit.widgets.progress import show_run  # beside History.plot the only place that reaches up

        return show_run(session)
    except Exception as error:  # no anywidget, or a front end that cannot show it
        _tell(error)
        return None


class _Shown:
    """Passes rows on to a display and to the session's own observers; a panel that fails gives way to the bar."""

    def __init__(self, session: TrainSession, display: Display) -> None:
        self.session = session
        self.display: Display | None = display
        self.then_step, self.then_epoch = session.on_step, session.on_epoch
        session.on_step, session.on_epoch = self.step, self.epoch

    def step(self, row: Row) -> None:
        self._call("step", row)
        if self.then_step:
            self.then_step(row)

    def epoch(self, row: Row) -> None:
        self._call("epoch", row)
        if self.then_epoch:
            self.then_epoch(row)

    def close(self) -> None:
        self.session.on_step, self.session.on_epoch = self.then_step, self.then_epoch
        self._call("close")

    def _call(self, name: str, *row: Row) -> None:
        try:
            if self.display is not None:
                getattr(self.display, name)(*row)
        except Exception as error:
            _tell(error)
            again = name != "close" and not isinstance(self.display, Bar)
            self.display = Bar(self.session) if again else None


def _tell(error: Exception) -> None:
    """Warn, also where warnings are errors: those who train want the run."""
    with contextlib.suppress(UserWarning):
        warnings.warn(f"The display of the run's progress failed ({type(error).__name__}: {error}). The run itself is "
                      "not touched and goes on.", stacklevel=2)


class Bar:
    """A tqdm bar over all steps, with the loss and the last validation accuracy."""

    def __init__(self, session: TrainSession) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(total=session.total_steps, initial=session.step_count, unit="step", leave=False,
                        desc="training", dynamic_ncols=True)
        self.shown: dict[str, str] = {}

    def step(self, row: Row) -> None:
        self.shown["loss"] = f"{row['loss']:.3f}"
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update()

    def epoch(self, row: Row) -> None:
        if "accuracy" in row:
            self.shown["valid acc"] = f"{row['accuracy']:.3f}"

    def close(self) -> None:
        self.bar.close()
