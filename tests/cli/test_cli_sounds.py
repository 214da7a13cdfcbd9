"""Sounds from the command line: by class, with their texts, and what goes wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from factory import tiny_speech_folder, tiny_spoken

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_speech_folder(tmp_path_factory.mktemp("net") / "speech")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_spoken(tmp_path_factory.mktemp("data") / "spoken", 20)


def test_a_folder_by_class_is_trained_on_and_asked(ftkit: Run, net: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, hertz in (("high", 2000), ("low", 300)):
        (tmp_path / "tones" / label).mkdir(parents=True)
        for i in range(12):
            time = np.arange(int(rng.uniform(0.05, 0.1) * 8000)) / 8000
            soundfile.write(tmp_path / "tones" / label / f"{i}.wav", np.sin(2 * np.pi * hertz * time), 8000)
    ran = ftkit("train", "--data", tmp_path / "tones", "--backbone", net, "--task", "audio-classification",
                "--epochs", 10, "--lr", "3e-3", "--out", tmp_path / "mine", "--json")
    assert ran.code == 0
    assert ran.result["task"] == "audio-classification"
    assert ran.result["strategy"] == "frozen_stem"
    assert ran.result["metrics"]["accuracy"] == 1.0
    asked = ftkit("predict", "--model", tmp_path / "mine", tmp_path / "tones" / "low" / "3.wav")
    assert asked.code == 0
    assert asked.out.splitlines()[1].split()[0] == "low"
    assert asked.out.splitlines()[1].endswith("low/3.wav"), "of a long path the end is what counts"


def test_a_recogniser_is_trained_and_asked(ftkit: Run, net: Path, spoken: Path, tmp_path: Path) -> None:
    ran = ftkit("train", "--data", spoken, "--backbone", net, "--task", "ctc", "--epochs", 2, "--batch-seconds", "0.5",
                "--out", tmp_path / "mine")
    assert ran.code == 0
    assert "20 examples (audio), no classes" in ran.out
    assert "cer" in ran.out
    assert "small letters and apostrophes" in ran.out
    asked = ftkit("predict", "--model", tmp_path / "mine", spoken / "0.wav", "--json")
    assert set(asked.result[0]) == {"input", "text"}
    table = ftkit("predict", "--model", tmp_path / "mine", spoken / "0.wav", spoken / "1.wav").out.splitlines()
    assert table[0].split() == ["text", "input"]
    assert len(table) == 3


@pytest.mark.parametrize(("words", "said"), [
    (["--task", "audio-classification"], ["needs a class for each sound", "metadata.csv"]),
    (["--task", "text-classification"], ["needs text", "Use ctc"]),
    (["--backbone", "bert-mini"], ["'bert-mini' is a backbone for text", "ctc"]),
    (["--class-weights", "balanced"], ["class_weights are for classes"]),
    (["--text-column", "txt"], ["'txt'", "Did you mean 'text'"]),
    (["--batch-seconds", "0"], ["--batch-seconds: must be a number above 0"])])
def test_mistakes_with_sounds(ftkit: Run, net: Path, spoken: Path, words: list[str], said: list[str]) -> None:
    chosen = ["train", "--data", spoken, "--backbone", net, "--epochs", 1, *words]
    ran = ftkit(*chosen)
    assert ran.code == 2
    assert all(part in ran.err for part in said), ran.err


def test_a_sound_that_is_not_there(ftkit: Run, net: Path, spoken: Path, tmp_path: Path) -> None:
    assert ftkit("train", "--data", spoken, "--backbone", net, "--epochs", 1, "--out", tmp_path / "m").code == 0
    ran = ftkit("predict", "--model", tmp_path / "m", tmp_path / "gone.wav")
    assert ran.code == 2
    assert "There is no sound file" in ran.err


def test_one_broken_file_among_many_is_reported_and_passed_over(
        ftkit: Run, net: Path, tmp_path: Path) -> None:
    folder = tiny_spoken(tmp_path / "some", 16)
    (folder / "3.wav").write_bytes(b"RIFF, they say")
    with (folder / "metadata.csv").open("a", newline="", encoding="utf8") as file:
        csv.writer(file).writerow(["lost.wav", "ab"])
    ran = ftkit("train", "--data", folder, "--backbone", net, "--epochs", 1)
    assert ran.code == 0
    assert "2 broken files skipped" in ran.out
    assert "3.wav (not a sound file)" in ran.out
    assert "lost.wav (no such file)" in ran.out
