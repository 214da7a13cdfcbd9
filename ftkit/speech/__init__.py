"""Speech synthesis: letters to a picture of sound (Tacotron 2), and the picture to sound (WaveNet, Griffin-Lim).

No kept library has these two networks, so they are written out here, each in one file with the equations of its paper.
tacotron.py and wavenet.py are for reading; lesson 06 (06_speech_synthesis) uses them.
"""

from __future__ import annotations

from ftkit.speech.cached import generate_levels
from ftkit.speech.distortion import mel_cepstral_distortion
from ftkit.speech.griffin_lim import griffin_lim, mel_to_audio
from ftkit.speech.mel import MelSettings, log_mel, mel_to_linear
from ftkit.speech.pairs import Pair, collate, load_synthesiser, make_pair, save_synthesiser
from ftkit.speech.spoken import Speech
from ftkit.speech.tacotron import Spoken, Tacotron, TacotronConfig, tacotron_layout, tacotron_loss
from ftkit.speech.text import SYMBOLS, encode
from ftkit.speech.wavenet import WaveNet, WaveNetConfig, mu_law_decode, mu_law_encode, wavenet_layout

__all__ = ["SYMBOLS", "MelSettings", "Pair", "Speech", "Spoken", "Tacotron", "TacotronConfig", "WaveNet",
           "WaveNetConfig", "collate", "encode", "generate_levels", "griffin_lim", "load_synthesiser", "log_mel",
           "make_pair", "mel_cepstral_distortion", "mel_to_audio", "mel_to_linear", "mu_law_decode",
           "mu_law_encode", "save_synthesiser", "tacotron_layout", "tacotron_loss", "wavenet_layout"]
