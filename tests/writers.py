"""Tiny random text generators in memory, of every family that ftkit lists or names, with one byte-level tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from factory import _byte_pairs
from nets import Data, Split

from ftkit.backbones import BackboneSpec, Model
from ftkit.tasks import CausalLM

_BLOCKS = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
           "intermediate_size": 48, "max_position_embeddings": 128, "initializer_range": 0.2}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 128, "initializer_range": 0.2, "attn_pdrop": 0.0,
             "embd_pdrop": 0.0, "resid_pdrop": 0.0},
    "llama": {**_BLOCKS, "tie_word_embeddings": False},
    "smollm": {**_BLOCKS, "tie_word_embeddings": True},  # SmolLM is a Llama with tied embeddings
    "qwen2": {**_BLOCKS, "tie_word_embeddings": True},
    "qwen3": {**_BLOCKS, "head_dim": 16, "tie_word_embeddings": True},
}
_TEXTS = ("wind east and light", "the cook sang again", "fog all day", "sails mended by lamp light", "no land seen",
          "the goat ate the chart", "rain and more rain", "all hands at the pumps", "a quiet watch", "so ends this day")


@lru_cache
def byte_tokenizer() -> Any:
    """GPT-2's kind, with 320 pieces at most; padded with its end token."""
    tokenizer = _byte_pairs("gpt2")
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def writer(family: str = "gpt2", seed: int = 0, attention: str = "sdpa", **task: Any) -> Model:
    """A random text generator of a family."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = byte_tokenizer()
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model("llama" if family == "smollm" else family, vocab_size=len(tokenizer), **special,
                                  **FAMILIES[family])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return Model(net.eval(), CausalLM((), **task), tokenizer,
                 BackboneSpec(f"tiny-{family}", "text", "transformers", family, 0.0, "MIT", ""))


def log_data(n: int = 24, texts: Sequence[str] = _TEXTS) -> Data:
    """Log entries of very different lengths: train, valid and test."""
    def lines(count: int, start: int) -> list[str]:
        return [" ".join(texts[(start + i * 7 + j) % len(texts)] for j in range(1 + i % 4)) for i in range(count)]

    train, valid, test = (Split(name, lines(count, start), [None] * count, labels=()) for name, count, start in (
        ("train", n, 0), ("valid", 8, 3), ("test", 8, 5)))
    return Data(train, valid, test, CausalLM(()))
