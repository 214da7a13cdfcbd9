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
STRATEGIES = ("full", "gradual")
# Two commands in the same processes, which take long to start: those part at the end of the last one, which begins and
# ends as `python -m ftkit` does.
BOTH = """
import json, runpy, sys
from ftkit.cli import main
from ftkit.training import processes

first, last = json.loads(sys.argv[1])
part, processes.close = processes.close, processes.wait
if code := main(first):
    sys.exit(code)
processes.close = part
sys.argv[1:] = last
runpy.run_module("ftkit", run_name="__main__", alter_sys=True)
"""


def test_two_processes_give_the_result_of_one(ftkit: Run, bert: Path, tmp_path: Path) -> None:
    """48 texts in batches of 5, divided unevenly, and a last one of 3; without dropout the sums are the same."""
    data = tiny_csv(tmp_path / "texts.csv", 69)
    words = {strategy: ["train", "--data", data, "--backbone", bert, "--limit", 48, "--epochs", 2, "--batch-size", 5,
                        "--precision", "fp32", "--lr", "2e-3", "--strategy", strategy, "--class-weights", "balanced",
                        "--json", "--out"] for strategy in STRATEGIES}
    (tmp_path / "both.py").write_text(BOTH)
    both = [[*map(str, words[strategy]), f"two-{strategy}"] for strategy in STRATEGIES]
    # accelerate starts several processes on a CPU by --multi_gpu only: its --cpu starts one (see the next test)
    two = shell(*LAUNCH, "--multi_gpu", "--main_process_port", 0, "--num_processes", 2, "both.py", json.dumps(both),
                ACCELERATE_USE_CPU="true", CUDA_VISIBLE_DEVICES="")
    assert two.code == 0, two.err
    assert len(two.out.splitlines()) == len(STRATEGIES), "only the main process speaks"
    assert two.err.count("train loss") == len(STRATEGIES)
    for strategy, line in zip(STRATEGIES, two.out.splitlines(), strict=True):
        one = ftkit(*words[strategy], f"one-{strategy}").result
        check_same(one, json.loads(line), tmp_path / f"one-{strategy}", tmp_path / f"two-{strategy}")


def check_same(one: dict[str, Any], found: dict[str, Any], *places: Path) -> None:
    """What one process printed and saved, and what two did."""
    assert (one["processes"], found["processes"]) == (1, 2)
    assert found["metrics"] == pytest.approx(one["metrics"], abs=1e-4)
    first, second = (json.loads((place / "history.json").read_text()) for place in places)
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
