"""PPO that was interrupted goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pref_helpers import WORDS, writer

import ftkit as ft
from ftkit.errors import UserError, WeightsError
from ftkit.preference import PPO, ppo
from ftkit.tasks import DPO

PROMPTS = [f"say {word}" for word in WORDS[:5]]
OPTIONS: dict[str, Any] = {"steps": 6, "batch_size": 8, "minibatch": 4, "max_new_tokens": 4, "lr": 1e-2,
                           "target_kl": 1.0, "progress": False}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))


def short(prompts: Any, replies: Any) -> list[float]:
    return [-float(len(reply)) for reply in replies]


def rows(history: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history.steps]


def interrupted(model: Any, after: int = 3, **more: Any) -> Any:
    run = PPO(model, PROMPTS, short, on_step=lambda row: run.stop() if row["step"] == after else None,
              **{name: value for name, value in OPTIONS.items() if name != "progress"}, **more)
    return run.run(progress=False)


@pytest.mark.parametrize("strategy", ["full", "lora:r=2", "last_k:k=1"])
@pytest.mark.parametrize("fresh", [True, False])
def test_it_goes_on_bit_for_bit(strategy: str, fresh: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """On a model opened anew, and on the one that the first part has changed: the reference is the first one's."""
    whole, model = writer(DPO(())), writer(DPO(()))
    expected = ppo(whole, PROMPTS, short, strategy=strategy, **OPTIONS)
    first = interrupted(model, strategy=strategy)
    assert first.status == "stopped"
    assert first.checkpoint
    again = writer(DPO(())) if fresh else model
    history = ppo(again, PROMPTS, short, strategy=strategy, resume=True, **OPTIONS)
    assert rows(history) == rows(expected)
    assert [event["note"] for event in history.events] == ["resumed"]
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert ft.audit(again, history).frame().equals(ft.audit(whole, expected).frame())
    assert not Path(first.checkpoint).exists(), "nothing is left to go on from"


def test_the_call_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    history = ppo(writer(DPO(())), PROMPTS, short, on_step=lambda row: os.kill(os.getpid(), signal.SIGINT), **OPTIONS)
    assert "Interrupted after step 1 of 6" in (said := capsys.readouterr().err)
    assert f"resume=True. Checkpoint: {history.checkpoint}" in said


def test_out_holds_a_checkpoint_and_in_the_end_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["ftkit.preference.ppo"], "SAVE_SECONDS", 0.0)
    seen = []
    model = writer(DPO(()))
    history = ppo(model, PROMPTS, short, out=tmp_path / "out", **OPTIONS,
                  on_step=lambda row: seen.append((tmp_path / "out" / "checkpoint" / "ppo.pt").is_file()))
    assert seen == [False, *[True] * 5]
    assert not (tmp_path / "out" / "checkpoint").exists()
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert len(json.loads((tmp_path / "out" / "history.json").read_text())["steps"]) == 6
    assert history.checkpoint is None


def test_mistakes_change_nothing(tmp_path: Path) -> None:
    model = writer(DPO(()))
    with pytest.raises(UserError, match=r"no checkpoint of PPO in .*ppo-tiny-writer to resume from"):
        ppo(model, PROMPTS, short, resume=True, **OPTIONS)
    folder = Path(interrupted(model, strategy="last_k:k=1").checkpoint)
    trained = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}

    def refused(match: str, error: type[Exception] = UserError, net: Any = model, **more: Any) -> None:
        options = {**OPTIONS, "strategy": "last_k:k=1", "prompts": PROMPTS, **more}
        with pytest.raises(error, match=match):
            ppo(net, options.pop("prompts"), short, resume=True, **options)
        assert all(torch.equal(tensor, trained[name]) for name, tensor in model.net.state_dict().items())

    refused("of another run: beta was 0.1 and is 0.5", beta=0.5)
    refused("prompts was .*5 with the checksum", prompts=PROMPTS[:4])
    refused("strategy was", strategy="full")
    refused("strategy was", strategy="lora:r=2")  # nor are adapters inserted
    refused("of another model", net=writer(DPO(()), seed=9))
    (folder / "ppo.pt").write_bytes((folder / "ppo.pt").read_bytes()[:900])
    refused("is damaged", WeightsError)
