"""A tiny text generator over whole words, for preference tuning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from nets import Data, Split
from torch import nn

from ftkit.backbones import BackboneSpec, Model
from ftkit.tasks import Task

WORDS = ("red", "green", "blue", "black", "say", "a", "colour", "please", "now", "one", "more", "warm")
END = "<end>"


@lru_cache
def words_tokenizer() -> Any:
    """One token per word; END ends a text and pads."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(WordLevel({END: 0, **{word: i + 1 for i, word in enumerate(WORDS)}}, unk_token=END))
    core.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=END, eos_token=END, pad_token=END, unk_token=END,
                                   model_max_length=64)


def writer(task: Task, seed: int = 0, *, spread: float = 0.3, layers: int = 2) -> Model:
    """A random GPT-2 without dropout; a larger `spread` makes it prefer some words."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    config = AutoConfig.for_model("gpt2", vocab_size=len(WORDS) + 1, n_embd=32, n_layer=layers, n_head=2,
                                  n_positions=64, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, bos_token_id=0,
                                  eos_token_id=0, pad_token_id=0, initializer_range=spread, num_labels=1)
    kind = AutoModelForSequenceClassification if task.name == "reward" else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = kind.from_config(config)
    return Model(net.eval(), task, words_tokenizer(), BackboneSpec("tiny-writer", "text", "transformers", "gpt2", 0.0,
                                                                   "MIT", ""))


def next_word(model: Model, prompt: Sequence[int]) -> torch.Tensor:
    """The probabilities of the next token after token ids."""
    with torch.no_grad():
        return model.net(input_ids=torch.tensor([list(prompt)])).logits[0, -1].float().softmax(-1)


def pairs(task: Task, n: int = 40) -> Data:
    """Prompts with two replies: warm colours are preferred to cold ones, whatever their length."""
    splits = []
    for number, name in enumerate(("train", "valid", "test")):
        rng = np.random.default_rng(number)
        prompts, targets = [], []
        for _ in range(n if name == "train" else 16):
            prompts.append(" ".join(["say", *rng.choice(["a", "colour", "please", "now"], int(rng.integers(1, 4)))]))
            good, bad = (" ".join([*rng.choice(["one", "more"], int(rng.integers(0, 3))), str(rng.choice(colours))])
                         for colours in (["red", "warm"], ["blue", "black"]))
            targets.append({"chosen": good, "rejected": bad})
        splits.append(Split(name, prompts, targets, ()))
    return Data(*splits, task)
