"""The switches of the playground: from "thaw block 3" to a plan for the session."""

from __future__ import annotations

import contextlib
import math
from numbers import Real
from typing import Any

from ftkit.errors import UserError, check_name
from ftkit.layers import Group
from ftkit.report.flow import group_states
from ftkit.strategies import Full, Plan
from ftkit.training import Settings, TrainSession
from ftkit.widgets.presets import read_plan


class Switches:
    """What the student wants to train, on top of what trains now.

    Args:
        session: Whose plans are meant. Nothing here touches its weights: plans wait for the next step boundary.
        own_rate: Whether the learning rate was chosen by the student.

    Attributes:
        body: The scale at which a group other than the head is thawed. ftkit's default rate for a head alone is ten
            times that for a whole BERT. A head that trains at the high one must not drag the body along at that pace.
    """

    def __init__(self, session: TrainSession, own_rate: bool) -> None:
        self.session, self.layers = session, session.layers
        whole = Settings().filled(session.model, [Full().plan(self.layers, 0)]).lr or 0.0
        self.body = 1.0 if own_rate else round(min(1.0, whole / (session.settings.lr or whole)), 6)
        self.chosen: dict[str, float] = {}  # scales that were set by hand

    def now(self) -> Plan:
        """By which the next step trains if nothing is changed."""
        return self.session.plan_of(self.session.epoch)

    def wanted(self) -> Plan:
        """By which the next step will train."""
        with contextlib.suppress(IndexError):  # the thread that trains may take it over at this moment
            plans = self.session.control.pending[-1]
            plans = self.session.plans if plans is None else plans
            return plans if isinstance(plans, dict) else plans[min(self.session.epoch, len(plans) - 1)]
        return self.now()

    def scale(self, group: str) -> float:
        """At which a frozen group would train."""
        return self.chosen.get(group, 1.0 if group == self.layers.names[-1] else self.body)

    def toggle(self, name: str) -> None:
        """Thaw a group that is frozen or trains in part; freeze one that trains."""
        group = self._group(name)
        now = group_states(self.layers, self.wanted())[self.layers.names.index(name)]
        self._set(group, 0.0 if now == "trains" else self.scale(name))

    def set_group(self, name: str, state: str) -> None:
        """Thaw or freeze a group."""
        check_name("state", state, ("trains", "frozen"))
        self._set(self._group(name), self.scale(name) if state == "trains" else 0.0)

    def set_scale(self, name: str, value: Any) -> None:
        """Train a group at this share of the learning rate, now or when it is thawed."""
        group = self._group(name)
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
            raise UserError(f"The scale of {name} must be a number above 0, not {value!r}. To train it not at all, "
                            "freeze it.")
        self.chosen[name] = float(value)
        plan = self.wanted()
        training = {n: float(value) for n in group.parameters if plan.get(n, 0.0) > 0}
        if training:
            self.session.apply(plan | training)

    def set_plan(self, what: Any, k: int | None = None) -> str:
        """Train by a preset, a strategy or scales: see `read_plan`. Returns what it is called."""
        plans, label = read_plan(self.session, what, self.body, k)
        self.session.apply(plans)
        return label

    def _group(self, name: Any) -> Group:
        group = self.layers[name]
        if not group.parameters:
            raise UserError(f"{name} has no parameters: there is nothing to train or to freeze.")
        return group

    def _set(self, group: Group, scale: float) -> None:
        self.session.apply(self.wanted() | dict.fromkeys(group.parameters, scale))
