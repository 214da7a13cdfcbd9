"""wavenet-mini: makes sound of a log-mel picture, 16,000 samples a second.

Half of what it hears is the voice that tacotron-mini learnt to read with, half is a real woman, so that it has met a
low and a high voice, a program and a person. Each step takes stretches of 0.3 seconds out of longer recordings.

Published WaveNets are trained far longer; this one gets an hour and a quarter on one core. What helps: few channels, a
receptive field no longer than a few turns of the vocal cords, since the picture says all the rest, and pre-emphasis
against the noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.pretraining.recipe import Recipe, half
from ftkit.pretraining.tacotron_mini import READER, SENTENCES, choose_phrases, read_aloud, voice_called
from ftkit.pretraining.wav2vec2_mini import CLIPS, Wav2Vec2Mini, read_clips
from ftkit.speech.distortion import mel_cepstral_distortion
from ftkit.speech.mel import MelSettings, log_mel
from ftkit.speech.pairs import save_synthesiser
from ftkit.speech.recorded import LOUDNESS, level
from ftkit.speech.wavenet import WaveNet, WaveNetConfig

PHRASES = 800
HELD_OUT = 8  # of each kind

Sound = tuple[Tensor, Tensor]
"""Levels (T,) in 8 bits, and the log-mel picture (T / hop + 1, M)."""


class WaveNetMini(Recipe):
    """WaveNet with 16 layers, 64 wide, that hears log-mel pictures."""

    name = "wavenet-mini"
    about = "A small WaveNet: log-mel pictures of speech, 80 bands and 80 frames a second, to sound at 16 kHz."
    data_about = ("Half: phrases read by a synthetic voice, awb of flite, by Alan W Black. Half: 41 minutes of "
                  "LJSpeech (public domain), read by Linda Johnson.")
    licence = "MIT, as ftkit's code."
    weaknesses = ("An hour and a quarter on one core is little for a WaveNet: it hisses. It has met two voices. Others "
                  "come out rough and too quiet. Music it cannot do at all.")
    own_steps = 2_000
    batch_size = 6
    frames = 24  # of one stretch: 4,800 samples
    lr = 2e-3

    def prepare(self, work: Path) -> None:
        """Let the voice read, decode the real clips, and draw the pictures of both."""
        phrases = choose_phrases(self.data / SENTENCES, PHRASES, self.rng(6))
        clips = read_clips(self.data / CLIPS)
        read = read_aloud(voice_called(READER), phrases, work / "read", self.bar)
        net, settings = WaveNet(WaveNetConfig.mini()), MelSettings()
        kinds = [make_sounds(each, net, settings, self.frames) for each in (read, [audio for audio, _ in clips])]
        self.held_out = [sounds[:HELD_OUT] for sounds in kinds]
        self.kinds = [sounds[HELD_OUT:] for sounds in kinds]

    def build(self) -> nn.Module:
        """Random weights."""
        return WaveNet(WaveNetConfig.mini())

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """Muon for the matrices of the gated layers, AdamW for all else: see gpt2-mini."""
        matrices = [p for p in net.get_submodule("layers").parameters() if p.dim() == 2]
        others = [p for p in net.parameters() if all(p is not matrix for matrix in matrices)]
        return [torch.optim.Muon(matrices, lr=self.lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(others, lr=self.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)]

    def loss(self, net: Any, step: int) -> Tensor:
        """Nats a sample; stretches of the voice and of the person in turn."""
        rng = self.rng(step, 1)
        levels, mel = stretches([self.kinds[i % 2] for i in range(self.batch_size)], self.frames, net.config.hop, rng)
        return net.loss(levels.to(self.device), mel.to(self.device))

    def validate(self, net: Any) -> dict[str, float]:
        """Bits a sample on what was held out; the distortion of one phrase when it makes the sound alone."""
        scores = {}
        for name, sounds in zip(("synthetic", "real"), self.held_out, strict=True):
            levels, mel = stretches([[sound] for sound in sounds], self.frames, net.config.hop,
                                    self.rng(7))
            nats = net.loss(levels.to(self.device), mel.to(self.device))
            scores[f"{name}_bits"] = float(nats) / float(np.log(2))
        levels, mel = self.held_out[0][0]
        made = net.generate(mel)
        true = net.to_audio(levels.numpy())
        return scores | {"distortion_dB": mel_cepstral_distortion(made, true)}

    def export(self, net: nn.Module, folder: Path) -> None:
        """Weights, sizes and the settings of the pictures."""
        save_synthesiser(net, folder, MelSettings(), half(net.state_dict()))

    def fetch(self, folder: Path) -> None:
        """LJSpeech's first clips and all of its sentences."""
        Wav2Vec2Mini(folder).fetch(folder)


def make_sounds(recordings: list[np.ndarray], net: WaveNet, settings: MelSettings, frames: int) -> list[Sound]:
    """Levels and pictures of the recordings, all equally loud; without those that are shorter than a stretch."""
    found = []
    for audio in recordings:
        audio = audio[: len(audio) // settings.hop * settings.hop]
        if len(audio) < frames * settings.hop or not level(audio):
            continue
        audio = audio * min(LOUDNESS / level(audio), 0.99 / np.abs(audio).max())
        found.append((torch.from_numpy(net.to_levels(audio).astype(np.uint8)), log_mel(audio, settings)))
    return found


def stretches(pools: list[list[Sound]], frames: int, hop: int, rng: np.random.Generator) -> Sound:
    """One stretch of a random recording of each pool: levels (B, frames * hop) and pictures (B, frames + 1, M)."""
    levels, mels = [], []
    for pool in pools:
        sound, mel = pool[int(rng.integers(len(pool)))]
        start = int(rng.integers(len(mel) - frames))
        levels.append(sound[start * hop : (start + frames) * hop].long())
        mels.append(mel[start : start + frames + 1])
    return torch.stack(levels), torch.stack(mels)
