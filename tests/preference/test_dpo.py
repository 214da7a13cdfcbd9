"""DPO, IPO and the reward model as tasks of the one training loop."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pref_helpers import pairs, writer

import ftkit as ft
from ftkit.errors import DataError, UserError
from ftkit.tasks import DPO, IPO, Reward
from ftkit.tasks.logprobs import HIDDEN, reply_batch, sequence_logprobs
from ftkit.tasks.pairs import reply_ids


def test_a_sequence_is_as_probable_as_its_tokens_one_by_one() -> None:
    net = writer(DPO(())).net
    prompts, replies = [[0, 5, 6], [0, 7]], [[1, 2, 0], [3, 4, 1, 2, 0]]
    batch = reply_batch(prompts, replies, 0)
    together, mean = sequence_logprobs(net, batch), sequence_logprobs(net, batch, average=True)
    for i, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        logs = net(input_ids=torch.tensor([prompt + reply])).logits[0].log_softmax(-1)
        alone = sum(logs[len(prompt) - 1 + j, token].item() for j, token in enumerate(reply))
        assert together[i].item() == pytest.approx(alone, abs=1e-4)
        assert mean[i].item() == pytest.approx(alone / len(reply), abs=1e-4)


def test_the_prompt_and_padding_are_hidden() -> None:
    batch = reply_batch([[5, 6], [5]], [[1, 0], [2, 3, 4, 0]], 0)
    assert batch["labels"].tolist() == [[HIDDEN, HIDDEN, 1, 0, HIDDEN], [HIDDEN, 2, 3, 4, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_losses_of_dpo_and_ipo_by_hand() -> None:
    policy, reference = torch.tensor([[-3.0, -5.0]]), torch.tensor([[-4.0, -4.5]])
    batch = {"reference": reference}  # the chosen reply gained 1 nat, the rejected one lost a half
    loss = DPO((), beta=0.2).losses(policy, batch).item()
    assert loss == pytest.approx(-math.log(1 / (1 + math.exp(-0.2 * 1.5))), abs=1e-6)
    assert IPO((), beta=0.2).losses(policy, batch).item() == pytest.approx((1.5 - 2.5) ** 2, abs=1e-6)
    assert Reward(()).losses(policy, batch).item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)


def test_metrics_count_ties_half() -> None:
    answers = np.array([[1.0, 0.0, 3, 5], [0.0, 0.0, 4, 4], [0.0, 2.0, 5, 6]])
    found = DPO(()).metrics(answers, None)
    assert found == pytest.approx({"accuracy": 0.5, "margin": -1 / 3, "chosen_tokens": 4.0, "rejected_tokens": 5.0})


@pytest.mark.parametrize("task", [DPO(()), IPO(()), Reward(())], ids=lambda task: task.name)
def test_fit_learns_the_preference(task: DPO) -> None:
    data, model = pairs(task), writer(task)
    history = ft.fit(model, data, epochs=3, lr=3e-3, batch_size=8, progress=False, seed=0)
    assert history.epochs[-1]["accuracy"] > 0.9
    found = ft.evaluate(model, data.test)
    assert found["accuracy"] > 0.9
    assert found["margin"] > 0
    assert len(ft.audit(model, history).warnings) == 0


def test_margins_begin_at_nothing_and_loss_at_log_2() -> None:
    task = DPO(())
    history = ft.fit(writer(task), pairs(task), epochs=1, lr=1e-12, batch_size=8, progress=False)
    assert history.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert history.epochs[0]["margin"] == pytest.approx(0, abs=1e-5)


def test_the_reference_is_the_first_network_also_after_training_and_in_later_runs() -> None:
    task = DPO(())
    data, model, start = pairs(task), writer(task), writer(task)
    ft.fit(model, data, epochs=1, lr=1e-3, progress=False)
    own = ft.evaluate(model, data.test)
    after = {name: p.detach().clone() for name, p in model.net.named_parameters()}
    model.reference = start
    assert own["margin"] == pytest.approx(ft.evaluate(model, data.test)["margin"], abs=1e-5)
    model.reference = None
    second = writer(task)
    for _ in range(2):
        ft.fit(second, data, epochs=1, lr=1e-3, progress=False)
    kept = ft.evaluate(second, data.test)["margin"]
    second.reference = start
    assert kept == pytest.approx(ft.evaluate(second, data.test)["margin"], abs=1e-5)
    assert all(torch.equal(p, after[name]) for name, p in model.net.named_parameters())


def test_a_reference_of_ones_own(tmp_path: Path) -> None:
    task = DPO(())
    data, model = pairs(task), writer(task)
    model.reference = writer(task, seed=5)
    history = ft.fit(model, data, epochs=1, lr=1e-12, progress=False)
    assert abs(history.epochs[0]["margin"]) > 1e-3  # a network is no nearer to another one than chance
    model.save(tmp_path)
    again = ft.load_backbone(tmp_path)
    assert isinstance(again.task, DPO)
    with pytest.raises(UserError, match=r"model\.reference"):
        ft.evaluate(again, data.test)


def test_lora_compares_with_the_network_without_adapters() -> None:
    task = DPO(())
    data, model, start = pairs(task), writer(task), writer(task)
    history = ft.fit(model, data, "lora:r=4", epochs=2, lr=1e-2, batch_size=8, progress=False)
    assert history.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    own = ft.evaluate(model, data.test)["margin"]
    model.reference = start
    assert own == pytest.approx(ft.evaluate(model, data.test)["margin"], abs=1e-4)


def test_resuming_is_exact(tmp_path: Path) -> None:
    task = DPO(())
    data, whole, half = pairs(task), writer(task), writer(task)
    settings = {"epochs": 2, "lr": 1e-3, "batch_size": 8, "seed": 1}
    ft.fit(whole, data, progress=False, **settings)
    session = ft.TrainSession(half, data, **settings)
    session.run(steps=4)
    session.save(tmp_path)
    again = writer(task)
    ft.TrainSession(again, data, **settings).resume(tmp_path).run()
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_beta_and_pairs_are_checked() -> None:
    with pytest.raises(UserError, match="beta"):
        DPO((), beta=0)
    data = pairs(DPO(()))
    data.train.targets[0] = {"chosen": "red"}
    with pytest.raises(DataError, match="rejected"):
        ft.fit(writer(DPO(())), data, progress=False)


def test_long_pairs_are_cut_and_still_end_somewhere() -> None:
    task, model = DPO((), max_length=12), writer(DPO(()))
    long = " ".join(["red"] * 40)
    encoded = task.encode([long], [{"chosen": long, "rejected": "blue"}], model.processor)
    prompt, chosen, rejected = encoded.features[0]
    assert (len(prompt), len(chosen), rejected) == (6, 6, reply_ids("blue", model.processor))
    assert encoded.lengths.tolist() == [12]


def test_a_reward_model_is_a_plain_classifier_of_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from ftkit.preference import score

    task = Reward(())
    model = writer(task)
    model.net.config.pad_token_id = 0
    model.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    ids = torch.tensor([[0, 5, 6, 1, 2, 0]])
    with torch.no_grad():
        alone = plain(input_ids=ids).logits.item()
    assert score(model, ["say a"], ["red green"])[0] == pytest.approx(alone, abs=1e-5)
    two = score(model, ["say a", "say a colour please"], ["red green", "blue"], batch_size=2)
    assert two[0] == pytest.approx(alone, abs=1e-5)  # padding changes nothing
    with pytest.raises(UserError, match="reward model"):
        score(writer(DPO(())), ["say"], ["red"])


def test_replaced_beta_moves_the_loss() -> None:
    data = pairs(DPO(()))
    model = writer(replace(DPO(()), beta=0.5))
    ft.fit(model, data, epochs=1, lr=1e-3, progress=False)
    small = ft.evaluate(model, data.test)["margin"]
    model.task = DPO((), beta=1.0)
    assert ft.evaluate(model, data.test)["margin"] == pytest.approx(2 * small, rel=1e-4)
