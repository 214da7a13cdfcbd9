"""A package index of tiny wheels, made for a test."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def tiny_wheel(folder: Path, name: str, version: str, requires: Sequence[str] = (), tag: str = "py3-none-any",
               files: Mapping[str, str] | None = None, scripts: str = "") -> Path:
    """A wheel that pip takes; it holds a module of its name unless `files` say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    held = dict(files if files is not None else {f"{plain}.py": f"VERSION = '{version}'\n"})
    extras = "Provides-Extra: lab\n" * any("extra" in line for line in requires)
    held[f"{info}/METADATA"] = (f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}"
                                + "".join(f"Requires-Dist: {line}\n" for line in requires))
    held[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if scripts:
        held[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    held[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*held, f"{info}/RECORD"))
    place = folder / f"{plain}-{version}-{tag}.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for file, text in held.items():
            archive.writestr(file, text)
    return place


LINUX, WINDOWS, MACOS = (f"cp312-cp312-{system}" for system in (
    "manylinux_2_28_x86_64", "win_amd64", "macosx_14_0_arm64"))
OWN = ("ft-torch>=2", 'ft-lab; extra == "lab"', 'ft-dev; extra == "dev"', 'ft-colour; sys_platform == "win32"')


def tiny_index(folder: Path) -> Path:
    """Packages as ftkit's own are: a compiled one, some for one system only, and one too new."""
    for tag in (LINUX, WINDOWS, MACOS):
        tiny_wheel(folder, "ft-torch", "2.1", ['ft-gpu; platform_system == "Linux"', "ft-shared"], tag)
    tiny_wheel(folder, "ft-gpu", "1.0", tag="py3-none-manylinux2014_x86_64")
    tiny_wheel(folder, "ft-lab", "4.0", ["ft-shared[fast]<2"])
    tiny_wheel(folder, "ft-shared", "1.5", ['ft-fast; extra == "fast"'])
    tiny_wheel(folder, "ft-shared", "2.0", ["ft-never"])
    for name in ("ft-fast", "ft-colour", "ft-dev"):
        tiny_wheel(folder, name, "1.0")
    return folder
