"""Tiny random models of every supported family, and data for them, all in memory: what the core's tests run on.

Saved folders come from tests/factory.py; here nothing touches the disk, so that a test costs milliseconds.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from ftkit.backbones import BackboneSpec, Model
from ftkit.backbones.preprocess import ImagePreprocess
from ftkit.backbones.sound import SoundPreprocess
from ftkit.tasks import Task, make_task
from ftkit.tasks.image_classification import replace_last_linear

LABELS = ("bad", "good")
SIZE = 32  # pixels
_WORDS = {"bad": ("awful", "dull", "cold", "rude", "slow"), "good": ("great", "bright", "warm", "kind", "quick")}
_PLAIN = ("the", "film", "book", "food", "room", "phone", "was", "really", "rather", "quite", "very", "we", "found",
          "it", "and", "again", "today", "here")
_SPECIAL = ["[UNK]", "[PAD]", "[CLS]", "[SEP]"]

# Weights larger than usual: what an untrained model says then differs from example to example, and tests see mix-ups.
_LARGE = {"initializer_range": 0.2}
_BERT = {**_LARGE, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
         "intermediate_size": 48, "max_position_embeddings": 72}
_DROP = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
TEXT_FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {**_BERT, **_DROP},
    "roberta": {**_BERT, **_DROP},
    "electra": {**_BERT, **_DROP, "embedding_size": 16},
    "albert": {**_BERT, "embedding_size": 16, "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2,
               "classifier_dropout_prob": 0.2},
    "distilbert": {**_LARGE, "dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 48,
                   "max_position_embeddings": 72, "dropout": 0.2, "attention_dropout": 0.2},
    "gpt2": {**_LARGE, "n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 72, "attn_pdrop": 0.2, "embd_pdrop": 0.2,
             "resid_pdrop": 0.2, "bos_token_id": 1, "eos_token_id": 1},
    "llama": {**_LARGE, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
              "intermediate_size": 48, "max_position_embeddings": 72, "attention_dropout": 0.2},
}
IMAGE_FAMILIES: dict[str, dict[str, Any]] = {
    "vit": {**_LARGE, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
            "image_size": SIZE, "patch_size": 8, **_DROP},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
}
TORCHVISION_FAMILIES = ("resnet18", "vgg11")
_THINNER = 8  # times: what is asked of these networks depends on how they are built, not on how wide they are
# Three convolutions: 40 samples to a frame, so a fifth of a second has 80 of them.
_SPEECH = {**_LARGE, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
           "conv_dim": [16, 16, 16], "conv_kernel": [10, 4, 4], "conv_stride": [5, 4, 2], "num_feat_extract_layers": 3,
           "feat_extract_norm": "layer", "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
           "classifier_proj_size": 16, "hidden_dropout": 0.2, "attention_dropout": 0.2, "activation_dropout": 0.0,
           "feat_proj_dropout": 0.2, "layerdrop": 0.3, "mask_time_prob": 0.3, "mask_time_length": 2,
           "mask_feature_length": 2, "vocab_size": 32, "pad_token_id": 0}
AUDIO_FAMILIES: dict[str, dict[str, Any]] = {
    "wav2vec2": {**_SPEECH, "do_stable_layer_norm": True},
    "hubert": {**_SPEECH, "do_stable_layer_norm": False},
}
ALL_FAMILIES = [*TEXT_FAMILIES, *IMAGE_FAMILIES, *TORCHVISION_FAMILIES, *AUDIO_FAMILIES]
RATE = 16_000


@dataclass
class Split:
    """What a training session needs of a split of ftkit.data."""

    name: str
    inputs: list[Any]
    targets: list[Any]
    labels: tuple[str, ...] = LABELS

    def __len__(self) -> int:
        return len(self.targets)

    def fingerprint(self) -> str:
        whole = [np.asarray(item).tobytes() if not isinstance(item, str) else item for item in self.inputs]
        return hashlib.sha256(repr((whole, self.targets)).encode()).hexdigest()[:16]


@dataclass
class Data:
    """Three splits and a task."""

    train: Split
    valid: Split
    test: Split
    task: Task = field(repr=False)


def texts(n: int, start: int = 0, longest: int = 12) -> tuple[list[str], list[int]]:
    """`n` texts of 2 to `longest` + 1 words whose words give the label away."""
    rng = np.random.default_rng(start)
    inputs, targets = [], [(start + i) % 2 for i in range(n)]
    for target in targets:
        words = [str(w) for w in rng.choice(_PLAIN, int(rng.integers(1, longest)))]
        words.insert(int(rng.integers(0, len(words) + 1)), str(rng.choice(_WORDS[LABELS[target]])))
        words.append(str(rng.choice(_WORDS[LABELS[target]])))
        inputs.append(" ".join(words))
    return inputs, targets


def pictures(n: int, start: int = 0, size: int = SIZE) -> tuple[list[np.ndarray], list[int]]:
    """`n` noisy pictures (size, size, 3) uint8, dark or light."""
    rng = np.random.default_rng(1000 + start)
    targets = [(start + i) % 2 for i in range(n)]
    return [rng.normal((80, 170)[t], 40, (size, size, 3)).clip(0, 255).astype(np.uint8) for t in targets], targets


def sounds(n: int, start: int = 0, longest: float = 0.2) -> tuple[list[np.ndarray], list[int]]:
    """`n` noisy tones (T,) of 0.05 to `longest` seconds, low or high."""
    rng = np.random.default_rng(2000 + start)
    targets = [(start + i) % 2 for i in range(n)]
    found = []
    for target in targets:
        time = np.arange(int(RATE * rng.uniform(0.05, longest))) / RATE
        tone = np.sin(2 * np.pi * (400, 1600)[target] * time + rng.uniform(0, 6))
        found.append((tone + rng.normal(0, 0.3, len(time))).astype(np.float32))
    return found, targets


def data_for(modality: str, n: int = 24, n_valid: int = 10, longest: int = 12) -> Data:
    """Training, validation and test examples for a tiny model."""
    make = {"text": lambda n, start: texts(n, start, longest), "image": pictures, "audio": sounds}[modality]
    train, valid, test = (Split(name, *make(count, start)) for name, count, start in (
        ("train", n, 0), ("valid", n_valid, 10_000), ("test", n_valid, 20_000)))
    return Data(train, valid, test, make_task(f"{modality}-classification", LABELS))


@lru_cache
def tokenizer() -> Any:
    """Whole words, with [CLS] and [SEP] around them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = [*_SPECIAL, *_PLAIN, *_WORDS["bad"], *_WORDS["good"]]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = Whitespace()
    core.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
                                   sep_token="[SEP]", model_max_length=64)


