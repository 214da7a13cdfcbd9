"""The API reference: one page for each public module, from signatures and docstrings. Nothing of ftkit is imported.

griffe reads the source, Sphinx's napoleon turns a Google docstring into fields, and what is written here is only what
joins the two: pages of `py:` directives, as autodoc would make them. Autodoc would have to import torch for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe
from sphinx.ext.napoleon import Config, GoogleDocstring

_NAPOLEON: Any = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)
_QUOTED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Name:
    """A public name: where users find it, and what griffe knows about it."""

    module: str
    name: str
    found: Any

    @property
    def path(self) -> str:
        """As users write it: "ftkit.training.fit"."""
        return f"{self.module}.{self.name}"

    @property
    def docstring(self) -> str:
        """Its docstring, without indentation; "" where there is none."""
        return docstring(self.found)


def docstring(found: Any) -> str:
    """The docstring of anything griffe has read; "" where there is none."""
    return str(found.docstring.value) if found.docstring else ""


class Package:
    """The source of a package, read once.

    Args:
        root: The folder that holds it.
        name: Of the package. Its `_MODULES` are the public modules; `__all__` or `_WHERE` their public names.
    """

    def __init__(self, root: Path, name: str = "ftkit") -> None:
        self.root, self.name = root, name
        source: Any = griffe.load(name, search_paths=[root], resolve_aliases=False, allow_inspection=False)
        modules: Any = source.members["_MODULES"]
        self.source, self.modules = source, list(ast.literal_eval(str(modules.value)))
        self.names = {module: list(self._public(module)) for module in self.modules}
        self.by_name: dict[str, list[Name]] = {}
        for name_ in (each for names in self.names.values() for each in names):
            self.by_name.setdefault(name_.name, []).append(name_)

    def top_level(self) -> list[Name]:
        """What the package itself offers: `ftkit.fit` is `ftkit.training.fit`."""
        where = _lazy(self.source)
        return [next(each for each in self.names[where[name]] if each.name == name) for name in where]

    def _public(self, module: str) -> Iterator[Name]:
        page = self.source[module]
        if names := list(_lazy(page)) or [str(name) for name in page.exports or ()]:
            yield from (Name(f"{self.name}.{module}", name, self._find(page, name)) for name in names)
            return
        for name, found in page.members.items():
            if not name.startswith("_") and not found.is_alias and (found.is_function or found.is_class):
                yield Name(f"{self.name}.{module}", name, found)

    def _find(self, page: Any, name: str) -> Any:
        """The definition behind a name, through the imports. (A function may have the name of its module.)"""
        if name in (lazy := _lazy(page)):
            return self._find(page.members[lazy[name]], name)
        if name in page.imports:
            parent, _, own = page.imports[name].rpartition(".")
            return self._find(self.source[parent.removeprefix(f"{self.name}.")], own)
        return page.members[name]

    def place(self, found: Any) -> str:
        """Its file and lines as GitHub's links have them: "ftkit/training/fitting.py#L19-L62"."""
        return f"{Path(found.filepath).relative_to(self.root).as_posix()}#L{found.lineno}-L{found.endlineno}"


def _lazy(page: Any) -> dict[str, str]:
    """The table of names that are imported on first use; empty where there is none."""
    table = page.members.get("_WHERE")
    return dict(ast.literal_eval(str(table.value))) if table is not None else {}


