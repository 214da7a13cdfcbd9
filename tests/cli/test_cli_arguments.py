"""What can be wrong with the words alone, and how fast that is said."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from ftkit import arguments
from ftkit.strategies import STRATEGIES, make_strategy
from ftkit.tasks import TASKS

Mistake = Callable[..., str]
TRAIN = ["train", "--data", "x.csv", "--backbone", "minilm"]


@pytest.mark.parametrize(("words", "named"), [
    (["tarin"], ["'tarin'", "Did you mean 'train'"]),
    (["train"], ["--data", "--backbone", "ftkit train --help"]),
    (["train", "--dat", "x.csv"], ["'--dat'", "Did you mean '--data'"]),
    ([*TRAIN, "--epoch", "3"], ["'--epoch'", "Did you mean '--epochs'"]),
    ([*TRAIN, "--epoch=3"], ["'--epoch'", "Did you mean '--epochs'"]),
    ([*TRAIN, "--epochs", "three"], ["--epochs", "at least 1", "'three'", "ftkit train --help"]),
    ([*TRAIN, "--epochs", "0"], ["--epochs", "at least 1", "'0'"]),
    ([*TRAIN, "--epochs"], ["--epochs"]),
    ([*TRAIN, "--lr", "-0.01"], ["--lr", "above 0", "'-0.01'"]),
    ([*TRAIN, "--lr", "nan"], ["--lr", "'nan'"]),
    ([*TRAIN, "--lr", "inf"], ["--lr", "'inf'"]),
    ([*TRAIN, "--batch-size", "1.5"], ["--batch-size", "whole number", "'1.5'"]),
    ([*TRAIN, "--limit", "1"], ["--limit", "at least 2"]),
    ([*TRAIN, "--seed", "-1"], ["--seed", "'-1'"]),
    ([*TRAIN, "--valid-fraction", "15"], ["--valid-fraction", "between 0 and 1"]),
    ([*TRAIN, "--precision", "bf61"], ["'bf61'", "Did you mean 'bf16'", "fp32"]),
    ([*TRAIN, "--cache", "on"], ["'on'", "auto, off"]),
    ([*TRAIN, "--class-weights", "balance"], ["Did you mean 'balanced'"]),
    ([*TRAIN, "more"], ["more", "ftkit"]),
    (["predict", "--model", "x"], ["INPUT"]),
    (["doctor", "--jsn"], ["Did you mean '--json'"]),
])
def test_one_line_says_what_is_wrong(mistake: Mistake, words: list[object], named: list[str]) -> None:
    mistake(words, *named)


def test_help_tells_of_every_strategy_and_task_that_there_is() -> None:
    spoken = arguments.STRATEGIES.split(", ")
    assert [text.partition(":")[0] for text in spoken] == list(STRATEGIES)
    for text in spoken:
        make_strategy(text)
    assert arguments.TASKS.split(", ") == list(TASKS)


def test_help_and_version_end_well(ftkit: Callable[..., object]) -> None:
    for words in (["--help"], [], ["--version"], *([command, "--help"] for command in arguments.COMMANDS)):
        ran = ftkit(*words)
        assert ran.code == 0  # type: ignore[attr-defined]
        assert "ftkit" in ran.out  # type: ignore[attr-defined]


def _python(code: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return time.perf_counter() - start, done.stdout.strip()


@pytest.mark.parametrize("code", [
    "import ftkit",
    "from ftkit.cli import main; main(['train', '--help'])",
    "from ftkit.cli import main; main(['train', '--epochs', 'three'])",
])
def test_neither_torch_nor_transformers_before_they_are_needed(code: str) -> None:
    heavy = "[name for name in ('torch', 'transformers', 'torchvision', 'numpy', 'pandas') if name in sys.modules]"
    _, out = _python(f"import sys; {code}; print({heavy})")
    assert out.splitlines()[-1] == "[]"


def test_importing_ftkit_takes_less_than_three_tenths_of_a_second() -> None:
    took = [float(_python("import time; t = time.perf_counter(); import ftkit; print(time.perf_counter() - t)")[1])
            for _ in range(3)]
    assert min(took) < 0.3