def tiny(family: str, *, dropout: bool = True, labels: Sequence[str] = LABELS, multilabel: bool = False,
         seed: int = 0, wide: bool = False) -> Model:
    """A random model of a family, with a head for `labels`; without dropout on request.

    torchvision's have an eighth of their channels. What is saved and loaded again must be `wide`, as the real ones.
    """
    modality = "text" if family in TEXT_FAMILIES else "audio" if family in AUDIO_FAMILIES else "image"
    library = "torchvision" if family.startswith(("resnet1", "resnet3", "resnet5", "vgg")) else "transformers"
    task = make_task(f"{modality}-classification", labels, multilabel)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _torchvision(family, task.n_out, wide) if library == "torchvision" else _transformers(family, task)
    if not dropout:
        no_dropout(net)
    if modality == "image":
        net = net.to(memory_format=torch.channels_last)
    processor = {"text": tokenizer, "image": lambda: ImagePreprocess(size=SIZE, resize=SIZE), "audio": lambda:
                 SoundPreprocess(kernels=(10, 4, 4), strides=(5, 4, 2))}[modality]()
    return Model(net.eval(), task, processor, BackboneSpec(f"tiny-{family}", modality, library, family, 0.0, "MIT", ""))


def no_dropout(net: nn.Module) -> None:
    """Switch every dropout off, also those that attention keeps as a plain number."""
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def _transformers(family: str, task: Task) -> nn.Module:
    from transformers import (
        AutoConfig,
        AutoModelForAudioClassification,
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
    )

    labels = {"num_labels": task.n_out, "id2label": dict(enumerate(task.labels)),
              "problem_type": "multi_label_classification" if task.multilabel else "single_label_classification"}
    if family in TEXT_FAMILIES:
        options = {**TEXT_FAMILIES[family], "vocab_size": len(tokenizer()), "pad_token_id": 1, **labels}
        return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **options))
    if family in AUDIO_FAMILIES:
        return AutoModelForAudioClassification.from_config(
            AutoConfig.for_model(family, **AUDIO_FAMILIES[family], **labels))
    return AutoModelForImageClassification.from_config(
        AutoConfig.for_model(family, **IMAGE_FAMILIES[family], **labels))


def _torchvision(family: str, n_out: int, wide: bool) -> nn.Module:
    """The network that torchvision builds, module by module; with an eighth of its channels unless it is `wide`."""
    if wide:
        from torchvision.models import get_model

        net = get_model(family, weights=None)
        replace_last_linear(net, n_out)
        return net
    net = copy.deepcopy(_outline(family))
    if family.startswith("vgg"):
        net.classifier = nn.Sequential(nn.Linear(512 // _THINNER * 49, 16), nn.ReLU(True), nn.Dropout(0.2),
                                       nn.Linear(16, 16), nn.ReLU(True), nn.Dropout(0.2), nn.Linear(16, n_out))
    else:
        net.fc = nn.Linear(net.fc.in_features // _THINNER, 1)
        replace_last_linear(net, n_out)
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d):
            net.set_submodule(name, _thin(module))
        elif isinstance(module, nn.BatchNorm2d):
            net.set_submodule(name, nn.BatchNorm2d(module.num_features // _THINNER))
    return net


@lru_cache
def _outline(family: str) -> nn.Module:
    """The real network without its numbers: at full width these are 10 to 140 million."""
    from torchvision.models import get_model

    with torch.device("meta"):
        return get_model(family, weights=None)


def _thin(conv: nn.Conv2d) -> nn.Conv2d:
    """A new convolution with an eighth of the channels; the picture keeps its three."""
    inputs = conv.in_channels if conv.in_channels == 3 else conv.in_channels // _THINNER
    made = nn.Conv2d(inputs, conv.out_channels // _THINNER, conv.kernel_size, conv.stride,  # type: ignore[arg-type]
                     conv.padding, bias=conv.bias is not None)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made
