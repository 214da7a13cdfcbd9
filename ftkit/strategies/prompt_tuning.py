"""Prompt tuning: a few learned vectors in front of every text, and nothing else of the body trains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import nn

from ftkit.errors import UserError
from ftkit.layers import LayerMap
from ftkit.strategies.adapting import adapters_of, keep_same
from ftkit.strategies.base import Plan, Strategy

_OTHERS = "lora and ia3 work on every network; bn_only on those with BatchNorm."
_LEAST = 8  # tokens of a text beside which a prompt makes sense


@dataclass(frozen=True)
class PromptTuning(Strategy):
    """Put n vectors before the word vectors of every text, and train them and the head. For networks that read texts.

    The vectors and the file format are peft's (`PromptEmbedding`, `PromptTuningConfig`); they begin as the vectors of
    random words. They are put in behind the word table, so that the network keeps its class and a GPT-2 classifier
    still finds the last word of a padded text.

    Args:
        n: How many vectors.
        scale: They train at this many times the learning rate: prompts need large steps.
        seed: Of their random start.

    Written: "prompt:n=16". A prompt cannot be merged into the weights. Source: Lester, Al-Rfou & Constant 2021, "The
    Power of Scale for Parameter-Efficient Prompt Tuning", who also found that small networks gain little by it. Lesson
    08.
    """

    n: int = 16
    scale: float = 10.0
    seed: int = 0

    name: ClassVar[str] = "prompt"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.n, int) or isinstance(self.n, bool) or self.n < 1:
            raise UserError(f"n counts vectors: a whole number of at least 1, not {self.n!r}.")
        if not 0 < self.scale < float("inf"):
            raise UserError(f"scale must be a number above 0, not {self.scale}.")

    def adapt(self, model: Any) -> None:
        """Add the prompt; a model that has the same one already stays as it is.

        Raises:
            UserError: The network reads no texts, has other adapters, or has no room for a text beside the prompt.
        """
        table = _word_table(model)
        config = self._config(model, table)
        if keep_same(model, config):
            return
        _make_room(model, self.n)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model.add_prompt(config)

    def plan(self, layers: LayerMap, epoch: int) -> Plan:
        """The prompt and the head, in every epoch. Raises UserError for a model without a prompt."""
        adapters = adapters_of(layers)
        if not adapters:
            raise UserError("prompt plans over its vectors, and this model has none yet: fit adds them. To look ahead, "
                            "pass the model itself, as in ft.viz.freeze_map(model, 'prompt').")
        train = dict.fromkeys(adapters, float(self.scale)) | dict.fromkeys(layers["head"].parameters, 1.0)
        return {name: train.get(name, 0.0) for name in layers.parameters}

    def source(self, model: Any) -> list[str]:
        """What `adapt` does, as lines of Python over `net`."""
        config = model.adapters
        keys = ("task_type", "num_virtual_tokens", "token_dim", "num_transformer_submodules", "prompt_tuning_init")
        options = ", ".join(f"{key}={_plain(getattr(config, key))!r}" for key in keys)
        return ["from peft import PromptTuningConfig", "",
                "from ftkit.backbones.prompts import add_prompt  # three hooks; peft's own way wraps the network",
                "", f"torch.manual_seed({self.seed})", f"add_prompt(net, PromptTuningConfig({options}))"]

    def _config(self, model: Any, table: nn.Embedding) -> Any:
        from peft import PromptTuningConfig

        classifies = model.task.name == "text-classification"
        return PromptTuningConfig(
            task_type="SEQ_CLS" if classifies else "CAUSAL_LM", num_virtual_tokens=self.n,
            token_dim=table.embedding_dim, num_transformer_submodules=1, prompt_tuning_init="SAMPLE_VOCAB")


def _word_table(model: Any) -> nn.Embedding:
    table = None
    if model.task.modality == "text" and hasattr(model.net, "get_input_embeddings"):
        table = model.net.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        reads = {"image": "pictures", "audio": "sounds"}.get(model.task.modality, "them in another way")
        raise UserError(f"prompt puts vectors before the words of a text, and {type(model.net).__name__} reads "
                        f"{reads}. {_OTHERS}")
    return table


def _make_room(model: Any, n: int) -> None:
    """Cut texts shorter if text and prompt together would be longer than the network can place."""
    room = min(model.net.config.max_position_embeddings, model.processor.model_max_length) - n
    if room < _LEAST:
        raise UserError(f"A prompt of n={n} leaves {max(0, room)} tokens for the text. Use a smaller n.")
    longest = "max_length" if hasattr(model.task, "max_length") else "block"  # of classifiers, of text generators
    if getattr(model.task, longest) > room:
        model.task = replace(model.task, **{longest: room})


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)
