"""PPO: its formulas against numbers worked out by hand, and the whole of it where the best policy is known."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pref_helpers import WORDS, next_word, writer

import ftkit as ft
from ftkit.errors import TrainingDiverged, UserError
from ftkit.preference import PPO, ppo
from ftkit.preference.advantages import gae, next_beta, policy_loss, token_rewards, value_loss, whiten
from ftkit.preference.sampling import look, write
from ftkit.tasks import DPO, Reward
from ftkit.tasks.logprobs import reply_batch, sequence_logprobs
from ftkit.tasks.passages import prompt_ids

PROMPT = "say a colour"
GOOD = {"red": 1.0, "green": 0.5, "blue": -1.0}


def colours(prompts: Any, replies: Any) -> list[float]:
    return [GOOD.get(reply, 0.0) for reply in replies]


def test_advantages_by_hand() -> None:
    """Two tokens and padding behind them: gamma 0.9, lambda 0.5, values 1 and 2, rewards 3 and 4.

    delta_1 = 4 - 2 = 2; delta_0 = 3 + 0.9 * 2 - 1 = 3.8; A_0 = 3.8 + 0.45 * 2 = 4.7.
    """
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    advantages, returns = gae(torch.tensor([[3.0, 4.0, 9.0]]), torch.tensor([[1.0, 2.0, 7.0]]), mask, 0.9, 0.5)
    assert advantages[0].tolist() == pytest.approx([4.7, 2.0, 0.0])
    assert returns[0].tolist() == pytest.approx([5.7, 4.0, 0.0])


@pytest.mark.parametrize(("lam", "first"), [(0.0, 1 + 2 - 0.5), (1.0, 1 + 1 + 1 - 0.5)])
def test_lambda_trusts_values_or_rewards(lam: float, first: float) -> None:
    rewards, values = torch.ones(1, 3), torch.tensor([[0.5, 2.0, 2.0]])
    assert gae(rewards, values, torch.ones(1, 3), 1.0, lam)[0][0, 0].item() == pytest.approx(first)


def test_the_score_comes_with_the_last_token_and_kl_with_each() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    logs, reference = torch.tensor([[-1.0, -2.0, -9.0], [-1.0, -1.0, -1.0]]), torch.tensor([[-2.0, -1.0, 0.0]] * 2)
    found = token_rewards(torch.tensor([5.0, 6.0]), logs, reference, mask, 0.1)
    assert found[0].tolist() == pytest.approx([-0.1, 5.1, 0.0])
    assert found[1].tolist() == pytest.approx([-0.1, 0.0, 6.1])


def test_whitening_passes_padding_over() -> None:
    found = whiten(torch.tensor([[1.0, 3.0, 100.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert found[0].tolist() == pytest.approx([-1.0, 1.0, 0.0], abs=1e-4)


def test_beyond_the_clip_there_is_nothing_to_gain() -> None:
    old, mask = torch.zeros(1, 4), torch.ones(1, 4)
    new = torch.log(torch.tensor([[1.5, 0.5, 1.5, 0.5]])).requires_grad_()
    loss, clipped = policy_loss(new, old, torch.tensor([[1.0, 1.0, -1.0, -1.0]]), mask, 0.2)
    assert loss.item() == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4)
    assert clipped.item() == 0.5
    loss.backward()
    assert new.grad is not None
    assert (new.grad[0] != 0).tolist() == [False, True, True, False]


def test_a_value_may_not_jump() -> None:
    found = value_loss(torch.tensor([[2.0]]), torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.ones(1, 1), 0.5)
    assert found.item() == pytest.approx(0.5 * (0.5 - 2) ** 2)


def test_the_price_of_kl_follows_it() -> None:
    assert next_beta(1.0, 2.0, 2.0) == 1.0
    assert next_beta(1.0, 100.0, 2.0) == pytest.approx(1.02)
    assert next_beta(1.0, 0.0, 2.0) == pytest.approx(0.98)


def test_written_replies_are_as_probable_as_they_are_without_padding() -> None:
    model = writer(DPO(()))
    torch.manual_seed(3)
    written = write(model.net, model.processor, [PROMPT, "say", "please say a colour now"], 6)
    seen = look(model.net, written, entropy=True)
    for i, prompt in enumerate((PROMPT, "say", "please say a colour now")):
        n = int(written.mask[i].sum())
        reply = written.replies[i, :n].tolist()
        batch = reply_batch([prompt_ids(prompt, model.processor)], [reply], 0)
        alone = sequence_logprobs(model.net, batch).item()
        assert (seen.logprobs[i] * written.mask[i]).sum().item() == pytest.approx(alone, abs=1e-4)
        assert written.ended[i].item() == (0 in reply)
        assert written.texts[i] == " ".join(WORDS[token - 1] for token in reply if token)
        assert 0 not in reply[:-1]
    p = next_word(model, prompt_ids(PROMPT, model.processor))
    assert seen.entropy[0, 0].item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-4)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_it_finds_the_best_policy_of_a_bandit(beta: float) -> None:
    """One token, known rewards: without KL the best reply gets everything, with it the prior times exp(r / beta)."""
    model = writer(DPO(()), spread=0.25)
    start = prompt_ids(PROMPT, model.processor)
    prior = next_word(model, start)
    history = ppo(model, [PROMPT], colours, steps=50, batch_size=128, minibatch=128, epochs=4, max_new_tokens=1,
                  lr=3e-3, beta=beta, progress=False)
    now = next_word(model, start)
    if not beta:
        assert now[1] > 0.95
        assert history.steps[-1]["reward"] > 0.9
        return
    rewards = torch.tensor([0.0, *(GOOD.get(word, 0.0) for word in WORDS)])
    best = prior * torch.exp(rewards / beta)
    best /= best.sum()
    assert (prior - best).abs().sum() > 0.15  # the optimum is somewhere else
    assert (now - best).abs().sum() < 0.08


def test_a_target_for_kl_sets_its_price() -> None:
    model = writer(DPO(()))
    history = ppo(model, [PROMPT], colours, steps=4, batch_size=16, max_new_tokens=1, lr=1e-5, beta=1.0,
                  target_kl=5.0, progress=False)
    assert [row["beta"] for row in history.steps] == pytest.approx([1.0, 0.98, 0.98**2, 0.98**3])


def test_rows_audit_and_seed() -> None:
    def run(seed: int) -> tuple[Any, Any]:
        model = writer(DPO(()))
        return model, ppo(model, [PROMPT, "say", "say red now"], colours, steps=3, batch_size=8, minibatch=4,
                          max_new_tokens=5, lr=1e-3, seed=seed, unfinished=1.0, progress=False)

    (model, history), (again, same), (_, other) = run(0), run(0), run(1)
    assert set(history.steps[0]) == {"step", "reward", "kl", "length", "entropy", "ended", "beta", "policy_loss",
                                     "value_loss", "clip_fraction", "seconds"}
    assert history.steps[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert history.status == "finished"
    plain = [{k: v for k, v in row.items() if k != "seconds"} for row in history.steps]
    assert plain == [{k: v for k, v in row.items() if k != "seconds"} for row in same.steps]
    assert [row["reward"] for row in other.steps] != [row["reward"] for row in history.steps]
    for a, b in zip(model.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert ft.audit(model, history).warnings == []


def test_every_prompt_comes_once_before_any_comes_again() -> None:
    run = PPO(writer(DPO(())), [f"say {word}" for word in WORDS[:5]], colours, batch_size=4, minibatch=4)
    seen = []
    for _ in range(5):
        seen += run._next_prompts()
        run.count += 1
    assert all(sorted(seen[i : i + 5]) == sorted(run.prompts) for i in range(0, 20, 5))


@pytest.mark.parametrize("strategy", ["full", "lora:r=2", "last_k:k=1"])
def test_the_reference_stays_what_the_network_was(strategy: str) -> None:
    """With a reward model as the judge, and a copy only of what trains."""
    model, judge = writer(DPO(())), writer(Reward(()), seed=3)
    run = PPO(model, [PROMPT], judge, strategy=strategy, steps=3, batch_size=8, max_new_tokens=3, lr=1e-2)
    history = run.run(progress=False)
    assert abs(history.steps[-1]["kl"]) > 1e-4
    written = write(model.net, model.processor, [PROMPT, "say"], 3)
    with torch.no_grad():
        now, first = look(model.net, written).logprobs, look(writer(DPO(())).net, written).logprobs
        with run.reference.ready() as net:
            then = look(net, written).logprobs
        assert torch.equal(now, look(model.net, written).logprobs)
    assert torch.allclose(then, first, atol=1e-5)
    assert not torch.allclose(now, first, atol=1e-2)
    share = run.reference.nbytes / 4 / sum(p.numel() for p in model.net.parameters())
    assert (share == 1) == (strategy == "full")
    assert strategy != "lora:r=2" or share < 0.15


def test_ctrl_c_keeps_the_weights_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    model = writer(DPO(()))

    def interrupt(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    history = ppo(model, [PROMPT], colours, steps=50, batch_size=8, max_new_tokens=2, on_step=interrupt, progress=False)
    assert history.status == "interrupted"
    assert len(history.steps) == 2
    assert not model.net.training


def test_mistakes_are_named() -> None:
    model = writer(DPO(()))
    with pytest.raises(UserError, match="batch_size"):
        ppo(model, [PROMPT], colours, batchsize=3)
    with pytest.raises(UserError, match="lam"):
        ppo(model, [PROMPT], colours, lam=2.0)
    with pytest.raises(UserError, match="no prompts"):
        ppo(model, [], colours)
    with pytest.raises(UserError, match="writes texts"):
        ppo(writer(Reward(())), [PROMPT], colours)
    with pytest.raises(UserError, match="not for dpo"):
        ppo(model, [PROMPT], writer(DPO(())))
    with pytest.raises(UserError, match="one number for each"):
        ppo(model, [PROMPT], lambda prompts, replies: 1.0, batch_size=4, steps=1)
    with pytest.raises(TrainingDiverged, match="not finite"):
        ppo(model, [PROMPT], lambda prompts, replies: [float("nan")] * len(replies), batch_size=4, steps=1)
