"""Runs commands in this process, far from the network and from the reader's own files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_helpers import Ran, shell
from factory import tiny_csv, tiny_image_folder, tiny_images, tiny_text_folder

from ftkit.cli import main

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("FTKIT_DEBUG", raising=False)


@pytest.fixture
def ftkit(capfd: pytest.CaptureFixture[str]) -> Run:
    """ftkit("train", "--data", path, …): in this process, so that torch is imported once."""

    def run(*words: object) -> Ran:
        capfd.readouterr()
        code = main([str(word) for word in words])
        return Ran(code, *capfd.readouterr())

    return run


@pytest.fixture
def mistake(ftkit: Run) -> Callable[..., str]:
    """mistake(words, "named") runs a command that must fail as a user's mistake does; returns its line."""

    def run(words: list[object], *named: str) -> str:
        ran = ftkit(*words)
        assert ran.code == 2, ran
        assert ran.err.startswith("ftkit: "), ran.err
        assert ran.err.count("\n") == 1, f"not one line: {ran.err}"
        assert "Traceback" not in ran.err + ran.out
        for word in named:
            assert word in ran.err, f"'{word}' is not named: {ran.err}"
        return ran.err

    return run


@pytest.fixture
def process() -> Run:
    """process("train", …): as `shell`, for a command of ftkit."""
    return lambda *words, **env: shell(sys.executable, "-m", "ftkit", *words, **env)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_folder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_folder(tmp_path_factory.mktemp("models") / "resnet")


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_csv(tmp_path_factory.mktemp("data") / "texts.csv", 60)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_images(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="session")
def saved(bert: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text model that `ftkit train` has saved."""
    out = tmp_path_factory.mktemp("models") / "saved"
    assert main(["train", "--data", str(texts), "--backbone", str(bert), "--epochs", "1", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def saved_pictures(resnet: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image model that `ftkit train` has saved."""
    out = tmp_path_factory.mktemp("models") / "saved"
    assert main(["train", "--data", str(pictures), "--backbone", str(resnet), "--epochs", "1", "--out", str(out)]) == 0
    return out
