"""bert-mini: MiniLM with four of its six layers and a fifth of its words, taught by the whole of MiniLM.

Three ideas make a small network good that would be poor if it began from nothing:

1. It begins as a copy. Four of the teacher's six layers and the word vectors that it keeps are taken over.
2. Its vocabulary is cut. Half of MiniLM's 22.7 million numbers are vectors of words, most of them rare. Rare words are
   spelt in pieces instead: "harpoon" becomes "harp ##oon".
3. It is distilled (Hinton et al. 2015; Jiao et al. 2020): for ordinary sentences it learns to give each *word* the
   vector that the teacher gives it. Teacher and student cut words into different pieces, so the mean over a word's
   pieces is what is compared. No labels are needed.

And one flaw of the teacher is mended. all-MiniLM was trained so that the *mean* over all pieces says what a sentence
means. A classifier on BERT reads another vector, the pooled first piece, which nobody ever trained in it: a linear
probe on that is right on 82 % of a set of subjective and objective sentences, on the mean 90 % (500 examples, three
seeds). So the student's pooled vector learns to be the teacher's mean.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ftkit.backbones.quiet import quiet_transformers
from ftkit.backbones.sources import open_source
from ftkit.pretraining.recipe import Recipe, decayed, half
from ftkit.pretraining.texts import fetch_gutenberg, read_paragraphs, sentences
from ftkit.training.batches import epoch_batches

VOCABULARY = 6_500
LAYERS = (0, 1, 3, 4)  # of the teacher's six: what the student's four begin as
MATCHED = (1, 3, 4, 6)  # after how many of the teacher's layers stands what each of the four learns to give
WEIGHTS = (0.1, 0.1, 0.2, 0.5)  # of these four in the loss: the last one is what is used
POSITIONS = 256
POOLED_SCALE = 8.0  # a sentence vector has length 1: its 384 numbers become 0.4 large, which suits a tanh
TEACHER = "minilm"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HELD_OUT = 512  # sentences


class BertMini(Recipe):
    """A BertModel of 4 layers, 384 wide, 6,500 WordPieces: 9.8 million parameters."""

    name = "bert-mini"
    about = "Four layers and 6,500 WordPieces of MiniLM, distilled from the whole of it."
    data_about = "Sentences of English books, in the public domain in the US. Teacher: all-MiniLM-L6-v2 (Apache-2.0)."
    licence = "Apache-2.0, as that of its teacher."
    weaknesses = ("English, lower case. At most 256 WordPieces. Rare and technical words are spelt in pieces, which it "
                  "understands less well than MiniLM does. It was distilled on old books: slang and new words come "
                  "from the teacher's vectors alone.")
    own_steps = 2_400
    batch_size = 96
    lr = 4e-4

    def prepare(self, work: Path) -> None:
        """Choose the vocabulary, and make the tokenizers of teacher and student."""
        from transformers import AutoModel, AutoTokenizer

        found = sentences(read_paragraphs(self.data))
        order = self.rng(7).permutation(len(found))
        wanted = min(len(found), HELD_OUT + self.steps * self.batch_size)
        self.texts = [found[i] for i in order[HELD_OUT:wanted]]
        self.held_out = [found[i] for i in order[:HELD_OUT]]
        self.lengths = np.array([len(text) for text in self.texts])
        opened = open_source(TEACHER)
        opened.check()
        with quiet_transformers():
            self.teacher = AutoModel.from_pretrained(opened.path, use_safetensors=True, dtype=torch.float32)
            self.teacher_tokenizer = AutoTokenizer.from_pretrained(opened.path)
        self.teacher.eval().requires_grad_(False).to(self.device)
        self.teacher.set_attn_implementation(self.attention)
        kept = work / "vocabulary.json"
        if not kept.is_file():
            pieces = choose_pieces(self.teacher_tokenizer, [found[i] for i in order[:400_000]])
            kept.write_text(json.dumps(pieces), encoding="utf8")
        self.pieces = json.loads(kept.read_text(encoding="utf8"))
        self.tokenizer = student_tokenizer(self.pieces)

    def build(self) -> nn.Module:
        """The student as a cut-down copy of the teacher."""
        from transformers import BertConfig, BertModel

        old = self.teacher
        config = BertConfig(**{**old.config.to_dict(), "vocab_size": len(self.pieces), "pad_token_id": 0,
                               "num_hidden_layers": len(LAYERS), "max_position_embeddings": POSITIONS})
        net = BertModel(config)
        numbers = self.teacher_tokenizer.get_vocab()  # once: it is made anew by each call
        rows = torch.tensor([numbers[piece] for piece in self.pieces])
        source, target = old.state_dict(), {}
        for name, tensor in net.state_dict().items():
            if name == "embeddings.word_embeddings.weight":
                target[name] = source[name].cpu()[rows]
            elif name.startswith("encoder.layer."):
                _, _, index, rest = name.split(".", 3)
                target[name] = source[f"encoder.layer.{LAYERS[int(index)]}.{rest}"]
            else:
                target[name] = source[name].cpu()[: tensor.shape[0]] if tensor.dim() else source[name]
        net.load_state_dict({name: tensor.clone() for name, tensor in target.items()}, strict=False)
        net.set_attn_implementation(self.attention)
        return net

    @property
    def attention(self) -> str:
        """On a CPU, sentences of 30 pieces are faster with plain matrix products: 1.6 instead of 2.0 seconds a step."""
        return "eager" if self.device.type == "cpu" else "sdpa"

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """AdamW."""
        return [torch.optim.AdamW(decayed(net, 0.01), lr=self.lr, fused=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """How far the student's vectors of words and sentences are from the teacher's."""
        per_epoch = -(-len(self.texts) // self.batch_size)
        epoch, at = divmod(step, per_epoch)
        if getattr(self, "_epoch", None) != epoch:
            self._epoch, self._batches = epoch, epoch_batches(self.lengths, self.batch_size, self.seed, epoch)
        return self.distance(net, [self.texts[i] for i in self._batches[at]])[0]

    def distance(self, net: nn.Module, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The loss on some texts, and the mean cosine between the student's pooled vectors and the teacher's means."""
        net.eval()  # dropout would only blur what is to be copied
        with torch.no_grad():
            want, want_words, _ = self._states(self.teacher, self.teacher_tokenizer, texts)
            meaning = F.normalize(sentence_mean(want[-1], want_words, len(texts)), dim=1)
        have, have_words, pooled = self._states(net, self.tokenizer, texts)
        common = sorted(set(want_words) & set(have_words))  # a long text can lose its last words to one of the two
        loss = torch.zeros((), device=self.device)
        for number, (layer, weight) in enumerate(zip(MATCHED, WEIGHTS, strict=True), 1):
            goal = word_means(want[layer], want_words, common)
            mine = word_means(have[number], have_words, common)
            loss = loss + weight * F.mse_loss(mine, goal) / goal.var()
        goal = POOLED_SCALE * meaning
        loss = loss + 2 * F.mse_loss(pooled, goal) / goal.var()
        return loss, F.cosine_similarity(pooled, meaning).mean()

    def _states(self, net: nn.Module, tokenizer: Any, texts: list[str]) -> tuple[Any, dict[Any, list[int]], Tensor]:
        """Vectors after each layer, (B * T, H), which rows of them belong to which (text, word), and pooled (B, H)."""
        batch = tokenizer(texts, padding=True, truncation=True, max_length=96, return_tensors="pt",
                          pad_to_multiple_of=8)  # few different lengths: oneDNN compiles anew for each
        inputs = {name: batch[name].to(self.device) for name in ("input_ids", "attention_mask")}
        output = net(**inputs, output_hidden_states=True)
        rows: dict[tuple[int, int], list[int]] = {}
        width = batch["input_ids"].shape[1]
        for text in range(len(texts)):
            for at, word in enumerate(batch.word_ids(text)):
                if word is not None or at == 0:  # -1 stands for [CLS], which classifiers read
                    rows.setdefault((text, -1 if word is None else word), []).append(text * width + at)
        return [state.flatten(0, 1).float() for state in output.hidden_states], rows, output.pooler_output.float()

    def validate(self, net: nn.Module) -> dict[str, float]:
        """On held-out sentences: the loss, and the cosine between what the two say a sentence means."""
        parts = [self.distance(net, self.held_out[i : i + 64]) for i in range(0, HELD_OUT, 64)]
        return {"valid_loss": float(torch.stack([loss for loss, _ in parts]).mean()),
                "cosine": float(torch.stack([cosine for _, cosine in parts]).mean())}

    def export(self, net: nn.Module, folder: Path) -> None:
        """A transformers folder."""
        with quiet_transformers():
            net.save_pretrained(folder, state_dict=half(net.state_dict()))  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)

    def fetch(self, folder: Path) -> None:
        """Books of Project Gutenberg."""
        fetch_gutenberg(folder)