def write_pages(package: Package, folder: Path) -> dict[str, str]:
    """Write index.rst and a page for each public module.

    Returns:
        The place of every name that got an entry, as `Package.place` gives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    for module in package.modules:
        lines = [*_head(f"{package.name}.{module}", docstring(package.source[module]), package)]
        for name in package.names[module]:
            lines += _entry(name, package, places)
        (folder / f"{module}.rst").write_text("\n".join(lines) + "\n", encoding="utf8")
    (folder / "index.rst").write_text("\n".join(_index(package)) + "\n", encoding="utf8")
    return places


def _head(title: str, text: str, package: Package) -> Iterator[str]:
    yield from (f"{title}\n{'=' * len(title)}", "", f".. py:module:: {title}", "")
    yield from (*_marked(text, package, title), "")


def _index(package: Package) -> Iterator[str]:
    yield from ("API reference\n=============", "", ".. py:module:: ftkit", "")
    yield from (*_marked(docstring(package.source), package, package.name), "")
    yield from ("``import ftkit as ft`` gives these names:", "", ".. list-table::", "   :widths: 30 70", "")
    for name in package.top_level():
        first = " ".join(_marked(name.docstring.split("\n\n")[0], package, name.module))
        yield from (f"   * - :py:obj:`ft.{name.name} <{name.path}>`", f"     - {first}")
    yield from ("", "and these modules:", "", ".. toctree::", "   :maxdepth: 1", "")
    yield from (f"   {module}" for module in package.modules)


def _entry(name: Name, package: Package, places: dict[str, str]) -> Iterator[str]:
    found, kind = name.found, _kind(name.found)
    places[name.path] = package.place(found)
    signature = name.name if kind == "data" else _signature(found, name.name, package)
    yield from (f".. py:{kind}:: {signature}", *_options(found, kind), "")
    if kind == "class" and (parents := [_parent(base, package) for base in found.bases]):
        yield from (f"   Bases: {', '.join(parents)}", "")
    yield from _indented(_marked(name.docstring, package, name.module, kind), 3)
    for own, member in found.members.items() if kind == "class" else ():
        if not own.startswith("_") and docstring(member):
            kind = _kind(member, inside=True)
            places[f"{name.path}.{own}"] = package.place(member)
            yield from ("", f"   .. py:{kind}:: {_signature(member, own, package) if kind == 'method' else own}",
                        *_indented(_options(member, kind), 3), "")
            yield from _indented(_marked(docstring(member), package, name.module, kind), 6)
    yield ""


def _kind(found: Any, inside: bool = False) -> str:
    if found.is_class:
        return "class"
    if found.is_function:
        return "method" if inside else "function"
    return "property" if "property" in found.labels else "attribute" if inside else "data"


def _signature(found: Any, name: str, package: Package) -> str:
    """As it is called: without `self` or `cls`. (A class without an `__init__` of its own has none.)"""
    def linked(word: re.Match[str]) -> str:
        known = package.by_name.get(word[0], [])
        return f"~{known[0].path}" if known else word[0]

    written = re.sub(r"(?<=\()(?:self|cls)(?:, |(?=\)))", "", str(found.signature(name=name) or name), count=1)
    return re.sub(r"(?<=[ \[])[A-Z]\w+", linked, written)


def _options(found: Any, kind: str) -> list[str]:
    options = {"classmethod": "classmethod" in found.labels, "staticmethod": "staticmethod" in found.labels}
    lines = [f"   :{name}:" for name, given in options.items() if given and kind == "method"]
    if kind == "property" and found.annotation is not None:
        lines.append(f"   :type: {found.annotation}")
    if kind == "data" and found.value is not None:
        lines.append(f"   :value: {_shortened(str(found.value))}")
    return lines


def _shortened(value: str) -> str:
    return value if len(value) <= 60 and "\n" not in value else f"{value.splitlines()[0][:57]}..."


def _parent(base: Any, package: Package) -> str:
    name = str(base).rpartition(".")[2]
    known = package.by_name.get(name, [])
    return f":py:obj:`{name} <{known[0].path}>`" if known else f"``{base}``"


def _marked(text: str, package: Package, module: str, kind: Any = "module") -> list[str]:
    """A Google docstring as reStructuredText: its sections as fields, its `quoted` names as links or code."""
    def link(quoted: re.Match[str]) -> str:
        name = re.match(r"(?:ft\.|ftkit\.)?(?:\w+\.)*?(\w+)(?:\(.*\))?$", quoted[1])
        known = package.by_name.get(name[1], []) if name else []
        known = [each for each in known if each.module == module] or known
        return f":py:obj:`{quoted[1]} <{known[0].path}>`" if len(known) == 1 else f"``{quoted[1]}``"

    lines = str(GoogleDocstring(text, _NAPOLEON, what=kind)).splitlines()
    return ["".join(_QUOTED.sub(link, part) if i % 2 else part.replace("|", r"\|")  # |w| would be a substitution
                    for i, part in enumerate(re.split(r"(`[^`\n]+`)", line))) for line in lines]


def _indented(lines: list[str], by: int) -> list[str]:
    return [f"{' ' * by}{line}" if line else "" for line in lines]
