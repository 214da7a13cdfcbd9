"""tacotron-mini: reads English letters aloud, as a log-mel picture.

What is hard for a Tacotron is the attention: nobody says which letter is spoken when. People's recordings take it days
to find that out. One synthetic voice reads as evenly as a program does and says as much as we like, so an hour on one
core is enough; fine-tuning then changes the voice, and the attention stays.

Short phrases come first, and a guide rewards an attention that goes from left to right until the run is half over
(Tachibana et al. 2017). It is judged by phrases that it never read, which the voice can read too: the distortion
between the two readings.
"""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ftkit.errors import DataError
from ftkit.machine import cpu_limit
from ftkit.pretraining.recipe import Recipe, decayed, half
from ftkit.pretraining.voices import VOICES, Voice, speak
from ftkit.speech.distortion import mel_cepstral_distortion
from ftkit.speech.mel import MelSettings
from ftkit.speech.pairs import Pair, collate, make_pair, save_synthesiser
from ftkit.speech.tacotron import Tacotron, TacotronConfig, tacotron_loss

SENTENCES = "ljspeech-transcripts.txt"
READER = "awb"  # a man from Scotland, recorded for flite; his voice may be trained on (see voices.py)
PHRASES, HELD_OUT = 2_400, 12
SHORTEST, LONGEST = 10, 60  # letters
WATCHED = (0, 100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000)  # steps at which its attention is kept


