"""`ftkit train --task causal-lm` and `ftkit generate`: from a text file to a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factory import tiny_text_folder, tiny_texts

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_folder(tmp_path_factory.mktemp("models") / "gpt", "gpt2")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "log.txt"
    file.write_text("\n\n".join(text for text, _ in tiny_texts(40)), encoding="utf8")
    return file


def test_train_generate_and_a_polite_predict(ftkit: Run, mistake: Run, gpt: Path, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = ftkit("train", "--data", log, "--task", "causal-lm", "--backbone", gpt, "--epochs", 2, "--lr", 1e-2,
                "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert {"accuracy", "perplexity", "bits_per_byte", "loss"} == set(ran.result["metrics"])
    assert ran.result["strategy"] == "full"
    assert f"ftkit generate --model {out}" in ran.err
    said = [ftkit("generate", "--model", out, "we found", "--max-new-tokens", 8, "--seed", 3, *more)
            for more in ([], [], ["--json"])]
    assert said[0].code == 0
    assert said[0].out == said[1].out
    assert said[0].out.startswith("we found")
    found = json.loads(said[2].out)
    assert set(found) == {"prompt", "text", "tokens", "ended"}
    assert said[0].out == f"we found{found['text']}\n"
    mistake(["predict", "--model", out, "text"], "writes texts", "ftkit generate --model")
    mistake(["generate", "--model", out, "a", "--top-p", 3], "top_p must be above 0")
    mistake(["generate", "--model", out, "word " * 200], "Cut its beginning")


def test_a_classifier_is_sent_to_predict(mistake: Run, saved: Path) -> None:
    mistake(["generate", "--model", saved, "text"], "it writes no texts", "ftkit predict")


def test_the_bundled_generator_by_its_name(ftkit: Run) -> None:
    ran = ftkit("generate", "--model", "gpt2-mini", "Once upon a", "--max-new-tokens", 3, "--temperature", 0)
    assert ran.out == "Once upon a time there was\n"
