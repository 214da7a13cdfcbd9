"""What a synthesiser of ftkit's own is fed with, and how it speaks: letters to a picture, the picture to sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftkit.backbones.opened import Opened
from ftkit.backbones.sound import SoundPreprocess
from ftkit.backbones.specs import SPECS
from ftkit.bundle import bundled_root
from ftkit.errors import UserError, WeightsError
from ftkit.speech.griffin_lim import mel_to_audio
from ftkit.speech.mel import MelSettings
from ftkit.speech.pairs import load_synthesiser, mel_settings, picture_of
from ftkit.speech.recorded import evened
from ftkit.speech.spoken import Speech
from ftkit.speech.text import SYMBOLS
from ftkit.speech.wavenet import WaveNet
from ftkit.tasks.text_to_speech import TextToSpeech, longest

AT_ONCE = 32  # sentences


@dataclass(frozen=True)
class VoicePreprocess:
    """Recordings to log-mel pictures: silence at both ends cut off, all equally loud. Lesson 06.

    Args:
        settings: Of the pictures that the network was pretrained on.
    """

    settings: MelSettings = field(default_factory=MelSettings)

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.settings.sample_rate

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.settings.hop

    def decode(self, sound: Path | str | np.ndarray) -> np.ndarray:
        """One recording as float32 (T,) at `rate`; raises DataError as SoundPreprocess.decode does."""
        return SoundPreprocess(self.rate, kernels=(1,), strides=(1,)).decode(sound)

    def picture(self, sound: np.ndarray) -> Tensor:
        """The log-mel picture (frames, bands), with silence behind it. Raises DataError for a silent recording."""
        return picture_of(evened(sound, self.rate), self.settings)

    def save_pretrained(self, folder: str | Path) -> None:
        """Nothing: the settings stand in the network's own config.json."""

    def speak(self, net: Any, task: TextToSpeech, texts: Sequence[str], vocoder: Any = None, seed: int = 0,
              speaker: Any = None) -> list[Speech]:
        """Texts to speech, by Griffin-Lim or a WaveNet. See `ftkit.speak`."""
        if speaker is not None:
            raise UserError("This voice has one speaker: leave speaker= out. Fine-tuning gives it another voice.")
        letters = [torch.tensor(task.read(text), device=next(net.parameters()).device) for text in texts]
        net, found = net.eval(), []
        make_sound = self._vocoder(vocoder, seed)
        for start in range(0, len(texts), AT_ONCE):
            some = letters[start : start + AT_ONCE]
            drawn = net.generate_all(some, [longest(len(one), self) for one in some], seed=seed)
            for text, numbers, one in zip(texts[start : start + AT_ONCE], some, drawn, strict=True):
                found.append(Speech(
                    text, make_sound(one.mel.cpu()), self.rate, one.mel.cpu().numpy(), one.alignment.T.cpu().numpy(),
                    "".join(SYMBOLS[i] for i in numbers), net.config.reduction * self.hop / self.rate, one.stopped))
        return found

    def _vocoder(self, vocoder: Any, seed: int) -> Any:
        """A function from a picture to sound (T,)."""
        if vocoder is None:
            return lambda mel: mel_to_audio(mel, self.settings)
        net, settings = open_vocoder(vocoder) if isinstance(vocoder, (str, Path)) else (vocoder, self.settings)
        if not isinstance(net, WaveNet):
            raise UserError(f"A vocoder is a WaveNet, its folder or its name, not {type(net).__name__}. None takes "
                            "Griffin-Lim, which needs no network.")
        if settings != self.settings:
            raise UserError(f"The vocoder hears pictures with {settings}, and this voice draws them with "
                            f"{self.settings}.")
        return lambda mel: net.generate(mel, seed=seed)


def open_vocoder(name: str | Path) -> tuple[WaveNet, MelSettings]:
    """A WaveNet and the settings of the pictures that it hears.

    Args:
        name: "wavenet-mini", or a folder.

    Raises:
        WeightsError: It is not there, damaged, or no WaveNet.

    Lesson 06.
    """
    folder = Path(name).expanduser()
    bundled = bundled_root() / "backbones" / str(name)
    if not folder.is_dir() and not (str(name) in SPECS and bundled.is_dir()):
        raise WeightsError(f"There is no vocoder '{name}': neither a folder nor one that comes with ftkit, as "
                           "wavenet-mini does.")
    if not folder.is_dir():
        Opened(SPECS[str(name)], "bundled", str(bundled)).check()
    net, settings = load_synthesiser(folder if folder.is_dir() else bundled)
    if not isinstance(net, WaveNet):
        raise WeightsError(f"'{name}' holds a {type(net).__name__}, which draws pictures. A vocoder is a WaveNet.")
    return net, settings


def voice_preprocess(opened: Any) -> VoicePreprocess:
    """What belongs to the weights of a synthesiser of ftkit's own; raises WeightsError for a damaged folder."""
    return VoicePreprocess(mel_settings(opened.path))
