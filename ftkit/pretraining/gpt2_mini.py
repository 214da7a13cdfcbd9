"""gpt2-mini: a small GPT-2 that has read simple stories: given some words, which one comes next?

Nothing is labelled. Each token of the books is the target for all the tokens before it. To guess well, the network must
learn spelling, grammar, who is speaking, and a little of how stories go. Fine-tuning then changes the style.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ftkit.backbones.quiet import quiet_transformers
from ftkit.pretraining.kneser_ney import KneserNey
from ftkit.pretraining.recipe import Recipe, half
from ftkit.pretraining.texts import fetch_gutenberg, read_paragraphs

VOCABULARY = 4_096
CONTEXT = 256  # tokens per training sequence; the network has room for twice as many
END = "<|endoftext|>"
HELD_OUT = 20  # one book in so many is kept for validation,
VALID_TOKENS = 25_000  # and so many tokens of it are scored


class GPT2Mini(Recipe):
    """GPT2LMHeadModel with 4 layers, 256 wide, its own byte-level BPE of 4,096 tokens: 4.3 million parameters."""

    name = "gpt2-mini"
    about = "A small GPT-2 (Radford et al. 2019) that has read 76 books of children's stories."
    data_about = "Children's and other simple stories (Project Gutenberg), in the public domain in the US."
    licence = "MIT, as ftkit's code: the books belong to everybody."
    weaknesses = ("It writes simple English sentences and soon loses the thread. It knows no facts. Most of what it "
                  "read is older than 1930: so are its words, and its view of women, of other peoples and of animals.")
    own_steps = 3_600
    batch_size = 16
    lr = 2e-3
    kinds = ("stories",)

    def prepare(self, work: Path) -> None:
        """Train the tokenizer on the stories, and turn all books into numbers."""
        kept = work / "tokenizer.json"
        if not kept.is_file():
            train_tokenizer(read_paragraphs(self.data, ("stories",)), kept)
        self.tokenizer = load_tokenizer(kept)
        tokens = work / "tokens.npz"
        if not tokens.is_file():
            train, valid = encode_books(self.tokenizer, read_paragraphs(self.data, self.kinds))
            np.savez(work / "tokens.new.npz", train=train, valid=valid)
            (work / "tokens.new.npz").replace(tokens)
        with np.load(tokens) as arrays:
            self.train = torch.from_numpy(arrays["train"].astype(np.int64))
            self.valid = torch.from_numpy(arrays["valid"].astype(np.int64))

    def build(self) -> nn.Module:
        """Random weights, as GPT-2's authors draw them."""
        from transformers import GPT2Config, GPT2LMHeadModel

        end = self.tokenizer.eos_token_id
        return GPT2LMHeadModel(GPT2Config(
            vocab_size=len(self.tokenizer), n_positions=2 * CONTEXT, n_embd=256, n_layer=4, n_head=4, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
            activation_function="gelu_pytorch_tanh"))  # GPT-2's own "gelu_new", in one operation

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for the embeddings and the vectors.

        Muon makes all directions of a matrix's step equally long, so that rare ones are learnt too.
        Embeddings are looked up row by row: for them AdamW is right.
        """
        blocks = net.get_submodule("transformer.h")
        matrices = [p for p in blocks.parameters() if p.dim() == 2]
        others = [p for p in net.parameters() if all(p is not matrix for matrix in matrices)]
        return [torch.optim.Muon(matrices, lr=self.lr, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(others, lr=self.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """Cross-entropy of the next token, over 16 stretches from anywhere in the books."""
        length = min(CONTEXT, len(self.train) - 1)
        starts = self.rng(step, 1).integers(0, len(self.train) - length, self.batch_size)
        rows = torch.stack([self.train[start : start + length + 1] for start in starts.tolist()])
        return next_token_loss(net, rows.to(self.device)).mean()

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Mean loss per token on held-out books, in nats."""
        return {"valid_loss": mean_loss(net, self.valid.to(self.device), CONTEXT)}

    def facts(self) -> dict[str, Any]:
        """The same loss by counting: a Kneser-Ney 5-gram of the same training tokens."""
        baseline = KneserNey(self.train.numpy(), len(self.tokenizer))
        return {"loss of a Kneser-Ney 5-gram": f"{baseline.loss(self.valid.numpy()):.3f}",
                "training tokens": f"{len(self.train):,}"}

    def export(self, net: nn.Module, folder: Path) -> None:
        """A transformers folder."""
        with quiet_transformers():
            state = half(net.state_dict())
            state.pop("lm_head.weight")  # the word vectors once more
            net.save_pretrained(folder, state_dict=state)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)

    def fetch(self, folder: Path) -> None:
        """Books of Project Gutenberg."""
        fetch_gutenberg(folder)


def train_tokenizer(paragraphs: list[str], file: Path) -> None:
    """Learn 4,096 byte-level pieces (Sennrich et al. 2016): common words become one token, rare ones several."""
    from tokenizers import ByteLevelBPETokenizer

    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(paragraphs, vocab_size=VOCABULARY, min_frequency=2, special_tokens=[END],
                                show_progress=False)
    trainer.save(str(file))


def load_tokenizer(file: Path) -> Any:
    """GPT-2's tokenizer with our pieces."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(file), bos_token=END, eos_token=END, unk_token=END,
                                   model_max_length=2 * CONTEXT)


def encode_books(tokenizer: Any, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """All tokens of the training books, and the first of the held-out ones, uint16; a book ends with the end token."""
    books: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            books[-1].append(line)
        elif books[-1]:
            books.append([])
    books = [book for book in books if book]
    parts: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for number, book in enumerate(books):
        rows = tokenizer.backend_tokenizer.encode_batch_fast([line + "\n" for line in book])
        held = number % HELD_OUT == HELD_OUT - 1 or (len(books) < HELD_OUT and number == len(books) - 1)
        tokens = np.array([*(i for row in rows for i in row.ids), tokenizer.eos_token_id], dtype=np.uint16)
        parts[held].append(tokens[:VALID_TOKENS] if held else tokens)
    return np.concatenate(parts[False]), np.concatenate(parts[True])


def next_token_loss(net: nn.Module, rows: Tensor) -> Tensor:
    """Cross-entropy of each token given those before it: rows (B, T + 1) to losses (B * T,), in nats."""
    logits = net(input_ids=rows[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten(), reduction="none")


def mean_loss(net: nn.Module, tokens: Tensor, context: int) -> float:
    """Mean loss per token when the tokens are read in windows: each window's second half is scored.

    So every scored token has at least half a window before it, as it has for an n-gram model.
    """
    stride = context // 2
    starts = range(0, len(tokens) - context - 1, stride)
    total, count = 0.0, 0
    for at in range(0, len(starts), 32):
        rows = torch.stack([tokens[start : start + context + 1] for start in starts[at : at + 32]])
        losses = next_token_loss(net, rows).view(len(rows), context)[:, stride:]
        total, count = total + float(losses.sum()), count + losses.numel()
    return total / count
