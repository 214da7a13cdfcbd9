"""Several processes, as `accelerate launch -m ftkit train …` starts them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import shell
from factory import tiny_csv

Run = Callable[..., Any]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]


@pytest.mark.parametrize("strategy", ["full", "gradual"])
def test_two_processes_give_the_result_of_one(ftkit: Run, bert: Path, tmp_path: Path, strategy: str) -> None:
    """48 texts in batches of 5, divided unevenly, and a last one of 3; without dropout the sums are the same."""
    data = tiny_csv(tmp_path / "texts.csv", 69)
    words = ["train", "--data", data, "--backbone", bert, "--limit", 48, "--epochs", 2, "--batch-size", 5,
             "--precision", "fp32", "--lr", "2e-3", "--strategy", strategy, "--class-weights", "balanced", "--json"]
    one = ftkit(*words, "--out", "one").result
    # accelerate starts several processes on a CPU by --multi_gpu only: its --cpu starts one (see the next test)
    two = shell(*LAUNCH, "--multi_gpu", "--main_process_port", 0, "--num_processes", 2, "-m", "ftkit", *words,
                "--out", "two", ACCELERATE_USE_CPU="true", CUDA_VISIBLE_DEVICES="")
    assert two.code == 0, two.err
    assert len(two.out.splitlines()) == 1, "only the main process speaks"
    assert two.err.count("train loss") == 1
    found = two.result
    assert (one["processes"], found["processes"]) == (1, 2)
    assert found["metrics"] == pytest.approx(one["metrics"], abs=1e-4)
    first, second = (json.loads((tmp_path / name / "history.json").read_text()) for name in ("one", "two"))
    assert {row["examples"] for row in second["steps"]} == {5, 3}
    assert [row["loss"] for row in second["steps"]] == pytest.approx([row["loss"] for row in first["steps"]], abs=1e-4)
    for mine, theirs in zip(second["epochs"], first["epochs"], strict=True):
        for name in ("train_loss", "valid_loss", "accuracy"):
            assert mine[name] == pytest.approx(theirs[name], abs=1e-4)


def test_a_launch_that_started_one_process_only_says_so(ftkit: Run, texts: Path, bert: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", "--data", texts, "--backbone", bert, "--epochs", 1, "--strategy", "probe"]
    assert "one process only" not in ftkit(*words).out
    for name, value in (("ACCELERATE_USE_CPU", "True"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)  # what `accelerate launch --cpu --num_processes 2` leaves to the one it starts
    assert "starts one process only" in ftkit(*words).out


def test_of_several_processes_only_the_first_reports_a_mistake(ftkit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, line in (("0", "ftkit: Unknown command"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        ran = ftkit("tarin")
        assert (ran.code, ran.err.startswith(line), bool(ran.err)) == (2, True, bool(line))
