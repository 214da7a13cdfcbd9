"""Where weights come from. Tried in this order: bundled, an installed package, a folder, the local caches, the hub."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

import torch

from ftkit.backbones.big_voices import KINDS
from ftkit.backbones.opened import Opened
from ftkit.backbones.specs import SPECS, BackboneSpec
from ftkit.bundle import bundled_root
from ftkit.errors import UserError, WeightsError, nearest
from ftkit.speech.pairs import is_synthesiser

HUB = "https://huggingface.co"


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
    if spec.bundled:
        raise WeightsError(f"The weights of '{spec.name}' should have come with ftkit and are not there. Install ftkit "
                           "again; in a checkout: git checkout -- data/backbones.")
    host = "download.pytorch.org" if spec.library == "torchvision" else urlparse(hub_address()).hostname or ""
    if not hub_reachable(host):
        raise WeightsError(
            f"The weights of '{spec.name}' are not on this machine and {host} cannot be reached. Usable now: "
            f"{', '.join(usable_offline(spec.modality))}. Or pass a folder that holds the model.")
    return Opened(spec, "hub", spec.source, pretrained)


def offline_place(spec: BackboneSpec) -> tuple[str, str] | None:
    """(kind, path) of weights that are on this machine, or None."""
    if spec.bundled:
        held = bundled_root() / "backbones" / spec.name
        return ("bundled", str(held)) if (held / "model.safetensors").is_file() else None
    if spec.package and (folder := _package_folder(spec)):
        return "package", folder
    if spec.library == "torchvision":
        kept = Path(torch.hub.get_dir(), "checkpoints")
        if not any(kept.glob(f"{spec.source}*.pth")):  # torchvision takes three seconds to import: not to learn this
            return None
        import torchvision

        url = torchvision.models.get_weight(spec.weights).url
        file = kept / Path(urlparse(url).path).name
        return ("cache", spec.source) if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(spec.source, file) for file in ("config.json", "model.safetensors")]
    return ("cache", spec.source) if all(isinstance(file, str) for file in files) else None


def usable_offline(modality: str) -> list[str]:
    """Names of the backbones of this kind ("" for any) whose weights are on this machine."""
    return [spec.name for spec in SPECS.values() if modality in ("", spec.modality) and offline_place(spec) is not None]


def folder_spec(folder: Path) -> BackboneSpec:
    """A table row for a saved model: ours (ftkit.json) or any transformers folder (config.json).

    Raises:
        WeightsError: The folder holds no model, or an empty or unreadable configuration.
    """
    ours, config = folder / "ftkit.json", folder / "config.json"
    if not _holds_model(folder):
        raise WeightsError(f"The folder {folder} holds no model: neither config.json nor ftkit.json is in it.")
    if not ours.is_file() and not config.is_file():  # adapters as peft itself saves them: what their base is, they are
        from ftkit.backbones.adapters import held_adapters

        held = held_adapters(folder)
        return replace(open_source(held.base).spec, name=str(folder), bundled=False, package="", sha256="")  # type: ignore[union-attr]
    try:
        facts = json.loads((ours if ours.is_file() else config).read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"The model's configuration in {folder} cannot be read: {error}.") from error
    if not isinstance(facts, dict):
        raise WeightsError(f"The model's configuration in {folder} is not a JSON object.")
    speaks = not ours.is_file() and is_synthesiser(facts)
    own = "ftkit" if speaks else "transformers"
    library = facts.get("library", "transformers") if ours.is_file() else own
    speaks |= facts.get("model_type") in KINDS
    sound = "conv_kernel" in facts or "num_mel_bins" in facts
    picture = "image_size" in facts or "num_channels" in facts
    modality = facts.get("modality") or ("voice" if speaks else "audio" if sound else "image" if picture else "text")
    source = facts.get("builder", "") if library == "torchvision" else str(folder)
    return BackboneSpec(str(folder), modality, library, source, 0.0, "your own", "a local folder")


def _holds_model(folder: Path) -> bool:
    return any((folder / file).is_file() for file in ("ftkit.json", "config.json", "adapter_config.json"))


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


