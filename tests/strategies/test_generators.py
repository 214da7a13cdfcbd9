"""Strategies that change the network, on text generators: GPT-2 writes through its word table, Llama through a head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from writers import byte_tokenizer, log_data, writer

from ftkit.backbones import Model, load_backbone
from ftkit.report import audit, cost
from ftkit.strategies import IA3, DropLayers, HalfFineTuning, LoRA, PromptTuning, Strategy
from ftkit.training import evaluate, fit
from ftkit.training.generating import generate
from ftkit.viz import freeze_map

_STRATEGIES: list[Strategy] = [LoRA(r=2, alpha=32), LoRA(r=2, inner="gradual"), IA3(), PromptTuning(4), DropLayers(1),
                               HalfFineTuning()]
_SETTINGS: dict[str, Any] = {"epochs": 3, "lr": 1e-2, "batch_size": 8, "precision": "fp32", "progress": False}


@pytest.mark.parametrize("strategy", _STRATEGIES, ids=lambda s: f"{s.name}-{getattr(s, 'inner', '')}")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_they_learn_and_move_what_was_planned(family: str, strategy: Strategy) -> None:
    model, data = writer(family), log_data()
    before = evaluate(model, data.test)["loss"]
    assert freeze_map(model, strategy).alt
    assert cost(model, data.train, strategy).trainable > 0
    history = fit(model, data, strategy, **_SETTINGS)
    assert not audit(model, history).warnings
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]
    if not isinstance(strategy, DropLayers):
        assert evaluate(model, data.test)["loss"] < before


def saved(tmp_path: Path, family: str) -> Path:
    model = writer(family)
    model.net.save_pretrained(tmp_path / "base")  # type: ignore[operator]
    byte_tokenizer().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def logits(model: Model, net: Any = None) -> torch.Tensor:
    ids = torch.tensor([byte_tokenizer()("the goat sang")["input_ids"]])
    with torch.no_grad():
        return (net or model.net)(input_ids=ids, use_cache=False).logits


@pytest.mark.parametrize("strategy", [LoRA(r=2, alpha=32), IA3(), PromptTuning(4)], ids=lambda s: s.name)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_peft_opens_them_and_merging_changes_nothing(tmp_path: Path, family: str, strategy: Strategy) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder, data = saved(tmp_path, family), log_data()
    model = load_backbone(folder)
    fit(model, data, strategy, **{**_SETTINGS, "epochs": 1})
    tuned = logits(model)
    model.save(tmp_path / "adapters", merge=False)
    assert torch.equal(logits(load_backbone(tmp_path / "adapters")), tuned)
    opened = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(tmp_path / "adapters")).eval()
    theirs = logits(model, opened)[:, model.prompt_length :]  # peft scores the prompt's places too
    torch.testing.assert_close(theirs, tuned, rtol=1e-4, atol=1e-4)
    if not model.prompt_length:
        model.save(tmp_path / "merged", merge=True)
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
        torch.testing.assert_close(logits(model, again), tuned, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_text_written_behind_a_prompt(family: str) -> None:
    """transformers writes with a cache, which holds the prompt: the same tokens as without one, alone or in a batch."""
    model = writer(family)
    PromptTuning(5).adapt(model)
    texts = ["the goat", "fog all day and"]
    written = [one.text for one in generate(model, texts, max_new_tokens=8, temperature=0)]
    for text, made in zip(texts, written, strict=True):
        ids = torch.tensor([[0, *byte_tokenizer()(text)["input_ids"]]])
        begun = ids.shape[1]
        for _ in range(8):
            with torch.no_grad():
                best = model.net(input_ids=ids, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
            ids = torch.cat([ids, best], 1)
            if best.item() == byte_tokenizer().eos_token_id:
                break
        assert made == byte_tokenizer().decode(ids[0, begun:], skip_special_tokens=True)
        assert generate(model, text, max_new_tokens=8, temperature=0).text == made
    long = generate(model, "fog all day " * 5, max_new_tokens=500, temperature=1.0, seed=1)
    assert long.ended in ("room", "end"), "it stops where text and prompt together fill the network"
