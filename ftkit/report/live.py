"""Facts per layer group while a run is open: gradient, drift, the optimizer's memory, and what the audit would say.

Looking changes nothing: a run that is looked at gives the same losses, bit for bit, as one that is not. It takes time,
though, so it happens only when `Pace` says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ftkit.machine import memory_available
from ftkit.report.auditing import ratio
from ftkit.report.watching import FrozenWatch
from ftkit.strategies import Plan
from ftkit.training import TrainSession
from ftkit.training.weights import StartRecord

PIECE = 2**22  # numbers that are compared at a time: 16 MiB beside the weights
SHARE = 8  # of the free memory, one part in so many may hold first weights


@dataclass(frozen=True)
class GroupFacts:
    """What was measured of one layer group.

    Args:
        grad_norm: L2 norm of its gradients, before clipping; None if it has none.
        drift: |w - w0| / |w0| over the parameters that have trained; 0 if none has, None if it is not finite.
        optimizer_bytes: What the optimizer keeps for it.
        warnings: What the audit would say about it.
    """

    grad_norm: float | None = None
    drift: float | None = 0.0
    optimizer_bytes: int = 0
    warnings: tuple[str, ...] = ()


class Pace:
    """When to look: at most five times a second, and for at most a fiftieth of the time.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, least: float = 0.2, share: float = 0.02) -> None:
        self.clock, self.least, self.share = clock, least, share
        self.next = -math.inf

    def due(self) -> bool:
        """Whether it is time again."""
        return self.clock() >= self.next

    def took(self, seconds: float) -> None:
        """A look is over, and took so long."""
        self.next = self.clock() + max(self.least, seconds / self.share)


class LiveFacts:
    """Measures the groups of an open session; to be called from the thread that trains.

    Args:
        session: Before its first step.

    Attributes:
        rows: One GroupFacts per group, as last measured. The list is replaced, never changed.

    Lesson 01.
    """

    def __init__(self, session: TrainSession) -> None:
        self.session, self.layers = session, session.layers
        self.parameters = dict(session.net.named_parameters())
        self.origin = Origin(session.history.start)
        self.watch = FrozenWatch(session)
        self.rows = [GroupFacts() for _ in self.layers]
        self.norms: list[float | None] = [None] * len(self.layers)
        self.drifts: list[float | None] = [0.0] * len(self.layers)
        self.moving: set[int] = set()  # groups that have trained since their drift was measured

    def begin(self, plan: Plan, fresh: bool = False) -> None:
        """Another plan holds from the next optimizer step on.

        Args:
            plan: What it trains.
            fresh: The weights were replaced, by those of a checkpoint.
        """
        self.watch.begin(plan, fresh)
        if fresh:
            self.norms = [None] * len(self.layers)
            self.moving = set(range(len(self.layers)))
        self.moving |= {i for i, group in enumerate(self.layers) if any(plan.get(n, 0.0) > 0 for n in group.parameters)}

    @torch.no_grad()
    def look_at_gradients(self) -> None:
        """Measure gradient norms: between backward and the optimizer's step."""
        gradients = [[p.grad for p in map(self.parameters.__getitem__, group.parameters) if p.grad is not None]
                     for group in self.layers]
        flat = [gradient for members in gradients for gradient in members]
        squares = iter(torch.stack(torch._foreach_norm(flat)).double().square().tolist()) if flat else iter(())
        sums = [sum(next(squares) for _ in members) if members else None for members in gradients]
        self.norms = [None if total is None else _finite(math.sqrt(total)) for total in sums]

    def look_at_weights(self, plan: Plan, thorough: bool = False) -> None:
        """Measure drift and the optimizer's memory, and look for what moves although it is frozen: between two steps.

        Args:
            plan: By which the last step was made.
            thorough: Compare all frozen groups with what they were, not just one.
        """
        for i in self.moving:
            self.drifts[i] = _finite(self._drift(i))
        self.moving = {i for i, group in enumerate(self.layers) if any(plan.get(n, 0.0) > 0 for n in group.parameters)}
        self.watch.look(plan, thorough)
        held = {p: sum(t.nbytes for t in memory.values() if isinstance(t, Tensor))
                for p, memory in self.session.optimizer.state.items()}
        self.rows = [GroupFacts(self.norms[i], self.drifts[i],
                                sum(held.get(self.parameters[name], 0) for name in group.parameters),
                                tuple(self.watch.warnings[i])) for i, group in enumerate(self.layers)]

    @torch.no_grad()
    def _drift(self, i: int) -> float:
        """As the audit has it: only over what was to train at some time."""
        names = [name for name in self.layers.groups[i].parameters if name in self.session.history.start.planned]
        now = [self.parameters[name].detach() for name in names]
        return ratio(distances(now, self.origin.of(names, now)))


class Origin:
    """The weights that a run began with, read from the disk each time.

    On a CPU that is as quick as to look at them, and 39 MB for bert-mini that need not be held. An accelerator keeps
    them as far as they take little of what is free: they would have to travel to it.

    Args:
        start: The record on disk.
        free: Gives the bytes of memory that are free.
    """

    def __init__(self, start: StartRecord, free: Callable[[], int] = memory_available) -> None:
        self.start, self.free = start, free
        self.kept: dict[str, Tensor] = {}

    def of(self, names: Sequence[str], like: Sequence[Tensor]) -> list[Tensor]:
        """The first weights of these parameters, on the devices of `like`."""
        devices = {name: tensor.device for name, tensor in zip(names, like, strict=True) if name not in self.kept}
        read = {name: tensor.to(devices[name]) for name, tensor in self.start.values(devices).items()}
        away = {name: tensor for name, tensor in read.items() if tensor.device.type != "cpu"}
        if sum(tensor.nbytes for tensor in away.values()) * SHARE <= self.free():
            self.kept |= away
        return [read[name] if name in read else self.kept[name] for name in names]


def distances(now: Sequence[Tensor], start: Sequence[Tensor]) -> Iterator[tuple[float, float]]:
    """(|w - w0|, |w0|) of tensors, piece by piece: a table of word vectors would else be copied whole."""
    for left, right in zip(_portions(now), _portions(start), strict=True):
        apart = torch.stack(torch._foreach_norm(torch._foreach_sub(left, right)))
        size = torch.stack(torch._foreach_norm(right))
        yield from zip(apart.double().tolist(), size.double().tolist(), strict=True)


def _portions(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Lists of flat tensors with at most PIECE numbers together; alike for tensors of like shapes."""
    portion: list[Tensor] = []
    for tensor in tensors:
        # Not view: a convolution's weights may lie in memory channels-last. Reshaping copies those, a small part.
        for piece in tensor.reshape(-1).split(PIECE):
            if portion and sum(map(torch.numel, portion)) + piece.numel() > PIECE:
                yield portion
                portion = []
            portion.append(piece)
    if portion:
        yield portion


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
