"""For whom a folder is packed: a platform and a Python, as pip and the markers of packages call them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms

from ftkit.errors import UserError, check_name

LEAST_PYTHON = (3, 11)
_GLIBC = 28  # wheels for glibc 2.28 and older run on every Linux since 2019: Debian 10, Ubuntu 20.04, RHEL 8
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MACOS = (14, 0)


def _linux(machine: str) -> tuple[str, ...]:
    """The platform tags of wheels for Linux, the most demanding first."""
    names: list[str] = []
    for minor in range(_GLIBC, 4, -1):
        names.append(f"manylinux_2_{minor}_{machine}")
        if minor in _OLD_NAMES:
            names.append(f"{_OLD_NAMES[minor]}_{machine}")
    return (*names, f"linux_{machine}")


@dataclass(frozen=True)
class Platform:
    """A kind of computer.

    Args:
        name: What `--platform` calls it.
        about: For whom it is.
        tags: Of wheels that run there, the best first.
        markers: What the markers of requirements see there.
        pip: What pip's `--platform` is given; it works older systems out itself for macOS, not for Linux.
    """

    name: str
    about: str
    tags: tuple[str, ...]
    markers: Mapping[str, str]
    pip: tuple[str, ...]


def _platform(name: str, about: str, tags: tuple[str, ...], pip: tuple[str, ...] | None = None, *, os_name: str,
              system: str, sys_platform: str, machine: str) -> Platform:
    markers = {"os_name": os_name, "platform_system": system, "sys_platform": sys_platform, "platform_machine": machine,
               "platform_release": "", "platform_version": ""}
    return Platform(name, about, tags, markers, pip or tags)


PLATFORMS = {one.name: one for one in (
    _platform("linux", "Linux on Intel and AMD processors, glibc 2.28 or newer", _linux("x86_64"), os_name="posix",
              system="Linux", sys_platform="linux", machine="x86_64"),
    _platform("linux-arm", "Linux on 64-bit ARM processors, glibc 2.28 or newer", _linux("aarch64"), os_name="posix",
              system="Linux", sys_platform="linux", machine="aarch64"),
    _platform("macos", "macOS 14 or newer on Apple's own processors", tuple(mac_platforms(_MACOS, "arm64")),
              (f"macosx_{_MACOS[0]}_{_MACOS[1]}_arm64",), os_name="posix", system="Darwin", sys_platform="darwin",
              machine="arm64"),
    _platform("windows", "Windows 10 or 11 on Intel and AMD processors", ("win_amd64",), os_name="nt",
              system="Windows", sys_platform="win32", machine="AMD64"),
)}


@dataclass(frozen=True)
class Target:
    """A platform with a version of Python.

    Args:
        platform: One of PLATFORMS.
        python: Such as (3, 12).
    """

    platform: Platform
    python: tuple[int, int]

    @property
    def version(self) -> str:
        """ "3.12" """
        return ".".join(map(str, self.python))

    @property
    def name(self) -> str:
        """ "windows-py3.12": what its list of packages is called."""
        return f"{self.platform.name}-py{self.version}"

    def pip_options(self) -> list[str]:
        """What makes `pip download` choose wheels for this target, whatever machine it runs on."""
        return ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.version}",
                *(f"--platform={tag}" for tag in self.platform.pip)]

    @cached_property
    def ranks(self) -> dict[Tag, int]:
        """Every tag that fits, with its rank: 0 is the best."""
        interpreter = f"cp{self.python[0]}{self.python[1]}"
        tags = [*cpython_tags(self.python, platforms=self.platform.tags),
                *compatible_tags(self.python, interpreter, self.platform.tags)]
        return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}

    def rank(self, tags: Iterable[Tag]) -> int | None:
        """How well a wheel with these tags fits: 0 is best, None not at all."""
        return min((self.ranks[tag] for tag in tags if tag in self.ranks), default=None)

    def needs(self, requirement: Requirement, extras: Iterable[str]) -> bool:
        """Whether a requirement's marker holds here, with these extras asked for.

        pip would ask the machine that it runs on, which may be another. The last number of the class's Python is not
        known, so what either the first or a late one needs is taken.
        """
        if requirement.marker is None:
            return True
        return any(requirement.marker.evaluate({**self._environment(patch), "extra": extra})
                   for patch in (0, 99) for extra in (*extras, ""))

    def _environment(self, patch: int) -> dict[str, str]:
        full = f"{self.version}.{patch}"
        return {**self.platform.markers, "python_version": self.version, "python_full_version": full,
                "implementation_name": "cpython", "implementation_version": full,
                "platform_python_implementation": "CPython"}


def make_target(name: str | None = None, python: str | None = None) -> Target:
    """The target of these names; None takes this machine's own.

    Raises:
        UnknownName: No such platform.
        UserError: No version of Python, or one that is too old for ftkit.
    """
    name = name or here()
    intel_mac = "mac" in name.lower() and re.search("intel|x86|amd", name.lower())
    hint = "torch has no wheels for Macs with Intel processors." if intel_mac else ""
    found = re.fullmatch(r"(\d+)\.(\d+)", python or f"{sys.version_info[0]}.{sys.version_info[1]}")
    if found is None:
        raise UserError(f"--python takes a version such as 3.12, not '{python}'.")
    version = (int(found[1]), int(found[2]))
    if version < LEAST_PYTHON:
        raise UserError(f"ftkit needs Python 3.11 or newer, and --python is {python}.")
    return Target(PLATFORMS[check_name("platform", name, PLATFORMS, hint)], version)


def here() -> str:
    """The name of this machine's platform, or what it calls itself if it has none."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    known = {("linux", False): "linux", ("linux", True): "linux-arm", ("darwin", True): "macos",
             ("win32", False): "windows"}
    return known.get((sys.platform, arm), f"{sys.platform} {platform.machine()}")
