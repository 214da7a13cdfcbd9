"""Looks on while a session trains, in the thread that trains, and writes down what there is to see."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from ftkit.machine import memory_available, memory_limit
from ftkit.report.flow import gradient_flow, group_states
from ftkit.report.live import LiveFacts, Pace
from ftkit.report.probing import activation_bytes, full_step_seconds
from ftkit.strategies import Plan
from ftkit.training import TrainSession
from ftkit.widgets.branches import Branch, Frame
from ftkit.widgets.plans import changes
from ftkit.widgets.switches import Switches

MIB = 2**20
STEPS = 20  # the time of a step is the median of so many
SETTLED = 3  # steps by one plan before its cost is called known: the first one is slower than the others
REMEMBERED = 64  # plans whose activations are known


class Watcher:
    """The observer of one session.

    Args:
        session: Before its first step.
        switches: Say what will train.
        branch: Where to write.
        is_last: Whether training rests after a step: that one is always measured.
        told: Called after each step.
    """

    def __init__(self, session: TrainSession, switches: Switches, branch: Branch, is_last: Callable[[int], bool],
                 told: Callable[[], None]) -> None:
        self.session, self.switches, self.branch, self.is_last, self.told = session, switches, branch, is_last, told
        self.layers, self.sizes = session.layers, session.layers.sizes
        self.facts, self.pace, self.limit = LiveFacts(session), Pace(), memory_limit()
        self.times: list[float] = []  # seconds of the last steps by the plan of now; replaced, never changed
        self.full_seconds: float | None = None
        self.full_measured, self.looking, self.spent, self.cached = False, False, 0.0, 0
        self.activations: dict[frozenset[str], list[int]] = {}
        self.measured: Plan = {}
        self.row: dict[str, Any] = {}
        self.override, self.plan = session.override, switches.now()
        self.everything = trains_all(self.plan)
        self.facts.begin(self.plan)
        session.on_gradients, session.on_step, session.on_epoch = self._gradients, self._step, self._epoch

    # --- while it trains --------------------------------------------------------------------------------------------

    def _gradients(self, step: int) -> None:
        """Between backward and the optimizer's step."""
        began = time.perf_counter()
        if self.session.override is not self.override:
            self.override = self.session.override
            self.branch.applied.append((step - 1, self.override))
        if self.session.plan is not self.plan:
            self._another_plan(step - 1, self.session.plan)
        self.looking = self.pace.due() or self.is_last(step)
        if self.looking:
            self.facts.look_at_gradients()
        self.spent = time.perf_counter() - began

    def _another_plan(self, step: int, plan: Plan) -> None:
        if plan != self.plan:
            self.branch.events += [(step, text) for text in changes(self.layers, self.plan, plan)]
            self.facts.begin(plan)
            self.times = []
        self.plan, self.everything = plan, trains_all(plan)

    def _step(self, row: dict[str, Any]) -> None:
        """After the optimizer's step."""
        began = time.perf_counter()
        self.row, self.cached = row, self.session.cut
        self.times = [*self.times[1 - STEPS :], row["seconds"] - self.spent]
        if self.everything and not self.cached and len(self.times) >= SETTLED:
            self.full_seconds, self.full_measured = median(self.times), True  # better than any measurement on the side
        self.branch.train.append((row["step"], row["loss"]))
        if self.looking:
            self.facts.look_at_weights(self.plan)
            self.branch.keep(self.frame(self.plan, self.plan))
            self.pace.took(self.spent + time.perf_counter() - began)
        self.measure_activations(self.plan)
        self.told()

    def _epoch(self, row: dict[str, Any]) -> None:
        if "valid_loss" in row:
            self.branch.valid.append((self.session.step_count, row["valid_loss"], row.get("accuracy")))
        self.told()

    # --- while it rests ---------------------------------------------------------------------------------------------

    def begin(self, branch: Branch) -> None:
        """Go on with another branch: the session was brought to where it begins."""
        steps = self.session.history.steps
        self.branch, self.row = branch, steps[-1] if steps else {}
        self.override, self.plan = self.session.override, self.switches.now()
        self.everything = trains_all(self.plan)
        if self.override is not None:
            branch.applied.append((branch.from_step, self.override))
        self.times = []
        self.facts.begin(self.plan, fresh=True)
        self.settle()

    def settle(self) -> None:
        """Measure everything once more, now that nothing moves, and record it."""
        self.cached = self.session.cut
        self.facts.look_at_weights(self.plan, thorough=True)
        self.measure_activations(self.switches.wanted())
        self.branch.keep(self.frame(self.plan, self.plan))

    def measure_activations(self, plan: Plan) -> None:
        """What each group would keep for the backward pass; at most once per plan."""
        if plan is self.measured:
            return
        self.measured, key = plan, _trained(plan)
        if key not in self.activations:
            if len(self.activations) >= REMEMBERED:
                self.activations.pop(next(iter(self.activations)))
            self.activations[key] = activation_bytes(self.session, plan)

    def measure_full_step(self, going_on: Callable[[], bool]) -> None:
        """How long a step of full fine-tuning takes; at most once, and not if that is what comes next."""
        if not self.full_measured and not trains_all(self.switches.wanted()):
            self.full_seconds = full_step_seconds(self.session, going_on)
            self.full_measured = going_on()

    # --- what there is to see ---------------------------------------------------------------------------------------

    def live(self) -> Frame:
        """The state of now, with the switches as they are for the next step."""
        return self.frame(self.switches.now(), self.switches.wanted())

    def frame(self, now: Plan, wanted: Plan) -> Frame:
        """The state of now, for any thread: it computes nothing but words and sums.

        Args:
            now: By which it trains.
            wanted: By which it will, from the next step on.
        """
        session, row = self.session, self.row
        left = session.total_steps - row["step"] if row else session.total_steps
        spent = sum(step["seconds"] for step in list(session.history.steps))
        step_ms = 1e3 * median(self.times) if self.times else None
        return {"step": row["step"] if row else 0, "epoch": session.epoch, "lr": row.get("lr"), "loss": row.get("loss"),
                "seconds": spent, "seconds_left": None if step_ms is None else left * step_ms / 1e3,
                "header": self._header(wanted, step_ms), "groups": self._rows(now, wanted)}

    def _header(self, wanted: Plan, step_ms: float | None) -> dict[str, Any]:
        trainable = sum(self.sizes[name] for name, scale in wanted.items() if scale > 0)
        full_ms = None if self.full_seconds is None else 1e3 * self.full_seconds
        return {"trainable": trainable, "share": trainable / sum(self.sizes.values()), "step_ms": step_ms,
                "full_step_ms": full_ms, "cost": step_ms / full_ms if step_ms and full_ms else None,
                "memory_mb": (self.limit - memory_available()) / MIB, "memory_limit_mb": self.limit / MIB,
                "cached_groups": self.cached}

    def _rows(self, now: Plan, wanted: Plan) -> list[dict[str, Any]]:
        states, soon = group_states(self.layers, now), group_states(self.layers, wanted)
        flow = gradient_flow(self.layers, wanted)
        kept, facts = self.activations.get(_trained(wanted)), self.facts.rows
        rows = []
        for i, group in enumerate(self.layers):
            scale = max((now.get(n, 0.0) for n in group.parameters), default=0.0) or self.switches.scale(group.name)
            pending = None if soon[i] == states[i] else "frozen" if soon[i] == "frozen" else "trains"
            rows.append({"name": group.name, "parameters": sum(self.sizes[name] for name in group.parameters),
                         "state": states[i], "pending": pending, "scale": scale, "grad_norm": facts[i].grad_norm,
                         "drift": facts[i].drift, "optimizer_bytes": facts[i].optimizer_bytes,
                         "activation_bytes": kept[i] if kept else None, "gradient": flow[i],
                         "warnings": list(facts[i].warnings)})
        return rows


def trains_all(plan: Plan) -> bool:
    """Whether a plan is that of full fine-tuning, at whatever rates."""
    return all(scale > 0 for scale in plan.values())


def _trained(plan: Plan) -> frozenset[str]:
    return frozenset(name for name, scale in plan.items() if scale > 0)
