"""Held against trl: the losses of DPO and IPO, what its data preparation makes of a pair, and GRPO beside our PPO."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from pref_helpers import END, next_word, pairs, writer

from ftkit.tasks import DPO, IPO
from ftkit.tasks.logprobs import HIDDEN
from ftkit.tasks.passages import prompt_ids


@pytest.mark.parametrize(("task", "kind"), [(DPO((), beta=0.3), "sigmoid"), (IPO((), beta=0.3), "ipo")])
def test_loss_and_gradients_are_trl_s(task: DPO, kind: str, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    data, model, reference = pairs(task, 4), writer(task), writer(task, seed=1)
    rows = [{"prompt": f"{END} {prompt}", **{side: f" {text}" for side, text in target.items()}}
            for prompt, target in zip(data.train.inputs, data.train.targets, strict=True)]
    arguments = DPOConfig(str(tmp_path), beta=0.3, loss_type=[kind], per_device_train_batch_size=4, use_cpu=True,
                          report_to=[], bf16=False, activation_checkpointing=False)
    trainer = DPOTrainer(copy.deepcopy(model.net), copy.deepcopy(reference.net), arguments,
                         train_dataset=Dataset.from_list(rows), processing_class=model.processor)
    encoded = task.encode(data.train.inputs, data.train.targets, model.processor)
    batch = task.collate(encoded, range(4), model.processor)
    theirs: Any = trainer.data_collator(list(trainer.train_dataset))
    ours = torch.where(batch["attention_mask"] == 1, batch["input_ids"], -1)
    assert torch.equal(ours, torch.where(theirs["attention_mask"] == 1, theirs["input_ids"], -1))
    assert torch.equal(batch["labels"] != HIDDEN, theirs["completion_mask"] == 1)

    with torch.no_grad():
        batch["reference"] = task.forward(reference.net, batch)
    own = task.loss(model.net, batch)
    (own.total / own.n).backward()
    trainer.model.train()
    loss: Any = trainer.compute_loss(trainer.model, theirs)
    loss.backward()
    assert (own.total / own.n).item() == pytest.approx(loss.item(), rel=1e-5)
    for a, b in zip(model.net.parameters(), trainer.model.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5)


def test_grpo_of_trl_climbs_the_same_hill_as_our_ppo(tmp_path: Path) -> None:
    """Group-relative advantages (Shao et al. 2024) in place of a value head: on a bandit both find the better reply.

    It also shows how a network of ours goes into trl's trainer: it is a plain transformers network.
    """
    from trl import GRPOConfig, GRPOTrainer

    from ftkit.preference import ppo

    def red(prompts: Any, completions: Any, **_: Any) -> list[float]:
        return [float(text.strip() == "red") for text in completions]

    start = prompt_ids("say a colour", writer(DPO(())).processor)
    before = next_word(writer(DPO(()), spread=0.25), start)[1].item()
    theirs, ours = writer(DPO(()), spread=0.25), writer(DPO(()), spread=0.25)
    arguments = GRPOConfig(str(tmp_path), learning_rate=3e-3, per_device_train_batch_size=32, num_generations=32,
                           max_completion_length=1, max_steps=15, beta=0.0, use_cpu=True, bf16=False, report_to=[],
                           activation_checkpointing=False, save_strategy="no", disable_tqdm=True, logging_steps=100)
    GRPOTrainer(theirs.net, red, arguments, train_dataset=Dataset.from_list([{"prompt": f"{END} say a colour"}] * 8),
                processing_class=theirs.processor).train()
    ppo(ours, ["say a colour"], red, steps=15, batch_size=32, minibatch=32, epochs=1, max_new_tokens=1, lr=3e-3,
        beta=0.0, progress=False)
    assert before < 0.1
    assert next_word(theirs, start)[1] > 3 * before
    assert next_word(ours, start)[1] > 3 * before