class TacotronMini(Recipe):
    """Tacotron 2 with a tenth of the paper's parameters and three frames a step."""

    name = "tacotron-mini"
    about = "A small Tacotron 2: letters to log-mel pictures of speech, 80 bands, 80 frames a second."
    data_about = ("2,400 phrases from the transcripts of LJSpeech (public domain), read aloud by one synthetic voice: "
                  "awb of flite, by Alan W Black.")
    licence = "MIT, as ftkit's code."
    weaknesses = ("One voice, and a synthetic one: it sounds like a program because it learnt from a program. It has "
                  "read phrases of 10 to 60 letters; longer sentences may lose the thread. It reads no digits, and it "
                  "guesses names and rare words by their spelling.")
    own_steps = 2_600
    batch_frames = 5_800
    lr = 1.5e-3
    guide = 2.0
    guide_steps = 0.5  # in this share of the run
    short_steps = 0.1  # in this share of the run, only the shorter half

    def prepare(self, work: Path) -> None:
        """Choose phrases, and let the voice read them."""
        self.watched = work / "attention"
        self.watched.mkdir(parents=True, exist_ok=True)
        phrases = choose_phrases(self.data / SENTENCES, PHRASES + HELD_OUT, self.rng(5))
        sounds = read_aloud(voice_called(READER), phrases, work / "read", self.bar)
        pairs = [make_pair(text, sound, MelSettings()) for text, sound in zip(phrases, sounds, strict=True)]
        self.first = phrases[0]
        self.held_out, self.pairs = pairs[:HELD_OUT], sorted(pairs[HELD_OUT:], key=lambda pair: len(pair.mel))

    def build(self) -> nn.Module:
        """Random weights."""
        return Tacotron(TacotronConfig.mini())

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """AdamW, as in the paper but for the decay, which spares biases and norms."""
        return [torch.optim.AdamW(decayed(net, 0.01), lr=self.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """Picture, end of the sentence, and at first the guide."""
        if step in WATCHED or step == self.steps - 1:
            self._watch(net, step)
        rng = self.rng(step, 1)
        short = step < self.short_steps * self.steps
        pool = self.pairs[: max(1, len(self.pairs) // 2)] if short else self.pairs
        batch = self._on_device(collate(of_like_length(pool, self.batch_frames, rng)))
        guide = self.guide * max(0.0, 1 - step / (self.guide_steps * self.steps))
        losses = tacotron_loss(net(**batch), batch["mel"], batch["mel_lengths"], batch["text_lengths"], guide,
                               silence=4)
        return torch.stack(list(losses.values())).sum()

    def validate(self, net: nn.Module) -> dict[str, float]:
        """On held-out phrases: loss with a teacher, distortion without one, and the share that came to an end."""
        batch = self._on_device(collate(self.held_out))
        losses = tacotron_loss(net(**batch), batch["mel"], batch["mel_lengths"], batch["text_lengths"])
        distortion, ended = [], 0
        for pair in self.held_out:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it did not stop is counted here
                spoken = net.generate(pair.text.to(self.device), 2 * len(pair.mel))  # type: ignore[operator]
            distortion.append(mel_cepstral_distortion(spoken.mel.cpu(), pair.mel))
            ended += spoken.stopped
        return {"mel_loss": float(losses["mel"]), "stop_loss": float(losses["stop"]),
                "distortion_dB": float(np.mean(distortion)), "stopped": ended / len(self.held_out)}

    def export(self, net: nn.Module, folder: Path) -> None:
        """Weights, sizes and the settings of the pictures; and how the attention came about, for lesson 06."""
        save_synthesiser(net, folder, MelSettings(), half(net.state_dict()))
        files = sorted(self.watched.glob("*.npy"))
        np.savez_compressed(folder / "attention.npz", text=self.first, steps=[int(file.stem) for file in files],
                            weights=np.stack([np.load(file) for file in files]))

    def _watch(self, net: nn.Module, step: int) -> None:
        """Keep where it looks before this step, in 8 bits, while it reads the first held-out phrase with a teacher."""
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):  # the step's own chance stays as it is
            weights = net.eval()(**self._on_device(collate(self.held_out[:1]))).alignment[0]
        net.train()
        np.save(self.watched / f"{step:05}.npy", (255 * weights.float().cpu().numpy()).round().astype(np.uint8))

    def fetch(self, folder: Path) -> None:
        """The sentences of LJSpeech from the hub."""
        from datasets import load_dataset

        loaded: Any = load_dataset("keithito/lj_speech", split="train")
        (folder / SENTENCES).write_text("\n".join(loaded["normalized_text"]), encoding="utf8")

    def _on_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


def voice_called(name: str) -> Voice:
    """One of `VOICES`."""
    return next(voice for voice in VOICES if voice.name == name)


def choose_phrases(file: Path, count: int, rng: np.random.Generator) -> list[str]:
    """Different phrases from one comma or full stop to the next, in random order.

    Raises:
        DataError: The file is missing.
    """
    if not file.is_file():
        raise DataError(f"There is no {file.name} in {file.parent}. Pass the folder that holds it, or --fetch.")
    found: dict[str, None] = {}
    for line in file.read_text(encoding="utf8").splitlines():
        for phrase in re.findall(r"[^,;:.?!]+[,;:.?!]?", line):
            phrase = phrase.strip(" '\"")
            if SHORTEST <= len(phrase) <= LONGEST and re.fullmatch(r"[A-Za-z' ,;:.?!-]+", phrase):
                found.setdefault(phrase)
    phrases = sorted(found)
    return [phrases[i] for i in rng.permutation(len(phrases))[:count]]


def read_aloud(voice: Voice, texts: list[str], kept: Path, bar: bool) -> list[np.ndarray]:
    """Each text read by the voice, float32 (T,); kept as 16-bit sound in one file, so that it is done once."""
    file = kept.with_suffix(".npz")
    if not file.is_file():
        def read(text: str) -> np.ndarray:
            return (speak(voice, text) * 32767).astype(np.int16)

        with ThreadPoolExecutor(cpu_limit()) as pool:
            sounds = list(tqdm(pool.map(read, texts), total=len(texts), desc="voice", disable=not bar))
        np.savez(kept.with_suffix(".new.npz"), sound=np.concatenate(sounds), ends=np.cumsum([len(s) for s in sounds]))
        kept.with_suffix(".new.npz").replace(file)
    with np.load(file) as arrays:
        return np.split(arrays["sound"].astype(np.float32) / 32768, arrays["ends"][:-1])


def of_like_length(pool: list[Pair], frames: int, rng: np.random.Generator, spread: int = 8) -> list[Pair]:
    """About so many frames of pairs from one place of a pool that is sorted by length; one pair in `spread` there."""
    at = int(rng.integers(len(pool)))
    count = max(1, min(40, frames // len(pool[at].mel)))
    first = max(0, min(at - count * spread // 2, len(pool) - count * spread))
    place = range(first, min(len(pool), first + count * spread))
    return [pool[i] for i in rng.choice(place, min(count, len(place)), replace=False)]
