"""How a sound becomes numbers: one channel, the rate that the backbone was pretrained at, mean 0 and deviation 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import DataError

CONFIG = "preprocessor_config.json"
LONGEST = 30 * 60  # seconds that are read of one file; more is almost always a mistake, and 1 GB


@dataclass(frozen=True)
class SoundPreprocess:
    """Read, mix to one channel, resample, normalise, and pad to the longest of a batch. Lesson 05.

    Args:
        rate: Samples a second that the network expects.
        normalise: Whether each sound is brought to mean 0 and deviation 1.
        mask: Whether the network is told which samples are padding. Networks whose first layer normalises over time
            (wav2vec2-base) were trained without.
        kernels: Widths of the convolutions that turn samples into frames.
        strides: Their steps.
        tokenizer: Letters to numbers, for recognisers; a transformers tokenizer.
        fresh: Whether the tokenizer was made for the data, so that a trained head for other letters is of no use.
    """

    rate: int = 16_000
    normalise: bool = True
    mask: bool = True
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    tokenizer: Any = field(default=None, compare=False, repr=False)
    fresh: bool = field(default=False, compare=False, repr=False)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return int(np.prod(self.strides))

    @property
    def least(self) -> int:
        """Samples that give one frame."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames(self, samples: int) -> int:
        """How many frames the convolutions make of so many samples."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1
        return max(0, samples)

    def decode(self, sound: Path | str | np.ndarray) -> np.ndarray:
        """One sound as float32 (T,) at `rate`; at least long enough for one frame.

        Args:
            sound: A file (WAV, FLAC, OGG, MP3), or samples (T,) at `rate`.

        Raises:
            DataError: The file cannot be read, is empty, or is longer than half an hour; samples that are no numbers.
        """
        samples = _samples(sound) if isinstance(sound, np.ndarray) else read_sound(sound, self.rate)
        if len(samples) < self.least:
            samples = np.pad(samples, (0, self.least - len(samples)))
        return samples

    def batch(self, sounds: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """`input_values` float32 (B, T), normalised, zeros behind shorter sounds; `attention_mask` (B, T) if wanted."""
        longest = max(map(len, sounds))
        values = torch.zeros(len(sounds), longest)
        mask = torch.zeros(len(sounds), longest, dtype=torch.long)
        for i, sound in enumerate(sounds):
            row = torch.from_numpy(np.asarray(sound, dtype=np.float32))
            if self.normalise:
                row = (row - row.mean()) / torch.sqrt(row.var(correction=0) + 1e-7)
            values[i, : len(row)], mask[i, : len(row)] = row, 1
        return {"input_values": values, "attention_mask": mask} if self.mask else {"input_values": values}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write preprocessor_config.json in the keys of transformers, and the tokenizer's files if there is one."""
        config = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "padding_side": "right",
                  "padding_value": 0.0, "sampling_rate": self.rate, "do_normalize": self.normalise,
                  "return_attention_mask": self.mask}
        Path(folder, CONFIG).write_text(json.dumps(config, indent=2), encoding="utf8")
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)

    @classmethod
    def from_config(cls, config: dict[str, Any], network: Any) -> SoundPreprocess:
        """From a transformers preprocessor_config.json, and the convolutions of the network's own configuration."""
        return cls(int(config.get("sampling_rate", 16_000)), bool(config.get("do_normalize", True)),
                   bool(config.get("return_attention_mask", False)), tuple(network.conv_kernel),
                   tuple(network.conv_stride))


def read_sound(file: str | Path, rate: int) -> np.ndarray:
    """A sound file as float32 (T,) at `rate`: its channels are averaged, and it is resampled by soxr.

    Raises:
        DataError: No sound, cut off, without samples, or longer than half an hour.
    """
    import soundfile

    try:
        with soundfile.SoundFile(str(file)) as opened:
            if opened.frames > LONGEST * opened.samplerate:
                raise DataError(f"{file} lasts {opened.frames / opened.samplerate / 60:.0f} minutes; ftkit reads at "
                                f"most {LONGEST // 60} of one file. Cut it into sentences.")
            samples, own = opened.read(dtype="float32", always_2d=True), opened.samplerate
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise DataError(f"Cannot read the sound {file}: {error}.") from error
    if not len(samples):
        raise DataError(f"The sound {file} has no samples.")
    mono = samples.mean(axis=1)
    if own != rate:
        import soxr

        mono = soxr.resample(mono, own, rate)
    return _samples(mono)


def _samples(sound: np.ndarray) -> np.ndarray:
    """Checked samples: float32 (T,), finite. Whole numbers are taken as 16-bit sound."""
    if sound.ndim != 1 or not sound.size:
        raise DataError(f"A sound is an array of samples (T,), not of shape {sound.shape}. "
                        "Average the channels of a stereo recording first.")
    if np.issubdtype(sound.dtype, np.integer):
        sound = sound / float(np.iinfo(sound.dtype).max)
    sound = np.asarray(sound, dtype=np.float32)
    if not np.isfinite(sound).all():
        raise DataError(f"{np.count_nonzero(~np.isfinite(sound)):,} of the {sound.size:,} samples are no numbers.")
    return sound
