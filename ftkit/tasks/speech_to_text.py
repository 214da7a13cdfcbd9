"""Speech recognition by an encoder and a decoder that writes, as Whisper does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import DataError
from ftkit.tasks.base import Batch, Encoded, Source, Task
from ftkit.tasks.logprobs import HIDDEN, token_logprobs
from ftkit.tasks.pauses import LONGEST, cut_at_pauses
from ftkit.tasks.sounds import decode_all, masking
from ftkit.tasks.spelling import error_rates


@dataclass(frozen=True)
class SpeechToText(Task):
    """Recognition by Whisper: an encoder hears the whole sound, a decoder writes the text piece by piece. Lesson 05.

    Unlike CTC it has a language model inside: it spells, puts commas, and can write what nobody said.

    Args:
        labels: Always empty: a text is no class.
        multilabel: Always False.
        letters: Those of the transcripts, for information; the tokenizer writes any text.
        max_tokens: Longer texts are refused in training, and answers end there.
    """

    letters: str = ""
    max_tokens: int = 200

    name: ClassVar[str] = "speech-to-text"
    modality: ClassVar[str] = "audio"

    def build(self, source: Source) -> nn.Module:
        """A `...ForConditionalGeneration` network."""
        return source.transformers("AutoModelForSpeechSeq2Seq")

    def prepare(self, net: nn.Module) -> None:
        """No masking, and no layer is skipped by chance."""
        masking(net, False)

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Sounds decoded once; targets are token ids; lengths are tokens, for each sound is padded to half a minute."""
        sounds = decode_all(inputs, processor)
        for sound, item in zip(sounds, inputs, strict=True):
            if len(sound) > processor.longest:
                raise DataError(f"A sound lasts {len(sound) / processor.rate:.0f} seconds ({item!s:.80}); the network "
                                f"hears {processor.longest / processor.rate:.0f} at most. Cut it where one pauses.")
        tokens = [processor.tokens(text) for text in targets]
        long = next((text for row, text in zip(tokens, targets, strict=True) if len(row) > self.max_tokens), None)
        if long is not None:
            raise DataError(f"A text has more than {self.max_tokens} tokens: '{long[:60]}…'. Cut sound and text.")
        return Encoded(sounds, tokens, np.array([len(row) for row in tokens], dtype=int), said=list(targets))

    def cut(self, items: Sequence[Any], processor: Any) -> list[list[Any]]:
        """Decoded sounds; one that is longer than the network hears in pieces, cut at pauses."""
        longest = min(LONGEST, processor.longest / processor.rate)
        return [cut_at_pauses(sound, processor.rate, longest) for sound in decode_all(items, processor)]

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`input_features` (B, mels, frames); `decoder_input_ids` and `labels` (B, L), -100 behind shorter texts."""
        rows = [torch.as_tensor(encoded.targets[i], dtype=torch.long) for i in indices]
        labels = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=HIDDEN)
        shifted = torch.cat([torch.full((len(rows), 1), processor.start), labels[:, :-1]], dim=1)
        return {"input_features": processor.features([encoded.features[i] for i in indices]),
                "decoder_input_ids": shifted.masked_fill(shifted == HIDDEN, processor.tokenizer.pad_token_id),
                "labels": labels}

    def width(self, batch: Batch) -> int | None:
        """None: the encoder's frames are always as many."""
        return None

    def blank(self) -> Any:
        """No text."""
        return ""

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, L, tokens), each piece seeing the right ones before it."""
        return net(input_features=batch["input_features"], decoder_input_ids=batch["decoder_input_ids"]).logits

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """Cross-entropy of each example (B,), averaged over its tokens."""
        return -token_logprobs(logits, batch["labels"]).sum(-1) / (batch["labels"] != HIDDEN).sum(-1).clamp(min=1)

    def answers(self, logits: Tensor, batch: Batch, net: nn.Module, processor: Any) -> Any:
        """The text of each example, written token by token without a look at the right one."""
        room: Any = net.config
        most = min(self.max_tokens, room.max_target_positions - 4)  # the first tokens say language and task
        ids = net.generate(input_features=batch["input_features"], max_new_tokens=most)  # type: ignore[operator]
        return [text.strip() for text in processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def metrics(self, answers: Sequence[str], targets: Any) -> dict[str, float]:
        """ "accuracy" is 1 - cer, and not below 0; "cer" and "wer" as in ftkit.tasks.spelling."""
        rates = error_rates(answers, list(targets))
        return {"accuracy": max(0.0, 1 - rates["cer"]), **rates}
