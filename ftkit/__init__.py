"""ftkit teaches fine-tuning: load a pretrained model, freeze some of its layers, train, and see what that did.

Everything public is imported on first use, so that `import ftkit` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "load_data": "data", "list_data": "data", "Data": "data", "Split": "data",
    "load_backbone": "backbones", "list_backbones": "backbones", "Model": "backbones",
    "fit": "training", "evaluate": "training", "predict": "training", "TrainSession": "training",
    "History": "training", "audit": "report", "LayerMap": "layers", "Group": "layers",
}
_MODULES = ("backbones", "data", "errors", "layers", "lessons", "machine", "report", "strategies", "tasks", "training",
            "viz", "widgets")

__all__ = [*_WHERE, *_MODULES, "__version__"]

if TYPE_CHECKING:
    from ftkit.backbones import Model, list_backbones, load_backbone
    from ftkit.data import Data, Split, list_data, load_data
    from ftkit.layers import Group, LayerMap
    from ftkit.report import audit
    from ftkit.training import History, TrainSession, evaluate, fit, predict


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
