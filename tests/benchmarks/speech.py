"""Real-time factors: seconds of one processor core for a second of sound, in recognition and in synthesis.

Below 1 is faster than one can listen. `python tests/benchmarks/speech.py` prints a table; `--json FILE` keeps it.
Processor time counts, on one thread, so that other programs beside it change little.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import ftkit as ft
from ftkit.backbones.voice import open_vocoder
from ftkit.bundle import bundled_root
from ftkit.commands.text import table

SENTENCES, RATE = 20, 16_000


def measure(name: str, work: Callable[[], float], repeats: int) -> dict[str, Any]:
    """The fastest of some runs; `work` returns the seconds of sound that it went through."""
    work()  # the first run also loads what is loaded only once
    best, sound = float("inf"), 0.0
    for _ in range(repeats):
        start = time.process_time()
        sound = work()
        best = min(best, time.process_time() - start)
    return {"what": name, "seconds of sound": round(sound, 1), "seconds of a core": round(best, 2),
            "real-time factor": round(best / sound, 3)}


def rows(repeats: int = 3) -> list[dict[str, Any]]:
    """One row for each way of recognition and synthesis that is possible on this machine."""
    torch.set_num_threads(1)
    readings = ft.load_data("readings").test[:SENTENCES]
    seconds = sum(map(len, readings.inputs)) / RATE
    listener = ft.load_backbone("wav2vec2-mini", ft.load_data("readings").task)
    voice = ft.load_backbone("tacotron-mini")

    def recognise(at_once: int) -> float:
        for start in range(0, SENTENCES, at_once):
            ft.predict(listener, readings.inputs[start : start + at_once])
        return seconds

    def speak(at_once: int, **options: Any) -> float:
        total = 0.0
        for start in range(0, options.pop("sentences", SENTENCES), at_once):
            total += sum(one.seconds for one in ft.speak(voice, readings.targets[start : start + at_once], **options))
        return total

    found = [measure("wav2vec2-mini, one sentence at a time", lambda: recognise(1), repeats),
             measure(f"wav2vec2-mini, {SENTENCES} at once", lambda: recognise(SENTENCES), repeats),
             measure("tacotron-mini and Griffin-Lim, one sentence at a time", lambda: speak(1), repeats),
             measure(f"tacotron-mini and Griffin-Lim, {SENTENCES} at once", lambda: speak(SENTENCES), repeats)]
    if (bundled_root() / "backbones" / "wavenet-mini").is_dir():
        wavenet, _ = open_vocoder("wavenet-mini")
        found.append(measure("tacotron-mini and wavenet-mini, one sentence at a time",
                             lambda: speak(1, vocoder=wavenet, sentences=2), 1))
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    found = rows(args.repeats)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf8")


if __name__ == "__main__":
    main()
