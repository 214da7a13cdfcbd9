"""Small models and data for tests: random weights, real file formats, a fraction of a second each.

`from factory import tiny_text_folder` works in every test: pyproject.toml puts tests/ on the path.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftkit.backbones import SPECS
from ftkit.backbones.quiet import quiet_transformers

TEXT_FAMILIES = {"bert": "bert-base-uncased", "distilbert": "distilbert-base-uncased", "roberta": "roberta-base",
                 "gpt2": "gpt2"}
IMAGE_FAMILIES = {"resnet": "microsoft-resnet18", "vit": "vit-base"}

_DROPOUT = {"bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
            "roberta": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
            "vit": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
            "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
            "gpt2": ("attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout")}
_GOOD = ["good", "great", "lovely", "bright", "warm", "fresh", "sharp", "kind"]
_BAD = ["bad", "awful", "dull", "cold", "stale", "rude", "broken", "slow"]
_PLAIN = ["the", "film", "book", "food", "room", "phone", "was", "really", "rather", "quite", "very", "we", "found",
          "it", "and", "again", "today", "here"]


def tiny_text_folder(path: str | Path, family: str = "bert", dropout: float = 0.0, seed: int = 0) -> Path:
    """A random text model with its tokenizer, as a plain transformers folder: `load_backbone(path, task)` opens it.

    Three blocks of width 32. It knows the words of `tiny_texts` and every ASCII character.

    Args:
        path: Folder to write; made if need be.
        family: "bert", "distilbert", "roberta" or "gpt2".
        dropout: For all dropouts of the family; 0 makes training independent of how a batch is divided.
        seed: Of the random weights.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = _word_pieces() if family in ("bert", "distilbert") else _byte_pairs(family)
    tokenizer.save_pretrained(path)
    options: dict[str, Any] = {**SPECS[TEXT_FAMILIES[family]].tiny, **dict.fromkeys(_DROPOUT[family], dropout),
                               "vocab_size": len(tokenizer)}
    if family != "gpt2":
        options |= {"max_position_embeddings": 130, "pad_token_id": tokenizer.pad_token_id}
    else:
        options |= {"n_positions": 128, "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AutoModel.from_config(AutoConfig.for_model(family, **options))
    with quiet_transformers():
        net.save_pretrained(path)
    return path


def tiny_image_folder(path: str | Path, family: str = "resnet", dropout: float = 0.0, seed: int = 0) -> Path:
    """A random image model (32x32 pixels) with its preprocessing, as a plain transformers folder.

    Args:
        path: Folder to write; made if need be.
        family: "resnet" or "vit".
        dropout: Of the vision transformer; a ResNet has none.
        seed: Of the random weights.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    from ftkit.backbones.preprocess import ImagePreprocess

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    options = {**SPECS[IMAGE_FAMILIES[family]].tiny, **dict.fromkeys(_DROPOUT.get(family, ()), dropout)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AutoModel.from_config(AutoConfig.for_model(family, **options))
    with quiet_transformers():
        net.save_pretrained(path)
    ImagePreprocess(size=32, resize=32).save_pretrained(path)
    return path


def tiny_speech_folder(path: str | Path, letters: str | None = "abcdefghijklmnopqrstuvwxyz'", seed: int = 0) -> Path:
    """A random Wav2Vec2 with its preprocessing, as a plain transformers folder; a recogniser if it has letters.

    Args:
        path: Folder to write; made if need be.
        letters: What it can write; None makes a body without a head and without letters.
        seed: Of the random weights.
    """
    import torch
    from nets import AUDIO_FAMILIES
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

    from ftkit.backbones.letters import new_tokenizer
    from ftkit.backbones.sound import SoundPreprocess

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = new_tokenizer(letters) if letters else None
    options = {**AUDIO_FAMILIES["wav2vec2"], "vocab_size": len(tokenizer) if tokenizer else 32, "hidden_dropout": 0.0,
               "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "initializer_range": 0.05}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = (Wav2Vec2ForCTC if letters else Wav2Vec2Model)(Wav2Vec2Config(**options))
    with quiet_transformers():
        net.save_pretrained(path)
    SoundPreprocess(tokenizer=tokenizer).save_pretrained(path)
    return path


def tiny_voice_folder(path: str | Path, seed: int = 0) -> Path:
    """A random Tacotron of ten thousand numbers with a finished folder's files: `load_backbone(path)` opens it.

    Args:
        path: Folder to write; made if need be.
        seed: Of the random weights.
    """
    import torch

    from ftkit.speech.mel import MelSettings
    from ftkit.speech.pairs import save_synthesiser
    from ftkit.speech.tacotron import Tacotron, TacotronConfig

    config = TacotronConfig(n_mels=20, embedding=12, encoder_convs=1, encoder_lstm=8, attention=12, location_filters=4,
                            location_kernel=5, prenet=16, decoder=24, postnet=12, postnet_convs=2, reduction=2,
                            dropout=0.1, mel_mean=-2.0, mel_std=2.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Tacotron(config)
    Path(path).mkdir(parents=True, exist_ok=True)
    save_synthesiser(net, Path(path), MelSettings(n_mels=20))
    return Path(path)


def tiny_spoken(path: str | Path, n: int = 24, seed: int = 0, rate: int = 16_000) -> Path:
    """A folder of "utterances" with a metadata.csv: each letter is a low tone (a) or a high one (b), and a pause."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(seed)
    rows = []
    Path(path).mkdir(parents=True, exist_ok=True)
    for i in range(n):
        text = "".join(rng.choice(["a", "b"], int(rng.integers(2, 6))))
        parts = []
        for letter in text:
            time = np.arange(int(0.02 * rate)) / rate
            parts += [np.sin(2 * np.pi * {"a": 500, "b": 3000}[letter] * time), np.zeros(int(0.01 * rate))]
        soundfile.write(Path(path, f"{i}.wav"), np.concatenate(parts) + rng.normal(0, 0.02, sum(map(len, parts))), rate)
        rows.append((f"{i}.wav", text))
    write_csv(Path(path, "metadata.csv"), rows, ("file_name", "text"))
    return Path(path)


def tiny_texts(n: int, start: int = 0, labels: Sequence[str] = ("bad", "good")) -> list[tuple[str, str]]:
    """`n` different short texts with alternating labels, which their words give away; lengths differ."""
    rows = []
    for i in range(start, start + n):
        words = (_BAD, _GOOD)[i % 2]
        plain = [_PLAIN[(i * 7 + j * 3) % len(_PLAIN)] for j in range(3 + i % 6)]
        rows.append((f"{' '.join(plain)} {words[i // 2 % 8]} {words[i // 16 % 8]} {i}", labels[i % 2]))
    return rows


def write_csv(path: str | Path, rows: Sequence[Sequence[Any]], header: Sequence[str] = ("text", "label")) -> Path:
    """A CSV file of these rows below a header."""
    with Path(path).open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows([header, *rows])
    return Path(path)


def tiny_csv(path: str | Path, n: int = 60, start: int = 0) -> Path:
    """`tiny_texts` as a CSV file with the columns text and label."""
    return write_csv(path, tiny_texts(n, start))


def tiny_images(path: str | Path, per_class: int = 12, size: int = 16, seed: int = 0) -> Path:
    """A folder of PNG pictures by class, "dark" and "light": noise around a brightness that tells them apart."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    for label, level in (("dark", 60), ("light", 190)):
        folder = Path(path, label)
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            noise = rng.normal(level, 30, (size, size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / f"{i}.png")
    return Path(path)


def _word_pieces() -> Any:
    """BERT's kind of tokenizer: whole words of `tiny_texts`, and single characters for all others."""
    from transformers import BertTokenizer

    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *_GOOD, *_BAD, *_PLAIN, *characters, *(f"##{c}" for c in characters)]
    vocab = {word: i for i, word in enumerate(dict.fromkeys(words))}
    return BertTokenizer(vocab=vocab, do_lower_case=True, model_max_length=128)


def _byte_pairs(family: str) -> Any:
    """RoBERTa's and GPT-2's kind: bytes, with a few merges learned from `tiny_texts`."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Tokenizer, RobertaTokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if family == "roberta" else ["<|endoftext|>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator((text for text, _ in tiny_texts(64)), vocab_size=320, special_tokens=special,
                                show_progress=False)
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(pair.split()) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    kind: Any = RobertaTokenizer if family == "roberta" else GPT2Tokenizer
    return kind(vocab=model["vocab"], merges=merges, model_max_length=128)
