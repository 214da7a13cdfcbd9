"""LoRA: beside each weight matrix a product of two thin ones, and only that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ftkit.errors import UserError, check_name
from ftkit.layers import LayerMap
from ftkit.strategies.adapting import (
    WHERE,
    adapters_of,
    by_inner,
    check_inner,
    choose_targets,
    insert,
    is_transposed,
)
from ftkit.strategies.base import Plan, Strategy


@dataclass(frozen=True)
class LoRA(Strategy):
    """Train W + (alpha / r) B A instead of W, where A is r x in and B is out x r; W stays as it is. The head trains.

    peft does the work (`LoraConfig`, `inject_adapter_in_model`). B begins at zero, so the network begins as it was.

    Args:
        r: The rank: how many directions a matrix can change in.
        alpha: The change is multiplied by alpha / r.
        dropout: Share of a matrix's inputs that A does not see in a training step.
        last: In the last so many blocks; 0 is all.
        where: "all" weight matrices of a block (convolutions too), those of "attention", or of the "mlp". Hu et al.
            adapted attention; Dettmers et al. 2023 (QLoRA) found that it takes all to match full fine-tuning.
        inner: Says when the adapters of which group train, such as "gradual" or GradualUnfreeze(every=2).
        seed: Of A's random start.

    Written: "lora:r=8,alpha=16,last=2,inner=gradual". Source: Hu et al. 2021. Lesson 08.
    """

    r: int = 8
    alpha: int = 16
    dropout: float = 0.0
    last: int = 0
    where: str = "all"
    inner: str | Strategy = "full"
    seed: int = 0

    name: ClassVar[str] = "lora"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, least in (("r", 1), ("alpha", 1), ("last", 0), ("seed", 0)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f"{key} must be a whole number of at least {least}, not {value!r}.")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is a share, at least 0 and below 1, not {self.dropout}.")
        check_name("where", self.where, WHERE)
        check_inner(self.inner, "lora")

    def config(self, model: Any) -> Any:
        """The peft configuration for this model; raises UserError if nothing in it fits."""
        from peft import LoraConfig

        targets = choose_targets(model, self.last, self.where, "lora")
        rank = min(min(model.net.get_submodule(name).weight.shape[:2]) for name in targets)
        if self.r > rank:
            raise UserError(f"r={self.r} is more than the smallest matrix here has rows or columns ({rank}): a product "
                            "of that rank is no smaller than the matrix itself.")
        return LoraConfig(r=self.r, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=targets,
                          fan_in_fan_out=is_transposed(model.net, targets[0]))

    def adapt(self, model: Any) -> None:
        """Insert the adapters; a model that has the same ones already stays as it is.

        Raises:
            UserError: It has other adapters, nothing fits `where`, or r is too large.
        """
        config = self.config(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            insert(model, config)

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The adapters and the head, when `inner` says so. Raises UserError for a model without adapters."""
        adapters = adapters_of(layers)
        if not adapters:
            raise UserError("lora plans over its adapters, and this model has none yet: fit inserts them. To look "
                            "ahead, pass the model itself, as in ft.viz.freeze_map(model, 'lora').")
        return by_inner(layers, self.inner, epoch, [*adapters, *layers["head"].parameters])

    def source(self, model: Any) -> list[str]:
        """What `adapt` does, as lines of Python over `net`."""
        return peft_lines("LoraConfig", model.adapters, ("r", "lora_alpha", "lora_dropout", "fan_in_fan_out",
                                                         "target_modules"), self.seed)


def peft_lines(kind: str, config: Any, keys: tuple[str, ...], seed: int | None = None) -> list[str]:
    """peft's two lines for a configuration, and the seed before them."""
    written = {key: getattr(config, key) for key in keys}
    options = ", ".join(f"{key}={sorted(value) if isinstance(value, set) else value!r}"
                        for key, value in written.items())
    return [f"from peft import {kind}, inject_adapter_in_model", "",
            *([f"torch.manual_seed({seed})"] if seed is not None else []),
            f"inject_adapter_in_model({kind}({options}), net)"]
