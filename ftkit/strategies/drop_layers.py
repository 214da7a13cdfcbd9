"""Fewer layers: the top blocks of a pretrained network are dropped before it is fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.adapting import check_inner
from ftkit.strategies.base import Plan, Strategy


@dataclass(frozen=True)
class DropLayers(Strategy):
    """Drop the last k blocks, then train as `inner` says: a smaller and faster network, which is saved as such.

    The last blocks are the nearest to the old task, and the first ones hold what is general.

    Args:
        k: How many blocks go.
        inner: How to train what is left, such as "full" or "last_k:k=1".

    Written: "drop_layers:k=2". Source: "top-layer dropping", Sajjad et al. 2020, "On the Effect of Dropping Layers of
    Pre-trained Transformer Models". Lesson 08.
    """

    k: int = 1
    inner: str | Strategy = "full"

    name: ClassVar[str] = "drop_layers"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise UserError(f"k counts blocks: a whole number of at least 1, not {self.k!r}.")
        check_inner(self.inner, "drop_layers")

    def adapt(self, model: Any) -> None:
        """Remove the blocks; a model that has lost as many to this strategy already stays as it is.

        Raises:
            UserError: No block would be left, the model has lost another number, or its blocks do not hand on what
                they were given in the same shape.
        """
        if model.dropped == self.k:
            return
        if model.dropped:
            raise UserError(f"This model has lost its last {model.dropped} blocks already; drop_layers:k={self.k} "
                            "means another number. Load the backbone anew.")
        stack = _stack(model)
        if self.k >= len(stack):
            raise UserError(f"drop_layers:k={self.k}, but this model has {len(stack)} blocks: none would be left.")
        del stack[len(stack) - self.k :]
        _shorten(model.net.config, len(stack) + self.k, len(stack))
        model.dropped = self.k
        model.remap()

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """That of `inner`."""
        from ftkit.strategies import make_strategy

        return make_strategy(self.inner).plan(layers, epoch)

    def source(self, model: Any) -> list[str]:
        """What `adapt` does, as lines of Python over `net`."""
        name = _stack_name(model)
        return [f"del net.{name}[{len(_stack(model))}:]",
                f"net.config.num_hidden_layers = {len(_stack(model))}"]


def _stack_name(model: Any) -> str:
    """The list that holds the blocks and nothing else, by its dotted name."""
    paths = [group.modules[0].rpartition(".")[0] for group in model.layers.blocks]
    net, name = model.net, paths[0]
    held = net.get_submodule(name) if len(set(paths)) == 1 else None
    count = getattr(getattr(net, "config", None), "num_hidden_layers", None)
    if not isinstance(held, nn.ModuleList) or len(held) != len(paths) or count != len(paths):
        raise UserError(f"drop_layers needs one stack of blocks that all have the same width, as BERT, GPT-2, ViT and "
                        f"Wav2Vec2 have it; {type(net).__name__} has none. To train fewer layers: last_k.")
    return name


def _stack(model: Any) -> nn.ModuleList:
    stack: nn.ModuleList = model.net.get_submodule(_stack_name(model))
    return stack


def _shorten(config: Any, before: int, after: int) -> None:
    """Tell the configuration, by which the saved network is built again."""
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == before and "layer" in key:  # the kind of each layer
            setattr(config, key, value[:after])
    config.num_hidden_layers = after
