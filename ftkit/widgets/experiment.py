"""Experiment: the playground without its view. Commands come in, snapshots go out, training has a thread of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import Any

from ftkit.backbones import Model
from ftkit.errors import UserError, check_name
from ftkit.strategies import Strategy, make_strategy
from ftkit.training import TrainSession
from ftkit.widgets.bell import Bell
from ftkit.widgets.branches import Branch, letters
from ftkit.widgets.code import write_code
from ftkit.widgets.prediction import Question, ask, truth
from ftkit.widgets.presets import PRESETS
from ftkit.widgets.snapshots import export_of, snapshot_of
from ftkit.widgets.switches import Switches
from ftkit.widgets.timeline import Timeline
from ftkit.widgets.watcher import Watcher
from ftkit.widgets.worker import Worker

COMMANDS = ("toggle", "set_group", "scale", "preset", "apply", "step", "run", "pause", "stop", "ask", "guess",
            "checkpoint", "branch", "scrub")


class Experiment:
    """A run to play with: freeze and thaw while it trains, guess, go back, and try another way.

    Every command answers at once. It leaves a wish, which the training thread fulfils at the next step boundary. How
    fast that is changes nothing: the same seed and the same switches at the same steps give the same losses, bit for
    bit.

    Args:
        model: From `load_backbone`. It is trained in place: pause before you evaluate it elsewhere.
        data: From `load_data`.
        strategy: What trains at first: a name such as "last_k:k=2", or a Strategy.
        epochs: The length of the run.
        seed: Of batches, dropout and augmentation.
        settings: As for `fit`.

    Attributes:
        on_change: Functions to call, from any thread, when `snapshot()` would say something new: after each command,
            and while it trains at most five times a second.

    Raises:
        UserError: As `TrainSession`.

    Lesson 04.
    """

    def __init__(self, model: Model, data: Any, strategy: str | Strategy = "probe", *, epochs: int = 10, seed: int = 0,
                 **settings: Any) -> None:
        self.strategy = steady(strategy)
        # Not back to the best epoch at the end: what is shown then must be what the run came to.
        self.settings = {"keep_best": False, **settings, "epochs": epochs, "seed": seed}
        self.session = TrainSession(model, data, self.strategy, **self.settings)
        self.bell = Bell()
        self.on_change = self.bell.listeners
        self.question: Question | None = None
        name = strategy if isinstance(strategy, str) else self.strategy.name
        first = Branch(letters(0), {"probe": PRESETS["head"], "full": PRESETS["all"]}.get(name, name))
        self.switches = Switches(self.session, settings.get("lr") is not None)
        self.worker = Worker(self.session, self._before, self._after, self._changed)
        self.watcher = Watcher(self.session, self.switches, first, self.worker.is_last, self._stepped)
        self.watcher.settle()
        self.timeline = Timeline(self.session, self.switches, self.worker, self.watcher)

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Do what the method of this name does: the one entry for a front end.

        Raises:
            UserError: An unknown command, an unknown argument, or a value that makes no sense.
        """
        method = getattr(self, check_name("command", name, COMMANDS))
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            wanted = ", ".join(inspect.signature(method).parameters) or "no arguments"
            raise UserError(f"{name}: {error}. It takes {wanted}.") from None
        return method(**arguments)

    # --- what trains ------------------------------------------------------------------------------------------------

    def toggle(self, group: str) -> None:
        """Freeze a group that trains, thaw one that does not."""
        self._steer(lambda: self.switches.toggle(group))

    def set_group(self, group: str, state: str) -> None:
        """Make a group "trains" or "frozen"."""
        self._steer(lambda: self.switches.set_group(group, state))

    def scale(self, group: str, value: float) -> None:
        """Train a group at this share of the learning rate, now or when it is thawed."""
        self._steer(lambda: self.switches.set_scale(group, value))

    def preset(self, name: str, k: int | None = None) -> None:
        """Train by a ready-made plan: see PRESETS; k counts the blocks of "last_k"."""
        check_name("preset", name, PRESETS)
        self._steer(lambda: self.switches.set_plan(name, k))

    def apply(self, plan: Any) -> None:
        """Train by a plan: a preset, a strategy such as "last_k:k=2", scales by group, or a list of those by epoch."""
        self._steer(lambda: self.switches.set_plan(plan))

    # --- training ---------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it trains, or is about to."""
        return self.worker.goal is not None

    def step(self, count: int = 1) -> None:
        """Train so many steps."""
        self._begin(count)
        self.worker.train(count)

    def run(self, steps: int | None = None) -> None:
        """Train so many steps; None goes on to where a paused run was to end, else to the end."""
        self._begin(steps)
        self.worker.train(steps)

    def pause(self) -> None:
        """Hold before the next step; `run` goes on."""
        self.worker.hold("paused")

    def stop(self) -> None:
        """End before the next step."""
        self.worker.hold("stopped")

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is left to do; False if that took longer than `timeout` seconds."""
        return self.worker.wait(timeout)

    def train(self, plan: Any = None, steps: int | None = None) -> dict[str, Any]:
        """Train here and now, without the thread.

        Args:
            plan: What `apply` takes; None leaves it as it is.
            steps: How many; None as in `run`.

        Returns:
            The snapshot afterwards.

        Raises:
            UserError: It is running, or the plan makes no sense.
            TrainingDiverged: The status is then "failed", and the weights are as before the step.
            MemoryLimit: Likewise.
        """
        if self.running:
            raise UserError("It is running. Pause or stop it first.")
        self._begin(steps)
        self.worker.wait()  # for a branch, say
        if plan is not None:
            self.switches.set_plan(plan)
        self.worker.train_here(steps)
        return self.snapshot()

    # --- predict, then reveal ---------------------------------------------------------------------------------------

    def ask(self, question: str) -> None:
        """Ask for a guess: the "accuracy" at the end, the "cost" of a step, or the "trainable" share."""
        if question == "accuracy" and self.session.done:
            raise UserError("The run is over, and its accuracy is known. Ask before training, or after a branch.")
        self.question = ask(question, self.session.step_count)
        self._changed()

    def guess(self, value: float) -> None:
        """Answer the question, in per cent; the truth is shown as soon as it is known."""
        if self.question is None:
            raise UserError("There is no question to answer: ask('accuracy') or ask('cost') first.")
        self.question = self.question.guessed(value)
        self._changed()

    # --- back, and elsewhere ----------------------------------------------------------------------------------------

    def checkpoint(self, label: str | None = None) -> str:
        """Remember this moment, to branch from; returns its id."""
        return self.timeline.checkpoint(label)

    def branch(self, checkpoint_id: str, preset_or_plan: Any = None) -> None:
        """Go back to a checkpoint, and on by another plan; the curves so far stay as a branch of their own.

        With `cache="off"` and the same plan the losses are the same again, bit for bit.
        """
        self.timeline.branch(checkpoint_id, preset_or_plan)

    def scrub(self, step: int | None = None) -> None:
        """Show the recorded state nearest to a step; None shows how it is now."""
        self.timeline.scrub(step)
        self._changed()

    # --- what there is to see ---------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that a view shows, JSON-able; it no longer changes. See `snapshot_of`."""
        return snapshot_of(self)

    def export(self) -> dict[str, Any]:
        """The whole run as plain data, which `Recording.from_export` replays without the model."""
        return export_of(self)

    def code(self) -> dict[str, str]:
        """The run so far, or before its first step the run to come, in plain PyTorch ("torch") and with "ftkit"."""
        return write_code(self)

    # --- the parts call these ---------------------------------------------------------------------------------------

    def _steer(self, change: Callable[[], Any]) -> None:
        with self.worker.lock:  # two switches at once: the second must see what the first one did
            self.timeline.after_return(change)
            self.timeline.showing = None
        if not self.running:  # show what the new plan would keep of activations: one forward pass, in the thread
            self.worker.do(lambda: self.watcher.measure_activations(self.switches.wanted()))
        self._changed()

    def _begin(self, steps: Any) -> None:
        if steps is not None and (not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1):
            raise UserError(f"How many steps? A whole number of at least 1, not {steps!r}.")
        if self.session.done and not self.timeline.returning:  # a branch that waits opens the run again
            raise UserError("This run has come to its end. Go on from a checkpoint, such as branch('start').")
        self.timeline.showing = None

    def _before(self) -> None:
        self.watcher.measure_full_step(lambda: not self.worker.asked)

    def _after(self) -> None:
        self.watcher.settle()

    def _stepped(self) -> None:
        self._reveal()
        self.bell.tick()

    def _changed(self) -> None:
        self._reveal()
        self.bell.ring()

    def _reveal(self) -> None:
        if self.question is not None and self.question.guess is not None and self.question.answer is None:
            over = self.worker.status in ("finished", "stopped")
            self.question = self.question.revealed(truth(self.question, self.watcher, over))


def steady(strategy: str | Strategy) -> Strategy:
    """The strategy with a learning rate that stays, once it is warmed up, unless the caller says how it is to fall.

    Plans change at will here. Were the rate to fall all the while, a layer that is thawed late would hardly move, and
    what looks like an effect of freezing would be one of the schedule. A Strategy object is taken as it is: it says
    itself how its rate falls.
    """
    chosen = make_strategy(strategy)
    return replace(chosen, decay="constant") if isinstance(strategy, str) and "decay=" not in strategy else chosen
