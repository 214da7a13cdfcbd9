"""`ftkit course pack`: a folder for a class without a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from ftkit.errors import UserError
from ftkit.packing.make import INSTALL, pack
from ftkit.packing.target import make_target
from ftkit.packing.wheels import megabytes

_MUCH = 2e8  # bytes for graphics cards: worth a word


def run(args: argparse.Namespace) -> int:
    """Pack for one platform; told again, go on or add another one."""
    if not args.folder:
        raise UserError("Where to? ftkit course pack DIR --platform windows --python 3.12.")
    target = make_target(args.platform, args.python)
    place = Path(args.folder)
    print(f"Packing {place} for {target.platform.about}, with Python {target.version}.", flush=True)
    packed = pack(place, target, lambda text: print(text, flush=True))
    print(f"\n{len(packed.wheels)} packages, {megabytes(packed.bytes)}; {megabytes(packed.installed_bytes)} when "
          f"installed. Largest: {packed.largest}.")
    if packed.gpu_bytes > _MUCH:
        print(f"{megabytes(packed.gpu_bytes)} of it are for NVIDIA's graphics cards: torch's usual build for Linux. "
              "With an index that has its build for processors (PyTorch's site names one) in pip's extra-index-url, "
              "they are left out. See docs/teaching.md.")
    if packed.mixed_builds:
        print(f"WARNING: {packed.mixed_builds} are of two builds, and will not work together. Let pip's settings name "
              "an index that has both of one build, and pack again.")
    print(f"Copy {place} to a USB stick. On each machine: sh install.sh, or install.bat on Windows; or in an "
          f"environment of one's own:\n  {INSTALL.format(list=target.name)}\nFor other machines, run this again with "
          "their --platform and --python.")
    return 0
