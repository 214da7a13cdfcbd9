"""Notices while a run is open what moves although it is frozen: the audit, a little at a time."""

from __future__ import annotations

from torch import Tensor

from ftkit.report.auditing import batch_norms, contradictions, moved_norms, statistics_moved
from ftkit.strategies import Plan
from ftkit.training import TrainSession
from ftkit.training.weights import checksum


class FrozenWatch:
    """What is wrong with each group, as the audit would say it at the end.

    A checksum of everything would take too long to be made five times a second. So each look takes one group, in turn;
    a thorough look takes them all.

    Args:
        session: Before its first step.

    Attributes:
        warnings: For each group what is wrong with it, in words.
    """

    def __init__(self, session: TrainSession) -> None:
        self.session, self.layers = session, session.layers
        self.parameters = dict(session.net.named_parameters())
        self.tensors: dict[str, Tensor] = {**self.parameters, **dict(session.net.named_buffers())}
        self.norms = [batch_norms(session.net, group.modules) for group in self.layers]
        self.warnings: list[list[str]] = [[] for _ in self.layers]
        self.trained: set[str] = set()  # what may differ from the first weights, for it trained at some time
        self.known: list[dict[str, int]] = [{} for _ in self.layers]  # checksums of what is frozen now
        self.found: list[dict[str, bool]] = [{} for _ in self.layers]
        self.turn = 0

    def begin(self, plan: Plan, fresh: bool = False) -> None:
        """Another plan holds from now on: remember what it freezes as it is.

        Args:
            plan: Before its first step.
            fresh: The weights were replaced, by those of a checkpoint.
        """
        if fresh:
            self.known = [{} for _ in self.layers]
            self.trained |= set(self.session.history.start.names) | {n for norms in self.norms for n in self._of(norms)}
        first = self.session.history.start.checksums
        for i, group in enumerate(self.layers):
            frozen = self._frozen(i, plan)
            trains = {*group.parameters, *self._of(self.norms[i])} - set(frozen)
            self.known[i] = {name: self.known[i].get(name) or
                             (checksum(self.tensors[name]) if name in self.trained else first[name])
                             for name in frozen}
            self.trained |= trains
            before = {} if fresh else self.found[i]
            self.found[i] = {name: before[name] for name in frozen if name in before}

    def look(self, plan: Plan, thorough: bool = False) -> None:
        """Compare what is frozen with what it was; one group, or all of them."""
        held = {id(p) for group in self.session.optimizer.param_groups for p in group["params"]}
        count = len(self.layers)
        due = range(count) if thorough else [self._next()]
        for i in due:
            self.found[i] = {name: checksum(self.tensors[name]) != known for name, known in self.known[i].items()}
        for i, group in enumerate(self.layers):
            planned = {name for name in group.parameters if plan.get(name, 0.0) > 0}
            moved = dict.fromkeys(planned, True) | {n: self.found[i].get(n, False) for n in self.known[i]}
            words = contradictions(group.parameters, planned, moved, self.parameters, held)
            if norms := moved_norms(self.session.net, self.norms[i], moved) if any(self.found[i].values()) else []:
                words.append(statistics_moved(norms))
            self.warnings[i] = words

    def _next(self) -> int:
        """The next group that holds anything frozen."""
        for _ in self.layers:
            self.turn = (self.turn + 1) % len(self.layers)
            if self.known[self.turn]:
                break
        return self.turn

    def _frozen(self, i: int, plan: Plan) -> list[str]:
        """The parameters of a group that a plan freezes, and the statistics of BatchNorm layers that must rest."""
        group = self.layers.groups[i]
        still = [name for name in group.parameters if not plan.get(name, 0.0) > 0]
        whole = len(still) == len(group.parameters)
        resting = [norm for norm in self.norms[i] if whole or f"{norm}.weight" in still]
        return [*still, *self._of(resting)]

    def _of(self, norms: list[str]) -> list[str]:
        names = [f"{norm}.{buffer}" for norm in norms for buffer in ("running_mean", "running_var")]
        return [name for name in names if name in self.tensors]
