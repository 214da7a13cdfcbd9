"""Speech recognition by CTC: a text for a sound, letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import DataError
from ftkit.tasks.base import Batch, Encoded, Source, Task
from ftkit.tasks.decoding import collapse
from ftkit.tasks.pauses import LONGEST, cut_at_pauses
from ftkit.tasks.sounds import call, decode_all, masking, sound_batch
from ftkit.tasks.spelling import error_rates, spell

GAP = "|"  # how vocabularies write the space between words


@dataclass(frozen=True)
class CTC(Task):
    """Recognition of speech: nobody says *when* a letter is spoken, and the network finds out. Lesson 05.

    The loss sums over all ways to stretch the letters along the sound (Graves et al. 2006).

    Args:
        labels: Always empty: a text is no class.
        multilabel: Always False.
        letters: Those of the transcripts, after `spell`. A backbone that knows them keeps its head; another one gets a
            fresh head for these.
        vocabulary: What the head writes, by number; `load_backbone` fills it in.
        blank_number: Of the blank, which transformers calls the padding token.
        augment: In training, play each sound at one of three speeds (Ko et al. 2015), and mask stretches of time
            (SpecAugment, Park et al. 2019). It turns the feature cache off.
        max_seconds: A longer sound is refused in training and evaluation: its letters would not fit what is left of
            it. A model that is only asked hears it in pieces.
    """

    letters: str = ""
    vocabulary: tuple[str, ...] = ()
    blank_number: int = 0
    augment: bool = False
    max_seconds: float = 60.0

    name: ClassVar[str] = "ctc"
    modality: ClassVar[str] = "audio"
    strategy: ClassVar[str] = "frozen_stem"

    @property
    def random(self) -> bool:
        """Whether a training batch differs from epoch to epoch."""
        return self.augment

    def build(self, source: Source) -> nn.Module:
        """A `...ForCTC` network whose head writes the vocabulary."""
        return source.transformers("AutoModelForCTC", vocab_size=len(self.vocabulary), pad_token_id=self.blank_number,
                                   ctc_zero_infinity=True)

    def prepare(self, net: nn.Module) -> None:
        """Mask only when augmentation is wanted, and never skip a whole layer by chance."""
        masking(net, self.augment)

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Sounds decoded and resampled once; targets are the numbers of the letters; lengths are frames."""
        sounds = decode_all(inputs, processor)
        for sound, item in zip(sounds, inputs, strict=True):
            if len(sound) > self.max_seconds * processor.rate:
                raise DataError(f"A sound lasts {len(sound) / processor.rate:.0f} seconds ({item!s:.80}); a recogniser "
                                f"takes {self.max_seconds:.0f} at most. Cut it where the speaker pauses.")
        spelt = [numbers(text, self.vocabulary) for text in targets]
        lengths = np.array([processor.frames(len(sound)) for sound in sounds], dtype=int)
        return Encoded(sounds, spelt, lengths, processor.rate / processor.hop, list(targets))

    def cut(self, items: Sequence[Any], processor: Any) -> list[list[Any]]:
        """Decoded sounds; one that lasts longer than `max_seconds` in pieces of half a minute, cut at pauses."""
        longest = min(LONGEST, self.max_seconds)
        return [cut_at_pauses(sound, processor.rate, longest) if len(sound) > self.max_seconds * processor.rate else
                [sound] for sound in decode_all(items, processor)]

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`input_values`, `attention_mask` (B, T); `frames` (B,); `labels` (B, L), -1 behind shorter texts."""
        rows = [encoded.targets[i] for i in indices]
        labels = torch.full((len(rows), max([1, *map(len, rows)])), -1)
        for i, row in enumerate(rows):
            labels[i, : len(row)] = torch.as_tensor(row, dtype=torch.long)
        return {**sound_batch(encoded, indices, processor, train and self.augment), "labels": labels}

    def width(self, batch: Batch) -> int | None:
        """Frames of the padded batch."""
        return int(batch["frames"].max())

    def blank(self) -> Any:
        """No text."""
        return ""

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, frames, letters)."""
        return call(net, batch).logits

    def counted(self, logits: Tensor, batch: Batch) -> Tensor:
        """The logits with zeros behind the last frame of each sound."""
        place = torch.arange(logits.shape[1], device=logits.device)
        return logits * (place < batch["frames"].unsqueeze(1)).unsqueeze(-1)

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """The CTC loss of each example (B,), by its number of letters; 0 where the sound is too short for its text."""
        lengths = (batch["labels"] >= 0).sum(-1)
        scores = logits.log_softmax(-1).transpose(0, 1)  # (frames, B, letters)
        sums = nn.functional.ctc_loss(scores, batch["labels"].clamp(min=0), batch["frames"], lengths,
                                      blank=self.blank_number, reduction="none", zero_infinity=True)
        return sums / lengths.clamp(min=1)

    def answers(self, logits: Tensor, batch: Batch, net: nn.Module, processor: Any) -> Any:
        """The text of each example, greedily decoded."""
        best = zip(logits.argmax(-1).cpu().tolist(), batch["frames"].tolist(), strict=True)
        return [written(collapse(row[:count], self.blank_number), self.vocabulary) for row, count in best]

    def metrics(self, answers: Sequence[str], targets: Any) -> dict[str, float]:
        """ "accuracy" is 1 - cer, and not below 0; "cer" and "wer" as in ftkit.tasks.spelling."""
        rates = error_rates(answers, list(targets))
        return {"accuracy": max(0.0, 1 - rates["cer"]), **rates}


def numbers(text: str, vocabulary: Sequence[str]) -> list[int]:
    """The letters of a transcript as numbers; raises DataError for letters that the vocabulary lacks."""
    known = {letter: number for number, letter in enumerate(vocabulary)}
    spelt = spell(text).upper() if "A" in known and "a" not in known else spell(text)  # some recognisers write capitals
    missing = sorted({letter for letter in spelt if letter != " " and letter not in known})
    if missing:
        letters = "".join(letter for letter in vocabulary if len(letter) == 1 and letter != GAP)
        raise DataError(f"The recogniser cannot write {', '.join(missing)} (in '{text[:60]}'). It knows {letters}.")
    return [known[GAP if letter == " " else letter] for letter in spelt]


def written(row: Sequence[int], vocabulary: Sequence[str]) -> str:
    """The text of a row of numbers, in small letters; names such as <unk> are left out."""
    names = [" " if vocabulary[number] == GAP else vocabulary[number] for number in row]
    return " ".join("".join(name for name in names if len(name) == 1).split()).lower()
