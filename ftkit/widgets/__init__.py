"""Panels for notebooks: see what training does, and steer it while it runs. Everything is imported on first use."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_WHERE = {
    "Experiment": "experiment",
    "Playground": "playground",
    "compare": "compare",
    "freeze_map": "freeze_grid",
    "label": "label",
    "listen": "listen",
    "predictor": "predictor",
    "recogniser": "recogniser",
    "render": "render",
}

__all__ = list(_WHERE)

if TYPE_CHECKING:  # what an editor should know; the redundant aliases mark them as exported
    from ftkit.widgets.compare import compare as compare
    from ftkit.widgets.experiment import Experiment as Experiment
    from ftkit.widgets.freeze_grid import freeze_map as freeze_map
    from ftkit.widgets.label import label as label
    from ftkit.widgets.listen import listen as listen
    from ftkit.widgets.playground import Playground as Playground
    from ftkit.widgets.predictor import predictor as predictor
    from ftkit.widgets.recogniser import recogniser as recogniser
    from ftkit.widgets.render import render as render


class _Package(ModuleType):
    """This package: where a function has the name of its module, the package shows the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _WHERE:  # Python sets this when it has imported the module
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"ftkit.widgets.{_WHERE[name]}"), name)
    from ftkit.errors import nearest

    match = nearest(name, __all__)
    guess = f" Did you mean 'ftkit.widgets.{match}'?" if match else ""
    raise AttributeError(f"module 'ftkit.widgets' has no attribute '{name}'.{guess}")


def __dir__() -> list[str]:
    return sorted(__all__)
