"""Speech synthesis: a sound for a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import DataError, UserError
from ftkit.speech.distortion import mel_cepstral_distortion
from ftkit.speech.pairs import Pair
from ftkit.speech.pairs import collate as collate_pairs
from ftkit.speech.tacotron import Drawn, Spoken, tacotron_loss
from ftkit.speech.text import encode
from ftkit.tasks.base import Batch, Encoded, LossSum, Source, Task
from ftkit.tasks.sounds import decode_all

OVER = 4  # frames of the silence behind each sentence that already count as its end
SLOWEST = 0.15  # seconds for a letter, twice what people need: a voice that takes longer has lost the thread


@dataclass(frozen=True)
class TextToSpeech(Task):
    """Synthesis by Tacotron 2: letters to a log-mel picture. Lesson 06.

    It learns with a teacher: at each step it is shown the true frame before, not its own. What it is worth shows when
    it speaks alone: `distortion` is the mel-cepstral distortion in decibels between its own reading of a sentence and
    the true one, `stopped` the share of sentences whose end it found.

    Args:
        labels: Always empty: a sound is no class.
        multilabel: Always False.
        letters: Those of the texts, for information.
        guide: Weight of guided attention in the loss (see `tacotron_loss`). A pretrained voice looks where it should.
        max_letters: Longer texts are refused: split them into sentences.
        max_seconds: Longer recordings are refused.
    """

    labels: tuple[str, ...] = ()
    letters: str = ""
    guide: float = 0.0
    max_letters: int = 160
    max_seconds: float = 15.0

    name: ClassVar[str] = "text-to-speech"
    modality: ClassVar[str] = "voice"
    holds: ClassVar[str] = "audio"
    best_by: ClassVar[str] = "distortion"
    cacheable: ClassVar[bool] = False
    mixed: ClassVar[bool] = False  # many small steps of LSTMs: not every processor has these in bf16

    def build(self, source: Source) -> nn.Module:
        """A Tacotron; or a synthesiser of transformers, which can speak but is not trained here."""
        return source.synthesiser()

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Letters as numbers and sounds as log-mel pictures, once; lengths are frames.

        Raises:
            DataError: A text with digits or without letters; a text or a recording that is too long; a silent one.
        """
        if not hasattr(processor, "picture"):
            raise UserError("ftkit trains Tacotrons. VITS and SpeechT5 can speak here (ft.speak), but not learn or be "
                            "evaluated.")
        texts = [self.read(text) for text in inputs]
        sounds = decode_all(targets, processor)
        for sound, text in zip(sounds, inputs, strict=True):
            if len(sound) > self.max_seconds * processor.rate:
                raise DataError(f"A recording lasts {len(sound) / processor.rate:.0f} seconds ({text!s:.60}); a "
                                f"synthesiser learns from {self.max_seconds:.0f} at most. Cut it into sentences.")
        pairs = [Pair(torch.tensor(text), processor.picture(sound))
                 for text, sound in zip(texts, sounds, strict=True)]
        lengths = np.array([len(pair.mel) for pair in pairs], dtype=int)
        return Encoded(pairs, [pair.mel for pair in pairs], lengths, processor.rate / processor.hop)

    def read(self, text: Any) -> list[int]:
        """The numbers of a text's letters; raises DataError for what cannot be read aloud."""
        if not isinstance(text, str):
            raise DataError(f"A synthesiser reads texts, not {type(text).__name__}.")
        numbers = encode(text)
        if len(numbers) - 1 > self.max_letters:
            raise DataError(f"A text has {len(numbers) - 1} letters; a synthesiser reads {self.max_letters} at a time, "
                            f"and those that it learnt from were shorter. Split it into sentences: '{text[:60]}…'")
        return numbers

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`text` (B, N), `text_lengths` (B,), `mel_lengths` (B,); `labels`, the true pictures (B, T, M)."""
        pairs: Any = encoded.features
        batch = collate_pairs([pairs[i] for i in indices])
        batch["labels"] = batch.pop("mel")
        return batch

    def width(self, batch: Batch) -> int | None:
        """None: letters at one end, frames at the other."""
        return None

    def blank(self) -> Any:
        """A short hum."""
        return np.sin(np.arange(1_600) / 10).astype(np.float32)

    def forward(self, net: nn.Module, batch: Batch) -> Any:
        """What the network draws with a teacher: a `Drawn`. In evaluation the prenet's chance is always the same."""
        given = {"text": batch["text"], "text_lengths": batch["text_lengths"], "mel": batch["labels"],
                 "mel_lengths": batch["mel_lengths"]}
        if net.training:
            return net(**given)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return net(**given)

    def losses(self, logits: Any, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """The loss of each example (B,): squared error of the picture, and of when it ends."""
        rows = range(len(batch["labels"]))
        return torch.stack([self._loss(Drawn(*(part[i : i + 1] for part in logits)),
                                       {name: tensor[i : i + 1] for name, tensor in batch.items()}) for i in rows])

    def loss(self, net: nn.Module, batch: Batch, class_weights: Tensor | None = None) -> LossSum:
        """The mean over all frames of the batch, times their number."""
        drawn, frames = self.forward(net, batch), float(batch["mel_lengths"].sum())
        return LossSum(self._loss(drawn, batch) * frames, frames, drawn.after)

    def _loss(self, drawn: Drawn, batch: Batch) -> Tensor:
        parts = tacotron_loss(drawn, batch["labels"], batch["mel_lengths"], batch["text_lengths"], self.guide, OVER)
        return torch.stack(list(parts.values())).sum()

    def answers(self, logits: Any, batch: Batch, net: nn.Module, processor: Any) -> Any:
        """What the network draws alone for each text: a list of `Spoken`."""
        texts = [row[:count] for row, count in zip(batch["text"], batch["text_lengths"].tolist(), strict=True)]
        drawn = net.generate_all(texts, [longest(len(text), processor) for text in texts])  # type: ignore[operator]
        return [Spoken(one.mel.cpu(), one.alignment.cpu(), one.stopped) for one in drawn]

    def metrics(self, answers: Sequence[Spoken], targets: Any) -> dict[str, float]:
        """ "distortion" in decibels, lower is better; "stopped", the share of sentences whose end was found."""
        far = [mel_cepstral_distortion(one.mel, true) for one, true in zip(answers, targets, strict=True)]
        return {"distortion": float(np.mean(far)), "stopped": float(np.mean([one.stopped for one in answers]))}


def longest(letters: int, processor: Any) -> int:
    """Frames after which a sentence of so many letters is cut off."""
    return int((1 + SLOWEST * letters) * processor.rate / processor.hop)


def unreadable(text: str) -> str:
    """Why a synthesiser cannot read this text aloud; "" if it can."""
    try:
        encode(text)
    except DataError as error:
        return str(error)
    return ""
