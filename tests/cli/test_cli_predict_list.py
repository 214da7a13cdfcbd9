"""`ftkit predict` and `ftkit list`, and what happens when nobody reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftkit.backbones import SPECS

Run = Callable[..., Any]


def test_predict_answers_in_the_order_of_the_questions(ftkit: Run, saved: Path) -> None:
    texts = ["the film was lovely and we found it again", "bad", "a longer text, awful from end to end"]
    ran = ftkit("predict", "--model", saved, *texts, "--json")
    rows = ran.result
    assert [row["input"] for row in rows] == texts
    for row in rows:
        assert set(row["probabilities"]) == {"bad", "good"}
        assert row["probability"] == max(row["probabilities"].values())
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert ftkit("predict", "--model", saved, texts[2], "--json").result[0]["label"] == rows[2]["label"]


def test_predict_as_a_table(ftkit: Run, saved_pictures: Path, pictures: Path) -> None:
    ran = ftkit("predict", "--model", saved_pictures, pictures / "dark" / "0.png", pictures / "light" / "0.png")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["label", "probability", "input"]
    assert len(lines) == 3
    assert lines[1].split()[0] in ("dark", "light")
    assert "dark/0.png" in lines[1]


def test_list_shows_every_backbone_and_data_set(ftkit: Run) -> None:
    ran = ftkit("list")
    assert ran.code == 0
    for name in (*SPECS, "reviews", "digits", "Apache-2.0", "offline now"):
        assert name in ran.out
    minilm = next(line for line in ran.out.splitlines() if line.startswith("minilm"))
    assert "22.7 M" in minilm
    assert "yes" in minilm


def test_list_as_json(ftkit: Run) -> None:
    found = ftkit("list", "--json").result
    assert [row["name"] for row in found["backbones"]] == list(SPECS)
    assert {"name", "modality", "parameters_M", "megabytes", "licence", "offline"} <= found["backbones"][0].keys()
    assert {row["name"] for row in found["data"]} >= {"reviews", "digits", "signs"}


def test_a_pipe_that_nobody_reads_any_more_is_no_error() -> None:
    command = [sys.executable, "-m", "ftkit", "list", "--json"]
    pipe = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()  # as `| head` does when it has seen enough
    err = pipe.stderr.read().decode()
    assert pipe.wait(timeout=60) == 141
    assert err == ""
