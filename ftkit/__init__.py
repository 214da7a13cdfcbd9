"""ftkit teaches fine-tuning: load a pretrained model, freeze some of its layers, train, and see what that did.

Everything public is imported on first use, so that `import ftkit` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Threads that wait for each other spin: the quickest way on idle cores, a disaster on shared ones (Binder, a video
# call). MiniLM on 512 reviews, two cores: 10.4 s alone and 86 s beside one busy process; with a short spin 10.9 s and
# 26 s. GNU OpenMP reads this once, when torch is imported. Set either variable yourself, and it stays as you set it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# oneDNN keeps the last 1,024 convolutions that it prepared, each with room to work in, and prepares one anew for every
# length of a sound. One epoch of 40 sentences peaked at 1,477 MB, with 128 kept at 1,391. A training step of
# ResNet-50, which has 53 convolutions, takes no longer. Read at the first convolution.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

_WHERE = {
    "load_data": "data", "list_data": "data", "Data": "data", "Split": "data",
    "load_backbone": "backbones", "list_backbones": "backbones", "Model": "backbones",
    "fit": "training", "evaluate": "training", "predict": "training", "speak": "training", "TrainSession": "training",
    "History": "training", "generate": "training", "stream": "training", "audit": "report", "interpolate": "report",
    "LayerMap": "layers", "Group": "layers",
}
_MODULES = ("backbones", "data", "errors", "layers", "lessons", "machine", "preference", "report", "strategies",
            "tasks", "training", "viz", "widgets")

__all__ = [*_WHERE, *_MODULES, "__version__"]

if TYPE_CHECKING:  # what an editor should know; the redundant aliases mark them as exported
    from ftkit.backbones import Model as Model
    from ftkit.backbones import list_backbones as list_backbones
    from ftkit.backbones import load_backbone as load_backbone
    from ftkit.data import Data as Data
    from ftkit.data import Split as Split
    from ftkit.data import list_data as list_data
    from ftkit.data import load_data as load_data
    from ftkit.layers import Group as Group
    from ftkit.layers import LayerMap as LayerMap
    from ftkit.report import audit as audit
    from ftkit.report import interpolate as interpolate
    from ftkit.training import History as History
    from ftkit.training import TrainSession as TrainSession
    from ftkit.training import evaluate as evaluate
    from ftkit.training import fit as fit
    from ftkit.training import generate as generate
    from ftkit.training import predict as predict
    from ftkit.training import speak as speak
    from ftkit.training import stream as stream


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"ftkit.{_WHERE[name]}"), name)
    if name in _MODULES:
        return import_module(f"ftkit.{name}")
    from ftkit.errors import nearest

    match = nearest(name, __all__)
    guess = f" Did you mean 'ftkit.{match}'?" if match else ""
    raise AttributeError(f"module 'ftkit' has no attribute '{name}'.{guess}")


def __dir__() -> list[str]:
    return sorted(__all__)
