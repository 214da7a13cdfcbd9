"""Who may import whom, read from the source of every module: imports inside functions count too."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import ftkit

ROOT = Path(__file__).parents[1] / "ftkit"
MODULES = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
           for path in sorted(ROOT.rglob("*.py")) if not path.is_relative_to(ROOT / "_bundled")}

# The parts of the package from the ground up: what each may import beside itself and those that it lists.
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "machine": {"errors"},
    "disk": {"errors"},
    "bundle": {"errors"},
    "layers": {"errors"},
    "tasks": {"errors", "machine", "layers", "speech"},  # a synthesiser's loss and scores stand beside its network
    "strategies": {"errors", "machine", "layers"},
    "backbones": {"errors", "machine", "disk", "bundle", "layers", "tasks", "speech"},
    "data": {"errors", "machine", "bundle", "tasks"},
    "speech": {"errors", "machine", "disk", "layers"},
    "training": {"errors", "machine", "disk", "layers", "tasks", "strategies", "backbones", "speech"},
}
BELOW["report"] = {*BELOW["training"], "training"}
# PPO is a loop of its own, for what it learns from it writes itself; it steers and shows its runs as training does.
BELOW["preference"] = {*BELOW["training"], "training"}
BELOW["viz"] = {*BELOW["report"], "report"}
BELOW["widgets"] = {*BELOW["viz"], "viz", "data"}  # a panel that collects examples gives what load_data gives
# Everything else (the command line, lessons, recipes, packing for a class) stands on top of all of these.
ON_TOP = {"cli", "commands", "arguments", "__main__", "lessons", "pretraining", "packing"}
DRAWING = {"matplotlib", "ipywidgets", "anywidget"}
MODEL_LIBRARIES = {"transformers", "torchvision"}
ADAPTERS = {"peft"}  # strategies put them in, backbones save and open them; inside functions, for it loads transformers
MAY_DRAW = {"cli", "commands"}  # beside viz and widgets themselves, and the two below
# Two functions reach up, when they are called and never before: a run draws itself, and a notebook shows one as it
# goes. A registry that widgets fills would need somebody to import widgets first, which `ft.fit` alone does not.
REACH_UP = {("ftkit.training.history", "History.plot"): "viz", ("ftkit.training.progress", "notebook_panel"): "widgets"}


@lru_cache
def imports(module: str) -> list[tuple[str, str, int, bool]]:
    """(what is imported, in which function, line, only for type checkers) of a module, dotted and absolute."""
    path = MODULES[module]
    return list(_walk(ast.parse(path.read_text(encoding="utf8")), module, path.name == "__init__.py", "", False))


def _walk(node: ast.AST, module: str, package: bool, where: str, typing: bool) -> Iterator[tuple[str, str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        inner = where
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{where}.{child.name}".lstrip(".")
        if isinstance(child, ast.Import):
            yield from ((alias.name, where, child.lineno, typing) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                parts = module.split(".") if package else module.split(".")[:-1]
                base = ".".join([*parts[: len(parts) - child.level + 1], *filter(None, [child.module])])
            yield from ((_target(base, alias.name), where, child.lineno, typing) for alias in child.names)
        elif (isinstance(child, ast.Call) and ast.unparse(child.func).endswith(("import_module", "__import__"))
              and child.args and isinstance(child.args[0], ast.Constant)):
            yield str(child.args[0].value), where, child.lineno, typing
        only_types = typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _walk(child, module, package, inner, only_types)


def _target(base: str, name: str) -> str:
    """The module that `from base import name` reaches: `from ftkit import fit` reaches ftkit.training."""
    if base == "ftkit" and name in ftkit._WHERE:
        return f"ftkit.{ftkit._WHERE[name]}"
    return f"{base}.{name}" if f"{base}.{name}" in MODULES else base


def part(module: str) -> str:
    """"training" of "ftkit.training.session"; "" of ftkit itself."""
    return module.split(".")[1] if "." in module else ""


def test_all_parts_have_a_place() -> None:
    parts = {part(module) for module in MODULES} - {""}
    assert parts <= {*BELOW, *ON_TOP}, "a new part of the package needs its line in BELOW or ON_TOP"
    assert len(MODULES) > 50


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards_only(module: str) -> None:
    own = part(module)
    if own in ON_TOP or not own:
        return  # ftkit/__init__.py imports by name, on first use
    for name, where, line, typing in imports(module):
        if not name.startswith("ftkit."):
            continue
        if REACH_UP.get((module, where)) == part(name):
            continue
        # The data say which task they define, and a type of a higher floor may be named where no code runs.
        allowed = BELOW[own] | {own}
        assert part(name) in allowed or typing, f"{module}:{line} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_nobody_but_the_command_line_imports_pictures_or_panels(module: str) -> None:
    own = part(module)
    for name, where, line, typing in imports(module):
        if part(name) not in {"viz", "widgets"} or not name.startswith("ftkit.") or typing:
            continue
        if own in {"viz", "widgets"} | MAY_DRAW or REACH_UP.get((module, where)) == part(name):
            assert not (own == "viz" and part(name) == "widgets"), f"{module}:{line}: viz is below widgets"
            continue
        raise AssertionError(f"{module}:{line} imports {name}")


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_where_they_belong(module: str) -> None:
    own = part(module)
    for name, where, line, typing in imports(module):
        library = name.split(".")[0]
        if library in DRAWING and not typing:
            assert own in {"viz", "widgets"}, f"{module}:{line} imports {name}"
        if library in MODEL_LIBRARIES and not typing:
            assert own in {"backbones", "tasks", "pretraining"}, f"{module}:{line} imports {name}"
        if library in ADAPTERS and not typing:
            assert own in {"backbones", "strategies"}, f"{module}:{line} imports {name}"
            assert where, f"{module}:{line} imports {name} outside a function"


def test_the_walker_sees_what_it_should() -> None:
    found = {(name, where) for name, where, _, _ in imports("ftkit.training.history")}
    assert any(name.startswith("ftkit.viz") and where == "History.plot" for name, where in found)  # inside a method
    for (module, where), floor in REACH_UP.items():  # each exception is still needed
        assert any(part(name) == floor and inside == where for name, inside, _, _ in imports(module)), module
    assert any(name == "transformers" and where for name, where, _, _ in imports("ftkit.backbones.opened"))
    tree = ast.parse("from ..errors import nearest\nfrom . import batches\nimport_module('ftkit.viz')\n"
                     "from ftkit import fit, viz")
    relative = {name for name, *_ in _walk(tree, "ftkit.training.session", False, "", False)}
    assert relative == {"ftkit.errors", "ftkit.training.batches", "ftkit.viz", "ftkit.training"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_import_ftkit_is_quick_and_loads_nothing_large() -> None:
    code = ("import sys, time, json\nt = time.perf_counter()\nimport ftkit\ns = time.perf_counter() - t\n"
            "print(json.dumps([s, sorted(m.split('.')[0] for m in sys.modules)]))")
    answers = [json.loads(run_python(code)) for _ in range(3)]
    heavy = {"torch", "transformers", "torchvision", "numpy", "pandas", "matplotlib", "sklearn", "IPython"}
    assert heavy.isdisjoint(answers[0][1])
    assert min(seconds for seconds, _ in answers) < 0.3


def test_everything_public_can_be_had_by_name() -> None:
    for name in ftkit._WHERE:
        assert getattr(ftkit, name) is not None
    for name in ("backbones", "data", "errors", "layers", "machine", "report", "strategies", "tasks", "training"):
        assert getattr(ftkit, name).__name__ == f"ftkit.{name}"
    assert set(ftkit.__all__) == set(dir(ftkit))


def test_a_misspelt_public_name_gets_a_guess() -> None:
    with pytest.raises(AttributeError, match=r"Did you mean 'ftkit\.load_backbone'"):
        _ = ftkit.load_backbon


@pytest.mark.parametrize(("given", "expected"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"),
                                                 ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")])
def test_threads_spin_briefly_unless_the_user_says_otherwise(given: dict[str, str], expected: str) -> None:
    """Long spinning makes a run eight times slower when another program uses a core."""
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import ftkit, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    run = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected


@pytest.mark.parametrize(("given", "expected"), [({}, "128"), ({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "9"}, "9")])
def test_few_convolutions_are_kept_ready_unless_told_otherwise(given: dict, expected: str) -> None:
    """Sounds of many lengths else fill the memory with convolutions that are not needed again."""
    clean = {name: value for name, value in os.environ.items() if name != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    code = "import torch, ftkit, os; print(os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'])"
    out = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == expected
