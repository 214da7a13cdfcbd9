"""The bundled `readings`: 240 sentences, one voice, and nothing in two splits."""

from __future__ import annotations

import hashlib
import json
import re
import runpy

import numpy as np
import pytest

from ftkit.bundle import bundled_root
from ftkit.data import Data, list_data, load_data
from ftkit.errors import DataError
from ftkit.pretraining.voices import VOICES, split_of
from ftkit.tasks import CTC

FOLDER = bundled_root() / "readings"


@pytest.fixture(scope="module")
def readings() -> Data:
    return load_data("readings")


def test_loads_by_name(readings: Data) -> None:
    assert readings.task == CTC((), letters="'abcdefghijklmnopqrstuvwxyz")
    assert [len(split) for split in (readings.train, readings.valid, readings.test)] == [150, 30, 60]
    sound, text = readings.test[0]
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert re.fullmatch(r"[A-Z][A-Za-z' ,]+[.!?]", text)
    row = next(row for row in list_data() if row["name"] == "readings")
    assert (row["modality"], row["examples"], row["labels"]) == ("audio", 240, [])
    with pytest.raises(DataError, match="'readings' has no columns"):
        load_data("readings", label="speaker")


def test_no_sentence_in_two_splits_and_all_from_the_logbook(readings: Data) -> None:
    entries = [json.loads(line) for line in (bundled_root() / "logbook/logbook.jsonl").read_text("utf8").splitlines()]
    seen: set[str] = set()
    for split in (readings.train, readings.valid, readings.test):
        texts = list(split.targets)
        assert len(set(texts)) == len(texts)
        assert not seen & set(texts)
        seen |= set(texts)
        own = " ".join(entry["text"] for entry in entries if entry["split"] == split.name)
        assert all(text in own for text in texts)


def test_sounds_are_as_long_as_their_texts_need_and_neither_silent_nor_clipped(readings: Data) -> None:
    for split in (readings.train, readings.valid, readings.test):
        for sound, text in split:
            assert 0.03 < len(sound) / 16_000 / len(text) < 0.12, text
            assert 0.05 < np.abs(sound).max() < 1
            assert 0.02 < np.sqrt(np.square(sound).mean()) < 0.2


def test_the_card_says_what_is_there() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf8")
    for split in ("train", "valid", "test"):
        assert f"{hashlib.sha256((FOLDER / f'{split}.parquet').read_bytes()).hexdigest()}  {split}.parquet" in card
    reader = next(voice for voice in VOICES if voice.name == "slt")
    assert split_of(reader) == "test", "no recipe may have heard it"
    generate = runpy.run_path(str(FOLDER / "generate.py"))
    assert generate["READER"] == reader
    rng = np.random.default_rng(0)
    made = {split: generate["chosen"](split, count, rng) for split, count in generate["COUNTS"].items()}
    assert made["train"] == list(load_data("readings").train.targets), "equal seeds choose equal sentences"
