"""Causal language modelling: which token comes next? The task that text generators are trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import UserError
from ftkit.tasks.base import Batch, Encoded, LossSum, Source, Task
from ftkit.tasks.logprobs import HIDDEN, token_logprobs
from ftkit.tasks.packing import keeps_apart, packed
from ftkit.tasks.passages import documents

_MOST_LOGITS = 2**26  # in one batch without gradients: 256 MB of float32


@dataclass(frozen=True)
class CausalLM(Task):
    """Each token of a text is the target for all the tokens before it (Radford et al. 2019). Lesson 07.

    Args:
        labels: Always empty: a text is no class.
        multilabel: Always False.
        block: Longer documents are cut into pieces of this many tokens, and no token is left out. A network that has
            room for fewer gets shorter pieces.
        pad_to: Batches are padded to a multiple of this many tokens: see TextClassification.
        packing: In training, put several documents into one row of up to `block` tokens; they do not see each other,
            and the losses are the same. It turns the feature cache off, because rows differ from epoch to epoch.
    """

    block: int = 256
    pad_to: int = 1
    packing: bool = False

    name: ClassVar[str] = "causal-lm"
    modality: ClassVar[str] = "text"
    best_by: ClassVar[str] = "valid_loss"
    generates: ClassVar[bool] = True

    def build(self, source: Source) -> nn.Module:
        """A `...ForCausalLM` or `...LMHeadModel` network with the head that it was pretrained with.

        Raises:
            UserError: The network reads in both directions, as BERT does: it would see the token that it is to guess.
                With `packing`, documents of one row would see each other.
        """
        net = source.transformers("AutoModelForCausalLM").eval()
        if looks_ahead(net):
            raise UserError(f"{type(net).__name__.partition('LMHead')[0]} reads in both directions: it sees the word "
                            "that it is to guess, and cannot write texts. Use gpt2-mini, gpt2 or distilgpt2.")
        if self.packing and not keeps_apart(net):
            raise UserError(f"packing=True does not fit {type(net).__name__}: documents in one row would see each "
                            "other. Leave packing out.")
        return net

    @property
    def random(self) -> bool:
        """With packing: documents share their rows with others in each epoch."""
        return self.packing

    def encode(self, inputs: Sequence[Any], targets: Sequence[Any], processor: Any) -> Encoded:
        """Documents as rows of (ids, labels), the labels one step ahead: labels[t] is what follows ids[: t + 1].

        Where a document is cut, the last token of a piece is the first of the next, so that each token is predicted
        exactly once. Pieces in which nothing is learned, such as those inside a long prompt, are left out.
        """
        room = min(self.block, processor.model_max_length)
        rows, sizes, owner = [], [], []
        for number, document in enumerate(documents(inputs, targets, processor)):
            labels = np.where(document.learned, document.ids, HIDDEN)[1:]
            size = document.size
            for start in range(0, len(labels), room):
                piece = labels[start : start + room]
                if (piece != HIDDEN).any():
                    rows.append((document.ids[start : start + len(piece)], piece, size))
                    sizes.append(len(piece))
                    owner.append(number)
                    size = 0  # the bytes of a document count once
        return Encoded(rows, [int((labels != HIDDEN).sum()) for _, labels, _ in rows], np.array(sizes, dtype=int),
                       owner=np.array(owner, dtype=int), most=max(room, _MOST_LOGITS // len(processor)))

    def collate(self, encoded: Encoded, indices: Sequence[int], processor: Any, train: bool = False) -> Batch:
        """`input_ids` (B, T) and `labels` (B, T), -100 where nothing is to be learned; `bytes` (B,).

        No attention mask is needed: a token looks only to the left, and the padding is on the right. Packed rows have
        `position_ids` (B, T) as well.
        """
        rows = [encoded.features[i] for i in indices]
        if self.packing and train:
            return packed(rows, min(self.block, processor.model_max_length), processor.eos_token_id)
        longest = max(len(ids) for ids, _, _ in rows)
        width = max(longest, min(-(-longest // self.pad_to) * self.pad_to, processor.model_max_length))
        ids = np.full((len(rows), width), processor.eos_token_id, dtype=np.int64)
        labels = np.full((len(rows), width), HIDDEN, dtype=np.int64)
        for i, (row, wanted, _) in enumerate(rows):
            ids[i, : len(row)], labels[i, : len(row)] = row, wanted
        return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels),
                "bytes": torch.tensor([size for _, _, size in rows])}

    def blank(self) -> Any:
        """No completion."""
        return None

    def forward(self, net: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, T, tokens): what comes after each token."""
        places = {"position_ids": batch["position_ids"]} if "position_ids" in batch else {}
        if places and hasattr(net.get_input_embeddings(), "prompt"):  # type: ignore[operator]
            raise UserError("A learned prompt stands before the first document of a row only. Leave packing out.")
        return net(input_ids=batch["input_ids"], use_cache=False, **places).logits

    def counted(self, logits: Tensor, batch: Batch) -> Tensor:
        """The logits with zeros where nothing is learned, padding included."""
        return logits * (batch["labels"] != HIDDEN).unsqueeze(-1)

    def losses(self, logits: Tensor, batch: Batch, class_weights: Tensor | None = None) -> Tensor:
        """The loss of each row (B,), in nats per token."""
        return -token_logprobs(logits, batch["labels"]).sum(-1) / (batch["labels"] != HIDDEN).sum(-1).clamp(min=1)

    def loss(self, net: nn.Module, batch: Batch, class_weights: Tensor | None = None) -> LossSum:
        """Cross-entropy summed over tokens, in float32; `n` counts the tokens: each weighs the same."""
        logits = self.forward(net, batch).float()
        return LossSum(-token_logprobs(logits, batch["labels"]).sum(), float((batch["labels"] != HIDDEN).sum()), logits)

    def answers(self, logits: Tensor, batch: Batch, net: nn.Module, processor: Any) -> Any:
        """(B, 3): of each row the tokens that were to be predicted, how many were right at first guess, and bytes."""
        known = batch["labels"] != HIDDEN
        right = (logits.argmax(-1) == batch["labels"]) & known
        return torch.stack([known.sum(-1), right.sum(-1), batch["bytes"]], dim=1).cpu().numpy()

    def joined(self, encoded: Encoded, answers: Any, losses: np.ndarray) -> tuple[Any, np.ndarray]:
        """Answers (N, 3) and losses (N,) of whole documents from those of their pieces."""
        assert encoded.owner is not None
        n = int(encoded.owner.max()) + 1
        sums = [np.bincount(encoded.owner, column, n) for column in (*answers.T, losses * answers[:, 0])]
        return np.stack(sums[:3], axis=1), sums[3] / sums[0]

    def metrics(self, answers: np.ndarray, targets: Any) -> dict[str, float]:
        """ "accuracy": the share of tokens that the network would have put first."""
        return {"accuracy": float(answers[:, 1].sum() / answers[:, 0].sum())}

    def scores(self, answers: np.ndarray, losses: np.ndarray, targets: Any) -> dict[str, float]:
        """ "accuracy", "perplexity", "bits_per_byte", "loss": over all tokens, whatever the row they stand in.

        The loss is in nats per token, perplexity is its exponential: both depend on how a tokenizer cuts texts. Bits
        per byte do not, and compare models of different tokenizers.
        """
        tokens, _, size = map(float, answers.sum(0))
        nats = float((losses * answers[:, 0]).sum())
        return {**self.metrics(answers, targets), "perplexity": math.exp(min(nats / tokens, 700.0)),
                "bits_per_byte": nats / math.log(2) / max(1, size), "loss": nats / tokens}


def looks_ahead(net: nn.Module) -> bool:
    """Whether what a network says of a token changes with the tokens after it: tried out, for a name proves nothing."""
    ids = torch.zeros(1, 4, dtype=torch.long, device=next(net.parameters()).device)
    other = ids.clone()
    other[0, -1] = 1
    with torch.no_grad():
        one, two = (net(input_ids=row, use_cache=False).logits[0, :-1] for row in (ids, other))
    return bool((one - two).abs().max() > 1e-4 * (1 + one.abs().max()))
