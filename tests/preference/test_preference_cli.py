"""`ftkit train --task dpo` and its kin: from a table to a plain transformers folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pref_helpers import pairs, writer

import ftkit as ft
from ftkit.cli import main
from ftkit.tasks import DPO, CausalLM


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A table of pairs and a folder with a text generator."""
    data = pairs(DPO(()), 60)
    rows = [{"prompt": f"{prompt} {i}", **target} for i, (prompt, target)
            in enumerate(zip(data.train.inputs, data.train.targets, strict=True))]
    pd.DataFrame(rows).to_csv(tmp_path / "pairs.csv", index=False)
    writer(CausalLM(())).save(tmp_path / "start")
    return tmp_path / "pairs.csv", tmp_path / "start"


def train(task: str, table: Path, start: Path, out: Path, *more: str) -> int:
    return main(["train", "--task", task, "--data", str(table), "--backbone", str(start), "--out", str(out), "--epochs",
                 "1", "--lr", "3e-3", "--batch-size", "8", "--precision", "fp32", *more])


@pytest.mark.parametrize("task", ["dpo", "ipo", "reward"])
def test_from_a_table_to_a_folder(task: str, places: tuple[Path, Path], tmp_path: Path,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    out = tmp_path / "out"
    assert train(task, *places, out, *(["--beta", "0.3"] if task != "reward" else []), "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"accuracy", "margin", "chosen_tokens", "rejected_tokens", "loss"} <= found["metrics"].keys()
    assert found["task"] == task
    kind: Any = AutoModelForSequenceClassification if task == "reward" else AutoModelForCausalLM
    kind.from_pretrained(out)
    model = ft.load_backbone(out)
    assert model.task.name == task
    if isinstance(model.task, DPO):
        assert model.task.beta == 0.3
        assert ft.generate(model, "say a colour\n", max_new_tokens=3).tokens >= 1
    else:
        with pytest.raises(ft.errors.UserError, match="judges replies"):
            ft.predict(model, "say")


def test_what_to_do_next_and_what_makes_no_sense(places: tuple[Path, Path], tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert train("dpo", *places, tmp_path / "out") == 0
    assert "Try: ftkit generate --model" in capsys.readouterr().out
    assert train("reward", *places, tmp_path / "judge") == 0
    assert "Try: ft.preference.score(ft.load_backbone(" in capsys.readouterr().out
    assert train("reward", *places, tmp_path / "judge", "--beta", "0.3") == 2
    assert "--task dpo" in capsys.readouterr().err
