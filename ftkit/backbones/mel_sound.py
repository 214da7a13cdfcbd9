"""How a sound becomes numbers for Whisper: a log-mel spectrogram, padded to half a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftkit.backbones.sound import SoundPreprocess


@dataclass(frozen=True)
class MelPreprocess:
    """Reads sounds as SoundPreprocess does, and hands them to the feature extractor and tokenizer of transformers.

    Args:
        extractor: A WhisperFeatureExtractor.
        tokenizer: A WhisperTokenizer.
        start: The token that the decoder begins with.

    Lesson 05.
    """

    extractor: Any
    tokenizer: Any
    start: int

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self.extractor.sampling_rate)

    @property
    def longest(self) -> int:
        """Samples that the network hears; shorter sounds are padded to them."""
        return int(self.extractor.n_samples)

    def decode(self, sound: Path | str | np.ndarray) -> np.ndarray:
        """One sound as float32 (T,) at `rate`; raises DataError as SoundPreprocess.decode does."""
        return SoundPreprocess(self.rate, kernels=(1,), strides=(1,)).decode(sound)

    def features(self, sounds: Sequence[np.ndarray]) -> Tensor:
        """Log-mel spectrograms (B, mels, frames)."""
        made = self.extractor([np.asarray(sound, dtype=np.float32) for sound in sounds], sampling_rate=self.rate,
                              return_tensors="np")
        return torch.from_numpy(made["input_features"])

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text without the first one, which the decoder is given."""
        ids = self.tokenizer(text)["input_ids"]
        return ids[1:] if ids and ids[0] == self.start else ids

    def save_pretrained(self, folder: str | Path) -> None:
        """Write both, as transformers reads them."""
        self.extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
