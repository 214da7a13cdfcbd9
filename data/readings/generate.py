"""Makes the data set `readings` again: `python data/readings/generate.py --out data/readings`.

Needs the program flite, with its voice slt. Equal programs and seeds give equal files.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from tqdm.auto import tqdm

from ftkit.pretraining.vary import RATE
from ftkit.pretraining.voices import VOICES, Voice, speak

COUNTS = {"train": 150, "valid": 30, "test": 60}
WORDS = range(4, 13)  # in a sentence
READER = next(voice for voice in VOICES if voice.name == "slt")
LOGBOOK = Path(__file__).parents[1] / "logbook" / "logbook.jsonl"


def sentences(split: str) -> list[str]:
    """Sentences of the logbook's entries of this split that can be read aloud: no figures, no NNE."""
    entries = [json.loads(line) for line in LOGBOOK.read_text(encoding="utf8").splitlines()]
    found = [sentence for entry in entries if entry["split"] == split
             for sentence in re.findall(r"[A-Z][^.!?]+[.!?]", entry["text"])]
    return [text for text in dict.fromkeys(found) if len(text.split()) in WORDS
            and re.fullmatch(r"[A-Za-z' ,]+[.!?]", text) and not re.search(r"\b[A-Z]{2,}\b|\b[NESW]\b", text)]


def chosen(split: str, count: int, rng: np.random.Generator) -> list[str]:
    """So many sentences, no one in two splits; those that end an entry ("So ends.") are alike, and stand once."""
    others = {text for other in COUNTS if other != split for text in sentences(other)}
    free = [text for text in sentences(split) if text not in others]
    return [free[i] for i in sorted(rng.choice(len(free), count, replace=False))]


def ogg(audio: np.ndarray) -> bytes:
    """An Ogg Vorbis file."""
    file = io.BytesIO()
    soundfile.write(file, audio, RATE, format="OGG", subtype="VORBIS", compression_level=0.6)
    return file.getvalue()


def write(split: str, out: Path, voice: Voice, rng: np.random.Generator) -> None:
    """Write one split, and say what is in it."""
    texts = chosen(split, COUNTS[split], rng)
    sounds = [speak(voice, text) for text in tqdm(texts, desc=split)]
    table = pa.table({"audio": pa.array(map(ogg, sounds), pa.binary()), "text": texts,
                      "speaker": [voice.name] * len(texts)})
    path = out / f"{split}.parquet"
    pq.write_table(table, path, compression="none")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path.name}: {len(texts)} sentences, {sum(map(len, sounds)) / RATE:.0f} s, {path.stat().st_size:,} bytes, "
          f"{digest}")


def main() -> None:
    """Read the command line and write the three files."""
    parser = argparse.ArgumentParser(description="Makes the data set `readings` again.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    for split in COUNTS:
        write(split, arguments.out, READER, rng)


if __name__ == "__main__":
    main()
