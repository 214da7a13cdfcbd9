"""A voice from the command line: trained on a folder of recordings, and made to speak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from factory import tiny_speech_folder, tiny_spoken, tiny_voice_folder

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voice_folder(tmp_path_factory.mktemp("net") / "voice")


def test_a_voice_is_trained_and_speaks(ftkit: Run, voice: Path, tmp_path: Path) -> None:
    spoken = tiny_spoken(tmp_path / "spoken", 20)
    ran = ftkit("train", "--data", spoken, "--backbone", voice, "--task", "text-to-speech", "--epochs", 2,
                "--strategy", "last_k:k=1", "--batch-seconds", 2, "--out", tmp_path / "mine")
    assert ran.code == 0, ran.err
    assert "valid loss  distortion  seconds" in ran.out
    assert "stopped" in ran.out
    assert "Try: ftkit speak --model" in ran.out
    said = ftkit("speak", "--model", tmp_path / "mine", "ab", "--out", tmp_path / "said.wav")
    assert said.code == 0, said.err
    assert "said.wav: " in said.out
    samples, rate = soundfile.read(tmp_path / "said.wav")
    facts = ftkit("speak", "--model", tmp_path / "mine", "ab", "--out", tmp_path / "said.mp3", "--json").result
    assert facts["rate"] == rate == 16_000
    assert facts["seconds"] == len(samples) / rate
    assert set(facts) == {"text", "out", "seconds", "rate", "stopped"}


def test_mistakes_in_speaking(mistake: Callable[..., str], voice: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "said.wav"]
    mistake(["speak", "--model", voice, "at 7", *out], "cannot read 7", "seven")
    mistake(["speak", "--model", voice, "", *out], "nothing to read")
    mistake(["speak", "--model", voice, "a" * 200, *out], "200 letters")
    mistake(["speak", "--model", voice, "hello", "--out", "said.aac"], "--out names a sound file", ".wav")
    mistake(["speak", "--model", voice, "hello", "--vocoder", "wavnet", *out], "no vocoder 'wavnet'")
    mistake(["speak", "--model", "nowhere", "hello", *out], "Unknown backbone 'nowhere'")
    listener = tiny_speech_folder(tmp_path / "listener")
    mistake(["speak", "--model", listener, "hello", *out], "model for ctc", "ftkit predict")
    mistake(["predict", "--model", voice, "hello"], "ftkit speak")
    assert not (tmp_path / "said.wav").exists()
