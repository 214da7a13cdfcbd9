"""Makes the data set `commands` again: `python data/commands/generate.py --out data/commands`.

Needs the programs that ftkit/pretraining/voices.py names. Equal programs and seeds give equal files.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from tqdm.auto import tqdm

from ftkit.pretraining.vary import RATE, vary
from ftkit.pretraining.voices import VOICES, speak, split_of

WORDS = ("yes", "no", "up", "down", "left", "right", "stop", "go", "on", "off", "red", "green", "blue", "one", "two",
         "three")
LENGTH = RATE  # one second
BITS = 10  # the rounding stays below the noise of nearly all clips; each bit more makes the files a quarter larger
TAKES = 2  # of every word by every speaker
SPLITS = ("train", "valid", "test")
Clip = tuple[np.ndarray, str, str, int]  # speech, word, speaker, take


def spoken(split: str, seed: int) -> Iterator[Clip]:
    """Every word by every speaker of a split, each time at another pitch and speed; clean."""
    for voice in (voice for voice in VOICES if split_of(voice) == split):
        for word in WORDS:
            for take in range(TAKES):
                rng = random_for(seed, "speak", voice.name, word, take)
                pitch, speed = voice.pitch + rng.uniform(-2, 2), voice.speed * rng.uniform(0.8, 1.15)
                yield speak(replace(voice, pitch=pitch, speed=speed), word), word, voice.name, take


def recorded(clips: list[Clip], seed: int) -> Iterator[np.ndarray]:
    """Each word somewhere in its second, with noise around it; a babble is made of voices of the same split."""
    speech = [audio for audio, *_ in clips]
    for audio, word, speaker, take in clips:
        rng = random_for(seed, "vary", speaker, word, take)
        yield vary(audio, rng, others=speech, length=LENGTH, snr=(20, 38))


def random_for(seed: int, *key: object) -> np.random.Generator:
    """Random numbers of one clip, whatever the order of the voices."""
    return np.random.default_rng([seed, *repr(key).encode()])


def flac(audio: np.ndarray) -> bytes:
    """A FLAC file of float samples, rounded to BITS bits."""
    coarse = 2 ** (16 - BITS)
    samples = np.clip(np.round(audio * 32768 / coarse) * coarse, -32768, 32767 // coarse * coarse)
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.int16), RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return file.getvalue()


def write(split: str, out: Path, seed: int) -> None:
    """Write one split, and say what is in it."""
    count = sum(split_of(voice) == split for voice in VOICES) * len(WORDS) * TAKES
    clips = list(tqdm(spoken(split, seed), desc=f"{split}: speaking", total=count))
    audio = [flac(samples) for samples in tqdm(recorded(clips, seed), desc=f"{split}: varying", total=count)]
    table = pa.table({"audio": pa.array(audio, pa.binary()), "label": [word for _, word, *_ in clips],
                      "speaker": [speaker for _, _, speaker, _ in clips]})
    path = out / f"{split}.parquet"
    pq.write_table(table, path, compression="none")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    speakers = {speaker for _, _, speaker, _ in clips}
    print(f"{path.name}: {len(clips):,} clips, {len(speakers)} speakers, {path.stat().st_size:,} bytes, {digest}")


def main() -> None:
    """Read the command line and write the three files."""
    parser = argparse.ArgumentParser(description="Makes the data set `commands` again.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        write(split, arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
