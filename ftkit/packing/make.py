"""Packing a folder: the wheels, the lists, the scripts that install from it, and a page that says what it is."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ftkit.disk import disk_errors
from ftkit.errors import UserError
from ftkit.packing.folder import FACTS, PackFolder, Wheel
from ftkit.packing.own import own_wheel
from ftkit.packing.target import PLATFORMS, Target
from ftkit.packing.wheels import Gatherer, Say, megabytes

STICK = Path(__file__).parent / "stick"
INSTALL = "python -m pip install --no-index --find-links wheels -r {list}.txt"
_GPU = ("nvidia-", "triton", "cuda-")  # packages that only graphics cards use


@dataclass(frozen=True)
class Packed:
    """What a folder holds for one target.

    Args:
        place: The folder.
        target: For whom.
        wheels: One per package.
    """

    place: Path
    target: Target
    wheels: list[Wheel]

    @property
    def bytes(self) -> int:
        """What the wheels take."""
        return sum(wheel.bytes for wheel in self.wheels)

    @property
    def installed_bytes(self) -> int:
        """What they take when they are installed."""
        return sum(wheel.installed_bytes for wheel in self.wheels)

    @property
    def gpu_bytes(self) -> int:
        """What torch's build for NVIDIA's cards brings along, and a processor does not need."""
        return sum(wheel.bytes for wheel in self.wheels if wheel.name.startswith(_GPU))

    @property
    def mixed_builds(self) -> str:
        """torch and torchvision if they are of two builds, such as +cpu and plain, which do not work together."""
        builds = {wheel.name: wheel.version for wheel in self.wheels if wheel.name in ("torch", "torchvision")}
        if len({version.local for version in builds.values()}) < 2:
            return ""
        return " and ".join(f"{name} {version}" for name, version in sorted(builds.items()))

    @property
    def largest(self) -> str:
        """The packages that most of it goes to."""
        most = sorted(self.wheels, key=lambda wheel: -wheel.bytes)[:4]
        return ", ".join(f"{wheel.name} {megabytes(wheel.bytes)}" for wheel in most)


def pack(place: Path, target: Target, say: Say = lambda text: None) -> Packed:
    """Fill a folder from which ftkit and JupyterLab can be installed without a network.

    Called again, it goes on: what is there and whole is not fetched again. Other targets in the folder stay.

    Args:
        place: A new folder, or one that was packed before.
        target: From `make_target`.
        say: Is told of each step.

    Raises:
        UserError: The folder holds something else, or pip cannot reach its index.
        DataError: Packages without a wheel for the target; a damaged pack.json.
        DiskError: The disk is full.
    """
    if place.exists() and (not place.is_dir() or (any(place.iterdir()) and not (place / FACTS).exists())):
        raise UserError(f"{place} holds something else. Name a new folder, or one that was packed before.")
    folder = PackFolder(place)
    for name in folder.check():
        say(f"  {name} was damaged: it is fetched again")
    folder.write_facts()
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=place) as fresh, disk_errors(place):
        own = folder.add(own_wheel(Path(fresh)))
    say(f"  {own.name} {own.version}, {megabytes(own.bytes)}: the package, its data, backbones and notebooks")
    wheels = Gatherer(target, folder, say).gather(own, {"lab"})
    folder.finish(target, wheels)
    with disk_errors(place):
        for script in ("install.py", "install.sh", "install.bat"):
            shutil.copyfile(STICK / script, place / script)
        (place / "README.txt").write_text(_read_me(folder), encoding="utf8", newline="\r\n")
    return Packed(place, target, wheels)


def _read_me(folder: PackFolder) -> str:
    rows = [f"  {known['platform']:<10} Python {known['python']:<6} {megabytes(known['bytes']):>8} "
            f"{megabytes(known['installed_bytes']):>12}   {PLATFORMS[known['platform']].about}"
            for known in folder.targets.values()]
    return "\n".join([
        "ftkit and its lessons, to be installed without a network.", "",
        "  for        with           wheels    installed", *rows, "",
        "Python itself is not in this folder.", "",
        "Linux and macOS:   sh install.sh", "Windows:           install.bat (a double click will do)", "",
        "That makes a folder ftkit-course in your home folder: an environment and the lessons.",
        "Into an environment of your own instead:", "", *(f"  {INSTALL.format(list=name)}" for name in folder.targets),
        "", "pip compares each package with the sum in that list. The sums are in SHA256SUMS too:",
        "sha256sum --check SHA256SUMS (Linux), shasum -a 256 -c SHA256SUMS (macOS).", ""])
