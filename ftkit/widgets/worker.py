"""A thread that trains: commands from outside only leave wishes, and the thread ends when none is left."""

from __future__ import annotations

import atexit
import logging
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable

from ftkit.errors import FtkitError, UserError
from ftkit.training import TrainSession
from ftkit.training.cpu import release_threads

Job = Callable[[], None]
log = logging.getLogger(__name__)


class Worker:
    """Trains a session, and does other work on it between two steps; one thing after another.

    Args:
        session: Nobody else may train it.
        before: Called in the training thread before it begins to train.
        after: Called there when training rests.
        changed: Called when the status has changed, from any thread.

    Attributes:
        status: "ready", "running", "paused", "stopping", "stopped", "finished" or "failed".
        message: Why it failed, in words; else "".
        goal: Train up to this step, or, if `relative`, so many steps from the next boundary; None: do not train.
        held: The goal of a run that was paused.
    """

    def __init__(self, session: TrainSession, before: Job, after: Job, changed: Job) -> None:
        self.session, self.before, self.after, self.changed = session, before, after, changed
        session.control.saves = False  # checkpoints are the student's own here, and a stop must be quick
        self.lock = threading.RLock()
        self.rest = threading.Condition(self.lock)
        self.status, self.message = "ready", ""
        self.goal: float | None = None
        self.relative = False
        self.held: float | None = None
        self.asked = ""  # how training is to end at the next boundary: "paused" or "stopped"
        self.jobs: deque[Job] = deque()
        self.thread: threading.Thread | None = None
        _ALL.add(self)

    # --- wishes, from any thread ------------------------------------------------------------------------------------

    def train(self, steps: int | None) -> None:
        """Train so many steps in the thread; None goes on with what was paused, else to the end."""
        with self.lock:
            self._aim(steps)
            self._wake()
        self.changed()

    def hold(self, how: str) -> None:
        """End training before the next step: "paused" or "stopped"."""
        with self.lock:
            if self.goal is not None:
                self.asked = how
                self.status = "stopping" if how == "stopped" else self.status
                self.session.control.stop("stopped")
            elif how == "stopped" and self.status == "paused":
                self.status, self.held = how, None
        self.changed()

    def do(self, job: Job) -> None:
        """Do this between two steps, in the thread; training goes on afterwards."""
        with self.lock:
            self.jobs.append(job)
            if self.goal is not None:
                self.session.control.stop("stopped")  # the loop below sees that the goal is not reached, and goes on
            self._wake()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is nothing left to do; False if that took longer than `timeout` seconds."""
        with self.rest:
            if self.thread is threading.current_thread():
                return False  # asked by an observer: it would wait for itself
            return self.rest.wait_for(lambda: self.thread is None, timeout)

    def train_here(self, steps: int | None) -> None:
        """The same as `train`, in this thread and until it is done; what training raises is raised."""
        with self.rest:
            if self.goal is not None:
                raise UserError("It is running. Pause or stop it first.")
            self.rest.wait_for(lambda: self.thread is None)
            self._aim(steps)
            self.thread = threading.current_thread()
        self.changed()
        try:
            self._loop(raising=True)
        finally:  # Ctrl-C pressed twice breaks off at once: the next run must find everything in order
            with self.rest:
                if self.goal is not None:
                    self.goal, self.status, self.message = None, "stopped", "Interrupted."
                self.thread = None
                self.rest.notify_all()
            self.changed()

    def is_last(self, step: int) -> bool:
        """Whether training will rest after this step, as far as is known."""
        goal = math.inf if self.goal is None or self.relative else self.goal
        return bool(self.asked) or step >= min(goal, self.session.total_steps)

    def rewound(self) -> None:
        """The session was brought to another step, by a job."""
        with self.lock:
            self.held = None
            if self.goal is None:
                self.status, self.message = "paused" if self.session.step_count else "ready", ""

    def _aim(self, steps: int | None) -> None:
        goal = float(steps) if steps is not None else self.held or math.inf
        if self.goal is not None:
            self.session.control.stop("stopped")  # it trains towards another goal: the loop below takes this one over
        else:
            self.session.control.go_on()
        self.goal, self.relative, self.held = goal, steps is not None, None
        self.asked, self.message, self.status = "", "", "running"

    def _wake(self) -> None:
        if self.thread is None:
            release_threads()  # of the caller, who will hardly compute meanwhile
            self.thread = threading.Thread(target=self._loop, name="ftkit-experiment", daemon=True)
            self.thread.start()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _loop(self, raising: bool = False) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:
                self._failed(error)
                if raising:
                    raise
            self.changed()

    def _next(self) -> Job | None:
        with self.rest:
            if self.jobs:
                return self.jobs.popleft()
            if self.goal is not None:
                return self._train
            self.thread = None
            self.rest.notify_all()
            return None

    def _train(self) -> None:
        session, interrupted = self.session, False
        self.before()
        with self.lock:
            if self.relative and self.goal is not None:
                self.goal, self.relative = self.goal + session.step_count, False
            goal = self.goal
        if goal is not None and not self.asked and not self.jobs:
            session.run(None if goal == math.inf else max(0, int(goal) - session.step_count))
            interrupted = session.history.status == "interrupted"
        with self.lock:
            reached = self.goal is not None and not self.relative and session.step_count >= self.goal
            how = "finished" if session.done else "stopped" if interrupted else self.asked or "paused" * reached
            if not how:
                return  # another wish came in between: training goes on after it
            self.held = self.goal if how == "paused" and not reached and not self.relative else None
            self.goal, self.relative, self.status, self.asked = None, False, how, ""
            self.message = "Interrupted." if interrupted else ""
        self.after()

    def _failed(self, error: Exception) -> None:
        """The weights are as before the step: the student can change the plan and go on."""
        if not isinstance(error, FtkitError):
            log.error("An experiment failed.", exc_info=error)
        with self.lock:
            self.goal, self.relative, self.asked, self.status = None, False, "", "failed"
            self.message = str(error) if isinstance(error, FtkitError) else f"{type(error).__name__}: {error}"


_ALL: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Let running threads come to a step's end: torch must not be torn down under them."""
    running = [(worker, thread) for worker in list(_ALL) if (thread := worker.thread) is not None]
    for worker, _ in running:
        worker.jobs.clear()
        worker.hold("stopped")
    for _, thread in running:
        if thread is not threading.current_thread():
            thread.join(5)
