"""Weights set aside on disk during a run: those it began with (for the audit) and the best so far (to return to)."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ftkit.disk import disk_errors
from ftkit.errors import UserError

_TEMPORARY = "It holds temporary files: free space there, or set TMPDIR to a folder on another disk."


def tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, a tied weight once (by identity: two zero biases are equal but not the same)."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def checksum(tensor: Tensor) -> int:
    flat = tensor.detach().cpu().contiguous().view(-1)
    return zlib.crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0


class WeightFile:
    """Some tensors of a network in a temporary file, which goes when this object goes.

    Raises:
        DiskError: The folder for temporary files is full or cannot be written.
    """

    def __init__(self) -> None:
        with disk_errors(Path("A folder for temporary files"), _TEMPORARY):
            self.folder = Path(tempfile.mkdtemp(prefix="ftkit-weights-"))
        self.file = self.folder / "weights.safetensors"
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.folder, True)

    def save(self, net: nn.Module, names: Iterable[str]) -> None:
        """Keep these parameters or buffers, in place of what was kept before."""
        tensors = tensors_of(net)
        self._write({name: tensors[name].detach().cpu().contiguous() for name in names})

    def add(self, net: nn.Module, names: Iterable[str]) -> None:
        """Keep these as well, as they are now; nothing happens if nothing is kept yet."""
        names = list(names)
        if names and self.file.is_file():
            tensors = tensors_of(net)
            self._write({**load_file(self.file), **{n: tensors[n].detach().cpu().contiguous() for n in names}})

    def _write(self, tensors: dict[str, Tensor]) -> None:
        fresh = self.file.with_suffix(".new")
        with disk_errors(self.folder, _TEMPORARY):
            save_file(tensors, fresh)
            fresh.replace(self.file)

    def restore(self, net: nn.Module) -> None:
        """Put what is kept back into the network."""
        fill(tensors_of(net), load_file(self.file))


def fill(tensors: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Put values into tensors of the same names, in place."""
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)


class StartRecord:
    """The weights that a run began with: a checksum of each tensor, and the values of those that may train.

    Args:
        net: The network before the first step.
        trainable: Names of all parameters that the plan trains in some epoch.
    """

    def __init__(self, net: nn.Module, trainable: Iterable[str]) -> None:
        self.checksums = {name: checksum(tensor) for name, tensor in tensors_of(net).items()}
        self.kept = WeightFile()
        self.names = list(trainable)
        self.planned: set[str] = set()  # what was to train by the plans that have held so far
        self.kept.save(net, self.names)

    def add(self, net: nn.Module, names: set[str]) -> None:
        """A plan that came later may train these too: to be called before it does."""
        fresh = sorted(names - set(self.names))
        self.kept.add(net, fresh)
        self.names += fresh

    def values(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The first weights of parameters that may train, read from the disk."""
        with safe_open(self.kept.file, "pt") as file:
            return {name: file.get_tensor(name) for name in names}

    @contextlib.contextmanager
    def back_in(self, net: nn.Module) -> Iterator[None]:
        """The network with its first weights, inside the context; then it is again what it was.

        Raises:
            UserError: It is not the network that the record is of.
        """
        tensors = tensors_of(net)
        if not tensors.keys() >= set(self.names):
            raise UserError("The weights that training began with do not fit this network any more: its adapters were "
                            "merged, or its head was replaced. Set model.reference to the model that it began from.")
        now = {name: tensors[name].detach().clone() for name in self.names}
        fill(tensors, self.values(self.names))
        try:
            yield
        finally:
            fill(tensors, now)

    def moved(self, net: nn.Module) -> dict[str, bool]:
        """For each parameter and buffer whether a single bit of it has changed."""
        return {name: checksum(tensor) != self.checksums.get(name) for name, tensor in tensors_of(net).items()}

    def distances(self, net: nn.Module) -> dict[str, tuple[float, float]]:
        """For each parameter that may train (|w - w0|, |w0|), 2-norms: drift is their ratio, for any set of them."""
        tensors, result = tensors_of(net), {}
        with safe_open(self.kept.file, "pt") as file:
            for name in self.names:
                start, now = file.get_tensor(name), tensors[name].detach().cpu()
                result[name] = ((now - start).norm().item(), start.norm().item())
        return result
