"""When a run keeps what its frozen layers compute: opening, checking and dropping the caches of its splits."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ftkit.tasks import Batch
from ftkit.training import processes
from ftkit.training.cache import PrefixCache, choose_cut, default_budget
from ftkit.training.entry_cache import EntryCache

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession


class FeatureCaches:
    """The caches of a session, one per split; empty while none pays.

    Attributes:
        caches: "train" and "valid", or nothing.
        refused: Why this run can have no cache, once that has shown.
    """

    def __init__(self, session: TrainSession) -> None:
        # Weakly: a session that held itself in a circle would stay in memory until Python looks for circles.
        self.session: TrainSession = weakref.proxy(session)
        self.caches: dict[str, PrefixCache] = {}
        self.refused = ""

    @property
    def cut(self) -> int:
        """How many groups are stepped over now."""
        return self.caches["train"].cut if "train" in self.caches else 0

    def plan(self) -> None:
        """Keep the cache if the plan still freezes what it holds, else make one if it pays in the epochs to come."""
        s = self.session
        prefixes = [s.layers.frozen_prefix(s.plan_of(epoch)) for epoch in range(s.epoch, s.settings.epochs)]
        if self.cut and self.cut <= prefixes[0]:
            return
        self.drop()
        cut = choose_cut(prefixes)
        if self.refused or not cut or s.settings.cache == "off":
            return
        chance = "packing" if getattr(s.task, "packing", False) else "augmentation"
        reason = f"{chance} makes every epoch differ" if s.task.random else (
            "its task runs the layers more than once for an example" if not s.task.cacheable else
            "several processes share the data" if processes.count() > 1 else "")
        if not reason:
            self._open(cut)
        elif s.epoch == 0:
            s.history.note(f"feature cache off: {reason}")

    def around(self, split: str, indices: Sequence[int], batch: Batch) -> AbstractContextManager[Batch]:
        """The context of a forward pass: through the cache if there is one; gives the batch to run on."""
        cache = self.caches.get(split)
        if cache is not None and cache.has(indices) and not cache.proven:
            task, net = self.session.task, self.session.net
            cache.prove(lambda known: task.counted(task.forward(net, known), known), indices, batch)
        if cache is not None and cache.refused:
            self.refused = cache.refused
            self.session.history.note(f"feature cache off: {cache.refused}")
            self.drop()
            cache = None
        if cache is None:
            return _plain(batch)
        return cache.serve(indices, batch) if cache.has(indices) else cache.catch(indices, batch)

    def drop(self) -> None:
        """Free all of them."""
        for cache in self.caches.values():
            cache.close()
        self.caches.clear()

    def _open(self, cut: int) -> None:
        s = self.session
        budget = default_budget() if s.settings.cache_budget is None else s.settings.cache_budget
        tokens = s.train.lengths.sum() + s.valid.lengths.sum()
        kind = EntryCache if s.task.modality == "audio" else PrefixCache
        for name, split in (("train", s.train), ("valid", s.valid)):  # one budget, shared by size
            self.caches[name] = kind(s.net, s.layers, cut, split.lengths,
                                     budget=int(budget * split.lengths.sum() / tokens),
                                     first_token=s.model.reads_first_token, width=s.task.width)
        s.history.note(f"feature cache: {cut} frozen groups are computed once per example", cut=cut)


@contextlib.contextmanager
def _plain(batch: Batch) -> Iterator[Batch]:
    yield batch
