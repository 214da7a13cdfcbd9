"""Speech: what a synthesiser said, to play, to save and to look at."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ftkit.disk import write_whole
from ftkit.errors import UserError

FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"),
           ".mp3": ("MP3", "MPEG_LAYER_III")}
_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_QUALITY = 0.4  # of MP3, from 0 (largest) to 1: about 7 kB a second at 16,000 samples a second


@dataclass(frozen=True)
class Speech:
    """One text, spoken. In a notebook it shows a player; NumPy takes it for its samples.

    Args:
        text: What was to be said.
        samples: float32 (T,) in [-1, 1].
        rate: Samples a second.
        mel: The log-mel picture (frames, bands) that the sound was made of; None if there was none.
        alignment: Where the voice looked, (letters, steps), each column sums to 1; None if it does not look.
        symbols: The letters as the voice read them, with the sign "~" for the end.
        seconds_per_step: Of the alignment.
        stopped: Whether the voice found the end by itself. If not, it was cut off.

    Lesson 06.
    """

    text: str
    samples: np.ndarray = field(repr=False)
    rate: int
    mel: np.ndarray | None = field(default=None, repr=False)
    alignment: np.ndarray | None = field(default=None, repr=False)
    symbols: str = field(default="", repr=False)
    seconds_per_step: float = field(default=0.0, repr=False)
    stopped: bool = True

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def save(self, file: str | Path) -> Path:
        """Write a sound file: WAV, FLAC, OGG or MP3, by its suffix.

        Raises:
            UserError: Another suffix.
            DiskError: The file cannot be written; an older one is left as it was.
        """
        place = Path(file).expanduser()
        if place.suffix.lower() not in FORMATS:
            raise UserError(f"'{file}' names no kind of sound file that ftkit writes. Known: {', '.join(FORMATS)}.")
        kind, subtype = FORMATS[place.suffix.lower()]
        content = mp3(self.samples, self.rate) if kind == "MP3" else _encoded(self.samples, self.rate, kind, subtype)
        write_whole(place, content)
        return place

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.samples, dtype=dtype) if copy or dtype is not None else self.samples

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= 60 else self.text[:59] + "…"
        return f"Speech({shown!r}, {self.seconds:.1f} s{'' if self.stopped else ', cut off: it found no end'})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        source = f"data:audio/mpeg;base64,{base64.b64encode(mp3(self.samples, self.rate)).decode('ascii')}"
        told = html.escape(self.text, quote=True)
        cut = "" if self.stopped else "<p>It found no end and was cut off.</p>"
        return {"text/plain": repr(self),
                "text/html": f'<audio controls preload="metadata" src="{source}" aria-label="Play: {told}">This page '
                             f"cannot play sounds.</audio>{cut}"}


def mp3(samples: np.ndarray, rate: int) -> bytes:
    """The sound as an MP3 file, which every browser plays: about 7 kB a second, a quarter of the samples' own size."""
    best = next((known for known in _MP3_RATES if known >= rate), _MP3_RATES[-1])
    if best != rate:
        import soxr

        samples = soxr.resample(samples, rate, best)
    return _encoded(samples, best, *FORMATS[".mp3"], compression_level=_QUALITY)


def _encoded(samples: np.ndarray, rate: int, kind: str, subtype: str, **options: Any) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, format=kind, subtype=subtype, **options)
    return file.getvalue()
