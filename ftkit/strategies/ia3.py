"""(IA)³: one factor for each channel, and only the factors train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.adapting import (
    adapters_of,
    by_inner,
    check_inner,
    chosen_blocks,
    in_attention,
    insert,
    is_transposed,
    matrices,
)
from ftkit.strategies.base import Plan, Strategy
from ftkit.strategies.lora import peft_lines

_KEYS_AND_VALUES = ("key", "value", "k_proj", "v_proj", "k_lin", "v_lin", "c_attn", "query_key_value", "qkv")


@dataclass(frozen=True)
class IA3(Strategy):
    """Multiply keys, values and what is inside the MLP by learned factors, one per channel. The head trains too.

    peft does the work (`IA3Config`). All factors begin at 1, so the network begins as it was. Where keys and values
    come out of one matrix (GPT-2), its queries get factors as well. In a ResNet or VGG, what each convolution gives is
    multiplied.

    Args:
        last: In the last so many blocks; 0 is all.
        inner: Says when the factors of which group train, such as "gradual".

    Written: "ia3:last=2". Source: Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than
    In-Context Learning". Lesson 08.
    """

    last: int = 0
    inner: str | Strategy = "full"

    name: ClassVar[str] = "ia3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.last, int) or isinstance(self.last, bool) or self.last < 0:
            raise UserError(f"last must be a whole number of at least 0, not {self.last!r}.")
        check_inner(self.inner, "ia3")

    def config(self, model: Any) -> Any:
        """The peft configuration for this model; raises UserError if nothing in it fits."""
        from peft import IA3Config

        outputs, inputs = [], []
        for group in chosen_blocks(model.layers, self.last, "ia3"):
            found = matrices(model.net, group)
            attention = [name for name in found if in_attention(name)]
            others = [name for name in found if name not in attention]
            if attention:
                outputs += [name for name in attention if name.rpartition(".")[2] in _KEYS_AND_VALUES]
                inputs += others[-1:]  # the MLP's second matrix: its input is what is inside
            else:
                outputs += others
        if not outputs:
            raise UserError(f"ia3: no keys and values, and no convolutions, in the blocks of {type(model.net).__name__}"
                            ". Try 'lora', which takes any weight matrix.")
        return IA3Config(target_modules=[*outputs, *inputs], feedforward_modules=inputs,
                         fan_in_fan_out=is_transposed(model.net, outputs[0]))

    def adapt(self, model: Any) -> None:
        """Insert the factors; a model that has the same ones already stays as it is. Raises UserError as `config`."""
        insert(model, self.config(model))

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The factors and the head, when `inner` says so. Raises UserError for a model without factors."""
        adapters = adapters_of(layers)
        if not adapters:
            raise UserError("ia3 plans over its factors, and this model has none yet: fit inserts them. To look ahead, "
                            "pass the model itself, as in ft.viz.freeze_map(model, 'ia3').")
        return by_inner(layers, self.inner, epoch, [*adapters, *layers["head"].parameters])

    def source(self, model: Any) -> list[str]:
        """What `adapt` does, as lines of Python over `net`."""
        return peft_lines("IA3Config", model.adapters, ("fan_in_fan_out", "target_modules", "feedforward_modules"))
