"""What the tasks for sound have in common: decoding, batches of sounds, and calling a speech network."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from ftkit.machine import cpu_limit
from ftkit.tasks.base import Batch, Encoded

SPEEDS = (0.9, 1.0, 1.1)
"""What augmentation plays a sound at: each sounds like another speaker, with a longer or shorter throat."""


def decode_all(inputs: Sequence[Any], processor: Any) -> list[np.ndarray]:
    """Every sound as float32 (T,) at the rate of the processor, by a few threads: decoding releases Python's lock."""
    with ThreadPoolExecutor(cpu_limit()) as pool:
        return list(pool.map(processor.decode, inputs))


def sound_batch(encoded: Encoded, indices: Sequence[int], processor: Any, vary: bool = False) -> Batch:
    """`input_values` (B, T), `attention_mask` (B, T) where the network wants one, and `frames` (B,).

    With `vary`, each sound is played at a speed drawn from `SPEEDS`.
    """
    if not vary:
        batch = processor.batch([encoded.features[i] for i in indices])
        return {**batch, "frames": torch.as_tensor(encoded.lengths[list(indices)])}
    heard: Any = encoded.features
    sounds = [at_speed(heard[i], np.random.choice(SPEEDS), processor) for i in indices]
    return {**processor.batch(sounds), "frames": torch.tensor([processor.frames(len(sound)) for sound in sounds])}


def at_speed(sound: np.ndarray, speed: float, processor: Any) -> np.ndarray:
    """The sound (T,) played faster or slower: (T / speed,), its pitch and formants shifted with it (Ko et al. 2015)."""
    if speed == 1:
        return sound
    import soxr

    changed = soxr.resample(sound, processor.rate * speed, processor.rate, quality="MQ")
    return changed if len(changed) >= processor.least else sound


def call(net: nn.Module, batch: Batch) -> Any:
    """The network's output for a batch of sounds."""
    return net(input_values=batch["input_values"], attention_mask=batch.get("attention_mask"))


def masking(net: nn.Module, wanted: bool) -> None:
    """Switch SpecAugment on or off, and layer drop off.

    Both are chance inside the network. Masking is augmentation, so it follows `augment`. Layer drop skips a whole block
    now and then: a frozen block that is skipped by chance would make each epoch differ, and the layer map a lie.
    """
    config: Any = net.config
    config.apply_spec_augment = wanted
    for name in ("layerdrop", "encoder_layerdrop", "decoder_layerdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    for module in net.modules():  # Whisper's encoder and decoder keep a copy
        if isinstance(getattr(module, "layerdrop", None), float):
            setattr(module, "layerdrop", 0.0)  # noqa: B010 (a plain number, which nn.Module does not declare)
