"""The reference: the network as it was, which preference tuning must not leave too far behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from torch import Tensor, nn


class Reference:
    """A network as it is now, to be asked later, when it has changed.

    It keeps a copy of the weights that train and changes places with them. For LoRA these are few numbers, and
    asking the reference is the same as switching the adapters off; where everything trains it is a second network.

    Args:
        net: As training begins.
        trains: Names of the parameters that will change.
    """

    def __init__(self, net: nn.Module, trains: Iterable[str]) -> None:
        parameters = dict(net.named_parameters())
        self.net = net
        self.kept: dict[nn.Parameter, Tensor] = {parameters[name]: parameters[name].detach().clone() for name in trains}

    @property
    def nbytes(self) -> int:
        """Size of the copy."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.kept.values())

    @contextlib.contextmanager
    def ready(self) -> Iterator[nn.Module]:
        """The network as it was, inside the context; nothing may be learned there."""
        self._swap()
        try:
            yield self.net
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, other in self.kept.items():
            parameter.data, self.kept[parameter] = other, parameter.data
