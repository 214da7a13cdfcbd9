"""The frozen-prefix cache: what frozen layers compute never changes, so compute it once per example.

While the plan keeps the first groups of the map frozen, their output for each training example is the same in every
epoch. In the first epoch it is caught on its way; from then on the frozen layers are stepped over and only the layers
above them run. Head-only training then costs almost nothing. The idea is as old as transfer learning (features once,
classifier often); doing it inside the loop keeps every line of the lesson the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.disk import disk_errors
from ftkit.errors import DiskError
from ftkit.layers import LayerMap
from ftkit.machine import memory_available
from ftkit.tasks import Batch

DEFAULT_BUDGET = 512 * 2**20


def default_budget() -> int:
    """Bytes of memory that a cache may take before it goes to disk: 512 MiB, or a quarter of what is free."""
    return min(DEFAULT_BUDGET, memory_available() // 4)


def choose_cut(prefixes: Sequence[int]) -> int:
    """How many groups to step over, given the frozen prefix of this epoch and of those to come.

    A short prefix that stays frozen for long can save more than a long one that is thawed soon: each epoch after the
    first saves about as many groups as are stepped over. 0 means that a cache would not pay.
    """
    best, best_saving = 0, 0
    for cut in {p for p in prefixes if 0 < p <= prefixes[0]}:
        epochs = next((i for i, prefix in enumerate(prefixes) if prefix < cut), len(prefixes))
        if cut * (epochs - 1) > best_saving:
            best, best_saving = cut, cut * (epochs - 1)
    return best


def _tokens(batch: Batch) -> int | None:
    """Tokens of a padded batch of texts."""
    return batch["input_ids"].shape[1] if "input_ids" in batch else None


class PrefixCache:
    """The output of the first `cut` groups for each example of one split.

    Args:
        net: The network.
        layers: Its map.
        cut: How many groups are stepped over.
        lengths: Tokens per example (N,); rows are kept without padding, and padded again for each batch.
        first_token: Keep only the first token: for heads that look at nothing else, when only the head trains.
        budget: Bytes in memory; a larger cache lies in a temporary file.
        width: Tokens of a padded batch: see `Task.width`.
    """

    def __init__(self, net: nn.Module, layers: LayerMap, cut: int, lengths: np.ndarray, *, first_token: bool = False,
                 budget: int | None = None, width: Callable[[Batch], int | None] | None = None) -> None:
        self.net, self.cut, self.lengths = net, cut, lengths
        self.width = width or _tokens
        self.first_token = first_token and cut == len(layers) - 1
        self.budget = default_budget() if budget is None else budget
        self.modules = [path for group in layers.groups[:cut] for path in group.modules]
        self.last = list(layers.groups[cut - 1].modules)
        self.filled = np.zeros(len(lengths), dtype=bool)
        self.on_disk = False
        self.refused = ""  # why this network or disk cannot have a cache; nothing is kept then
        self.proven = False
        self._tuples: dict[str, int] = {}  # modules that answer with a tuple, and its length
        self._beside: set[str] = set()  # modules that answer for no example, such as a table of positions: left to run
        self._store: Tensor | None = None
        self._shape: tuple[int, ...] = ()
        self._folder: Path | None = None

    @property
    def nbytes(self) -> int:
        """Size of what is kept, in bytes."""
        return 0 if self._store is None else self._store.numel() * self._store.element_size()

    def has(self, indices: Sequence[int]) -> bool:
        """Whether all these examples are known."""
        return not self.refused and bool(self.filled[list(indices)].all())

    @contextlib.contextmanager
    def catch(self, indices: Sequence[int], batch: Batch) -> Iterator[Batch]:
        """Run the whole network inside; what leaves the frozen prefix is kept for these examples."""
        seen: list[Tensor] = []

        def hook_for(path: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                first = output[0] if isinstance(output, tuple) else output
                if isinstance(output, tuple):
                    self._tuples[path] = len(output)
                if not isinstance(first, Tensor) or first.shape[:1] != (len(indices),):
                    self._beside.add(path)
                elif path in self.last:  # the module that runs last has the final word
                    seen[:] = [first]
            return hook

        handles = [self.net.get_submodule(path).register_forward_hook(hook_for(path)) for path in self.modules]
        try:
            yield batch
        finally:
            for handle in handles:
                handle.remove()
        self.take(indices, seen, batch)

    def take(self, indices: Sequence[int], seen: list[Tensor], batch: Batch) -> None:
        """Keep what was seen on its way out of the prefix, unless that cannot be right."""
        if not seen:
            self.refused = "the frozen layers of this architecture give no output of their own"
        elif seen[0].requires_grad:  # a position table shared by all blocks, say: the prefix would change with it
            self.refused = "a layer that trains feeds the frozen ones"
        elif not self.refused:
            self._keep(indices, seen[0].detach(), batch)

    @contextlib.contextmanager
    def serve(self, indices: Sequence[int], batch: Batch) -> Iterator[Batch]:
        """Run the network inside with the frozen prefix stepped over: each of its modules answers with what is kept."""
        hidden = self.known(indices, batch)
        if self.first_token:
            batch = {key: v[:, :1] if key in {"input_ids", "attention_mask"} else v for key, v in batch.items()}
        paths = [path for path in self.modules if path not in self._beside]
        patched = [self.net.get_submodule(path) for path in paths]
        for path, module in zip(paths, patched, strict=True):
            answer: Any = (hidden, *[None] * (self._tuples[path] - 1)) if path in self._tuples else hidden
            module.forward = lambda *args, _answer=answer, **kwargs: _answer  # type: ignore[method-assign]
        try:
            yield batch
        finally:
            for module in patched:
                del module.forward  # the class's own method shows again

    def known(self, indices: Sequence[int], batch: Batch) -> Tensor:
        """What is kept for these examples, padded as this batch is."""
        hidden = self._rows(indices).to(next(iter(batch.values())).device)
        if not self._by_token:
            return hidden
        return nn.functional.pad(hidden, (0, 0, 0, (self.width(batch) or 0) - hidden.shape[1]))

    def prove(self, forward: Callable[[Batch], Tensor], indices: Sequence[int], batch: Batch) -> None:
        """Check once, on a batch that is known, that stepping over the prefix changes nothing; else refuse.

        Any model of the hub may come along, and some mix their layers in ways that no map shows. The difference allowed
        is that of the number format: texts are padded to other lengths now than when they were kept.

        Args:
            forward: Logits (B, C) of a batch.
            indices: Examples whose output is kept.
            batch: The same examples, collated.
        """
        modes = {module: module.training for module in self.net.modules()}
        self.net.eval()
        try:
            with torch.no_grad():
                whole = forward(batch)
                with self.serve(indices, batch) as short:
                    stepped = forward(short)
            exact = whole.dtype == torch.float32  # under bf16 autocast a norm still gives float32, the head does not
            allowed = (1e-3 if exact else 5e-2) * (1 + whole.abs().max())
            self.proven = bool((whole - stepped).abs().max() <= allowed)
        except Exception:  # whatever an architecture makes of answers that it does not expect
            self.proven = False
        finally:
            for module, mode in modes.items():
                module.training = mode
        if not self.proven:
            self.refused = "the layers of this architecture cannot be stepped over"

    def close(self) -> None:
        """Free the memory and the temporary file."""
        self._store = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, indices: Sequence[int], hidden: Tensor, batch: Batch) -> None:
        tokens = self.width(batch)
        if self.first_token:
            hidden = hidden[:, :1]
        by_token = tokens is not None and hidden.dim() == 3 and not self.first_token
        if by_token and hidden.shape[1] != tokens:
            self.refused = "this architecture changes the number of tokens on the way"
            return
        if self._store is None:
            try:
                self._allocate(hidden, by_token)
            except DiskError as error:  # a run must not end because it cannot be made faster
                self.refused = str(error)
                return
        assert self._store is not None
        if tuple(hidden.shape[2 if by_token else 1 :]) != self._shape:
            self.refused = "the frozen layers of this architecture answer in a shape that varies"
            return
        for i, row in zip(indices, hidden, strict=True):
            start, stop = self._offsets[i], self._offsets[i + 1]
            self._store[start:stop] = row[: stop - start] if by_token else row.reshape(stop - start, -1)
        self.filled[list(indices)] = True

    def _allocate(self, hidden: Tensor, by_token: bool) -> None:
        rows = self.lengths if by_token else np.ones(len(self.lengths), dtype=int)
        self._shape = tuple(hidden.shape[2:]) if by_token else tuple(hidden.shape[1:])
        self._offsets = np.concatenate([[0], np.cumsum(rows)])
        self._by_token = by_token
        width = int(np.prod(self._shape))
        total = int(self._offsets[-1]) * width
        if total * hidden.element_size() <= self.budget:
            self._store = torch.empty(total, dtype=hidden.dtype).view(-1, width)
            return
        self._folder = Path(tempfile.mkdtemp(prefix="ftkit-cache-"))
        weakref.finalize(self, shutil.rmtree, self._folder, True)  # also after an error in the middle of an epoch
        needed, free = total * hidden.element_size(), shutil.disk_usage(self._folder).free
        if needed > 0.9 * free:
            raise DiskError(f"The feature cache needs {needed / 1e6:.0f} MB and {self._folder.parent} has "
                            f"{free / 1e6:.0f} MB free. Set TMPDIR to a larger disk, or use cache='off'.")
        self.on_disk = True
        file = str(self._folder / "prefix.bin")
        with disk_errors(self._folder, "Set TMPDIR to a larger disk, or use cache='off'."):
            if hasattr(os, "posix_fallocate"):  # else a disk that fills up later would kill the process without a word
                with open(file, "wb") as reserved:
                    os.posix_fallocate(reserved.fileno(), 0, needed)
            self._store = torch.from_file(file, shared=True, size=total, dtype=hidden.dtype).view(-1, width)

    def _rows(self, indices: Sequence[int]) -> Tensor:
        assert self._store is not None
        if not self._by_token:
            return self._store[torch.as_tensor(list(indices))].view(len(indices), *self._shape)
        rows = [self._store[self._offsets[i] : self._offsets[i + 1]] for i in indices]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True)
