"""The frozen-prefix cache of speech networks: it keeps what *enters* the first layer that trains.

A BERT hands each layer's output to the next, so what leaves the frozen prefix is what enters the rest. A Wav2Vec2
works between its layers: it turns the frames around, counts them, and adds positions. So here the input of the first
layer above the prefix is kept. The frozen modules answer with zeros of the right shape, which nobody reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ftkit.tasks import Batch
from ftkit.training.cache import PrefixCache


class Shape:
    """The shape of a module's output in terms of the batch: which axis counts the frames.

    Two axes may have the same size by chance; then later batches tell which of them it is.
    """

    def __init__(self, seen: Tensor, frames: int) -> None:
        self.sizes, self.dtype = tuple(seen.shape), seen.dtype
        self.axes = {axis for axis, size in enumerate(seen.shape) if axis and size == frames}

    def learn(self, seen: Tensor, frames: int) -> None:
        """Strike out the axes that do not follow the frames."""
        self.axes &= Shape(seen, frames).axes

    def zeros(self, examples: int, frames: int, device: torch.device) -> Tensor:
        """An answer of this shape for another batch."""
        sizes = [frames if axis in self.axes else size for axis, size in enumerate(self.sizes)]
        return torch.zeros(examples, *sizes[1:], dtype=self.dtype, device=device)


class EntryCache(PrefixCache):
    """Like PrefixCache, for networks that compute between their layers. Lesson 05."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        known = {name for name, _ in self.net.named_modules()}  # a layout may name single parameters too
        self.modules = [path for path in self.modules if path in known]
        self._doors = [path for path in args[1].groups[self.cut].modules if path in known]
        self._door = ""
        self._shapes: dict[str, list[Shape]] = {}

    @contextlib.contextmanager
    def catch(self, indices: Sequence[int], batch: Batch) -> Iterator[Batch]:
        """Run the whole network inside; what enters the first layer above the prefix is kept for these examples."""
        seen: list[Tensor] = []
        frames = self.width(batch) or 0

        def door(path: str) -> Any:
            def hook(module: nn.Module, args: Any) -> None:
                if not seen and args and isinstance(args[0], Tensor):
                    # A copy: a head may overwrite what it is given (transformers zeroes padding in place).
                    seen.append(args[0].clone())
                    self._door = path
            return hook

        def passed(path: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                self._learn(path, output, frames)
            return hook

        handles = [self.net.get_submodule(path).register_forward_pre_hook(door(path)) for path in self._doors]
        handles += [self.net.get_submodule(path).register_forward_hook(passed(path)) for path in self.modules]
        try:
            yield batch
        finally:
            for handle in handles:
                handle.remove()
        self.take(indices, seen, batch)

    @contextlib.contextmanager
    def serve(self, indices: Sequence[int], batch: Batch) -> Iterator[Batch]:
        """Run the network inside: frozen modules answer with zeros, and the door is handed what is kept."""
        hidden = self.known(indices, batch)
        frames = self.width(batch) or 0
        patched = [(self.net.get_submodule(path), shapes) for path, shapes in self._shapes.items()]
        for module, shapes in patched:
            answers = tuple(shape.zeros(len(indices), frames, hidden.device) for shape in shapes)
            answer: Any = answers if len(answers) > 1 else answers[0]
            module.forward = lambda *args, _answer=answer, **kwargs: _answer  # type: ignore[method-assign]
        handle = self.net.get_submodule(self._door).register_forward_pre_hook(lambda _, args: (hidden, *args[1:]))
        try:
            yield batch
        finally:
            handle.remove()
            for module, _ in patched:
                del module.forward

    def _learn(self, path: str, output: Any, frames: int) -> None:
        tensors = [part for part in (output if isinstance(output, tuple) else (output,)) if isinstance(part, Tensor)]
        if path not in self._shapes:
            self._shapes[path] = [Shape(part, frames) for part in tensors]
            return
        for shape, part in zip(self._shapes[path], tensors, strict=True):
            shape.learn(part, frames)
