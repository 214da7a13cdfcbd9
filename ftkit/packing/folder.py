"""The folder that is packed: its wheels, their sums, and a list of packages for each target.

    pack.json            what was packed for whom, and the sha256 of every wheel
    SHA256SUMS           the same sums, for `sha256sum --check`
    windows-py3.12.txt   name, version and sha256 of each package: what pip installs, and checks
    wheels/              the packages; those that fit several targets are there once
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from ftkit.disk import disk_errors, file_sha256, write_whole
from ftkit.errors import DataError
from ftkit.packing.target import Target

FACTS, SUMS, WHEELS = "pack.json", "SHA256SUMS", "wheels"
_FORMAT = "ftkit pack 1"


@dataclass(frozen=True)
class Wheel:
    """A wheel on disk; its name says for whom it is, what it holds says what it needs."""

    file: Path

    @cached_property
    def parsed(self) -> tuple[str, Version, frozenset[Tag]]:
        """Its package, its version, and the tags of the machines that it runs on."""
        name, version, _, tags = parse_wheel_filename(self.file.name)
        return name, version, tags

    @property
    def name(self) -> str:
        """Of its package."""
        return self.parsed[0]

    @property
    def version(self) -> Version:
        """Of its package."""
        return self.parsed[1]

    @property
    def bytes(self) -> int:
        """Its size as a file."""
        return self.file.stat().st_size

    @cached_property
    def installed_bytes(self) -> int:
        """What its files take when they are unpacked."""
        with zipfile.ZipFile(self.file) as archive:
            return sum(entry.file_size for entry in archive.infolist())

    @cached_property
    def requires(self) -> list[Requirement]:
        """What it asks for, under whatever markers."""
        with zipfile.ZipFile(self.file) as archive:
            inside = next(name for name in archive.namelist()
                          if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
            headers = BytesHeaderParser().parsebytes(archive.read(inside))
        return [Requirement(line) for line in headers.get_all("Requires-Dist") or ()]


class PackFolder:
    """What has been packed so far. A wheel counts once its sum is written down: whatever broke off before is not there.

    Args:
        place: Made if it is not there.

    Raises:
        DataError: Its pack.json is damaged.
        DiskError: It cannot be written.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.wheels = place, place / WHEELS
        self.targets: dict[str, dict[str, Any]] = {}
        self.sums: dict[str, str] = {}
        with disk_errors(place):
            self.wheels.mkdir(parents=True, exist_ok=True)
        if (place / FACTS).exists():
            self._read(place / FACTS)

    def _read(self, file: Path) -> None:
        try:
            known = json.loads(file.read_text(encoding="utf8"))
            if known["format"] != _FORMAT:
                raise ValueError(f"its format is {known['format']!r}")
            self.targets, self.sums = dict(known["targets"]), dict(known["sums"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is damaged ({type(error).__name__}: {error}). Pack into a new folder.") from error

    def check(self) -> list[str]:
        """Forget and remove wheels that are not as they were packed; returns their names."""
        broken = [name for name, known in self.sums.items() if _sum(self.wheels / name) != known]
        for name in broken:
            del self.sums[name]
            (self.wheels / name).unlink(missing_ok=True)
        return broken

    def held(self) -> list[Wheel]:
        """The wheels whose sums are known."""
        return [Wheel(self.wheels / name) for name in tuple(self.sums)]

    def add(self, file: Path) -> Wheel:
        """Move a wheel in, and write down its sum at once."""
        with disk_errors(self.wheels):
            os.replace(file, self.wheels / file.name)
            self.sums[file.name] = _sum(self.wheels / file.name)
            self.write_facts()
        return Wheel(self.wheels / file.name)

    def finish(self, target: Target, wheels: list[Wheel]) -> None:
        """Write the lists; wheels that no target needs any more go."""
        self.targets[target.name] = {
            "platform": target.platform.name, "python": target.version,
            "wheels": sorted(wheel.file.name for wheel in wheels), "bytes": sum(wheel.bytes for wheel in wheels),
            "installed_bytes": sum(wheel.installed_bytes for wheel in wheels)}
        needed = {name for known in self.targets.values() for name in known["wheels"]}
        with disk_errors(self.place):
            for name in set(self.sums) - needed:
                del self.sums[name]
                (self.wheels / name).unlink(missing_ok=True)
            for name, known in self.targets.items():
                write_whole(self.place / f"{name}.txt", "".join(self._line(file) for file in known["wheels"]).encode())
            lines = [f"{known}  {WHEELS}/{name}\n" for name, known in sorted(self.sums.items())]
            write_whole(self.place / SUMS, "".join(lines).encode())
            self.write_facts()

    def _line(self, file: str) -> str:
        name, version, _ = Wheel(self.wheels / file).parsed
        return f"{canonicalize_name(name)}=={version} --hash=sha256:{self.sums[file]}\n"

    def write_facts(self) -> None:
        """Write pack.json."""
        facts = {"format": _FORMAT, "targets": self.targets, "sums": dict(sorted(self.sums.items()))}
        write_whole(self.place / FACTS, (json.dumps(facts, indent=1) + "\n").encode())


def _sum(file: Path) -> str:
    """The sha256 of a file; "" if there is none."""
    return file_sha256(file) if file.is_file() else ""