def choose_pieces(tokenizer: Any, texts: list[str], size: int = VOCABULARY) -> list[str]:
    """The pieces that matter: those that are common in these texts, or were common where BERT's vocabulary comes from.

    BERT's vocabulary is roughly in the order of how common its words were in Wikipedia and books of our time. Old
    books alone would drop "movie" and "software". All letters, digits and signs of ASCII stay: every word can be spelt.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), 2_000):
        for row in tokenizer(texts[start : start + 2_000], add_special_tokens=False)["input_ids"]:
            counts.update(row)
    plain = {piece: i for piece, i in vocabulary.items() if piece.isascii() and not piece.startswith("[")}
    letters = [piece for piece in plain if len(piece.removeprefix("##")) == 1]
    here = {piece: rank for rank, piece in enumerate(sorted(plain, key=lambda p: -counts[plain[p]]))}
    there = {piece: rank for rank, piece in enumerate(sorted(plain, key=plain.__getitem__))}
    best = sorted(plain, key=lambda piece: min(here[piece], there[piece]))
    kept = list(dict.fromkeys([*SPECIAL, *letters, *best]))[:size]
    return [*SPECIAL, *sorted(kept[len(SPECIAL) :], key=plain.__getitem__)]


def student_tokenizer(pieces: list[str]) -> Any:
    """BERT's tokenizer with these pieces."""
    from transformers import BertTokenizer

    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True,
                         model_max_length=POSITIONS)


def word_means(states: Tensor, rows: dict[tuple[int, int], list[int]], words: list[tuple[int, int]]) -> Tensor:
    """The mean vector of each word over its pieces: (words, H)."""
    counts = torch.tensor([len(rows[word]) for word in words])
    taken = states[torch.tensor([row for word in words for row in rows[word]], device=states.device)]
    owner = torch.repeat_interleave(torch.arange(len(words)), counts).to(states.device)
    sums = torch.zeros(len(words), states.shape[1], device=states.device).index_add_(0, owner, taken)
    return sums / counts.to(states.device)[:, None]


def sentence_mean(states: Tensor, rows: dict[tuple[int, int], list[int]], count: int) -> Tensor:
    """The mean vector of each text over all its pieces: (texts, H)."""
    owner = torch.tensor([text for (text, _), members in rows.items() for _ in members], device=states.device)
    taken = states[torch.tensor([row for members in rows.values() for row in members], device=states.device)]
    sums = torch.zeros(count, states.shape[1], device=states.device).index_add_(0, owner, taken)
    return sums / torch.bincount(owner, minlength=count)[:, None]
