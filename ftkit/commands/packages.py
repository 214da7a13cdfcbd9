"""The doctor's look at installed packages: versions, pairs that do not go together, and what cannot be imported."""

from __future__ import annotations

import importlib
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from ftkit.commands.finding import OK, PROBLEM, WARNING, Finding, first_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_SHOWN = ("torch", "torchvision", "transformers", "datasets", "accelerate", "scikit-learn", "numpy", "matplotlib",
          "ipywidgets", "ipykernel", "jupyterlab")
_MODULES = {"scikit-learn": "sklearn"}
_FOR_LESSONS = ("ipykernel", "jupyterlab")
_INSTALL = "python -m pip install --upgrade"


def version_findings() -> list[Finding]:
    """Python, ftkit and what it needs: each against the version that ftkit asks for."""
    import ftkit

    findings = [Finding(OK if sys.version_info >= (3, 11) else PROBLEM, "Python",
                        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
                        "" if sys.version_info >= (3, 11) else "ftkit needs Python 3.11 or newer."),
                Finding(OK, "ftkit", ftkit.__version__)]
    for requirement in _wanted():
        name, wanted = requirement.name, requirement.specifier
        found = version(name)
        lesson = name in _FOR_LESSONS
        if found is None:
            findings.append(Finding(WARNING if lesson else PROBLEM, name, "not installed",
                                    f'{_INSTALL} "{name}{wanted}"' + (" (for the lessons)" if lesson else "")))
        elif not wanted.contains(found, prereleases=True):
            findings.append(Finding(WARNING if lesson else PROBLEM, name, f"{found}, but ftkit needs {wanted}",
                                    f'{_INSTALL} "{name}{wanted}"'))
        elif name in _SHOWN:
            findings.append(Finding(OK, name, found))
    return findings


def pair_findings() -> list[Finding]:
    """Versions that are fine alone and break together."""
    from packaging.requirements import Requirement

    findings = []
    torch, vision = version("torch"), version("torchvision")
    if torch and vision:
        pins = [r for r in map(Requirement, metadata.requires("torchvision") or ()) if r.name == "torch"]
        wrong = next((pin for pin in pins if not pin.specifier.contains(torch, prereleases=True)), None)
        findings.append(
            Finding(PROBLEM, "torchvision and torch", f"torchvision {vision} needs torch {wrong.specifier}, "
                    f"but torch is {torch}", f"{_INSTALL} torch torchvision") if wrong
            else Finding(OK, "torchvision and torch", f"{vision} goes with {torch}"))
    kernel = version("ipykernel")
    if kernel and kernel.startswith("7.0."):
        findings.append(Finding(WARNING, "ipykernel", f"{kernel} loses what threads send to widgets: panels stand "
                                "still while a model trains", f'{_INSTALL} "ipykernel>=7.1"'))
    return findings


def import_findings() -> list[Finding]:
    """Whether what is installed can also be imported. Only failures are told."""
    findings = []
    for name in _SHOWN:
        if version(name) is None:
            continue
        try:
            importlib.import_module(_MODULES.get(name, name))
        except BaseException as error:  # a broken binary may even raise SystemExit
            if isinstance(error, KeyboardInterrupt):
                raise
            findings.append(Finding(WARNING if name in _FOR_LESSONS else PROBLEM, f"import {name}", first_line(error),
                                    f"{_INSTALL} --force-reinstall {name}"))
    return findings or [Finding(OK, "imports", "every package can be imported")]


def version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> list[Requirement]:
    """What ftkit's own metadata ask for, with the extra for lessons."""
    from packaging.requirements import Requirement

    return [requirement for requirement in map(Requirement, metadata.requires("ftkit") or ())
            if requirement.marker is None or requirement.marker.evaluate({"extra": "lab"})]
