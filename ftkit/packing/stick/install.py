"""Installs ftkit and its lessons from this folder, without a network: python install.py

It makes a folder ftkit-course in your home folder (or what --to names) with an environment of its own and the lessons
in it. Nothing else is touched: to take it all away, remove that folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"


def main() -> int:
    """Install, and say how to begin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path.home() / "ftkit-course", help="default: ftkit-course at home")
    place = parser.parse_args().to.expanduser().resolve()
    targets = json.loads((HERE / "pack.json").read_text(encoding="utf8"))["targets"]
    own = f"{this_platform()}-py{sys.version_info[0]}.{sys.version_info[1]}"
    if own not in targets:
        return another_python(targets, place)
    needed = targets[own]["installed_bytes"]
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if free < 1.1 * needed:
        return fail(f"{place} needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. Make room, or name "
                    "another place: install.py --to FOLDER")
    print(f"Installing {needed / 1e9:.1f} GB into {place}: some minutes. No network is needed.", flush=True)
    return install(HERE / f"{own}.txt", place)


def install(packages: Path, place: Path) -> int:
    """An environment, the packages, the lessons."""
    environment = place / "environment"
    programs = environment / ("Scripts" if WINDOWS else "bin")
    python = programs / ("python.exe" if WINDOWS else "python")
    if not python.exists() and subprocess.run([sys.executable, "-m", "venv", str(environment)], check=False).returncode:
        return fail("This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv. Elsewhere, "
                    "install Python from its own site.")
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(HERE / "wheels"),
               "--disable-pip-version-check", "--requirement", str(packages)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    if subprocess.run(command, check=False, env={**alone, "PIP_CONFIG_FILE": os.devnull}).returncode:
        return fail("pip could not install the packages: see above. If it speaks of a hash, this copy is damaged: copy "
                    "the folder anew.")
    ftkit = str(programs / "ftkit")
    if subprocess.run([ftkit, "course", "get", str(place / "lessons")], check=False, env=alone).returncode:
        return fail("The lessons could not be laid out: see above.")
    start = place / ("start.bat" if WINDOWS else "start.sh")
    order = f'"{ftkit}" lab "{place / "lessons"}" {"%*" if WINDOWS else "$@"}\n'
    start.write_text(("@echo off\n" if WINDOWS else "#!/bin/sh\n") + order, encoding="utf8")
    start.chmod(0o755)
    healthy = subprocess.run([ftkit, "doctor"], check=False, env=alone).returncode == 0
    print(f"\nReady{'' if healthy else ', but for the problem that ftkit doctor found'}. To open the lessons: {start}")
    return 0 if healthy else 1


def another_python(targets: dict[str, dict[str, str]], place: Path) -> int:
    """Go on with a Python that this folder is packed for, if this machine has one."""
    mine = [known["python"] for known in targets.values() if known["platform"] == this_platform()]
    for version in mine:
        found = shutil.which("py" if WINDOWS else f"python{version}")
        command = [found, *([f"-{version}"] if WINDOWS else [])] if found else []
        asked = [*command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if command and subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version:
            return subprocess.run([*command, str(HERE / "install.py"), "--to", str(place)], check=False).returncode
    packed = ", ".join(f"{known['platform']} with Python {known['python']}" for known in targets.values())
    return fail(f"This is {this_platform()} with Python {platform.python_version()}. The folder is packed for "
                f"{packed}. " + (f"Install Python {' or '.join(mine)} and try again." if mine else
                   "Ask your teacher to pack it for this machine too."))


def this_platform() -> str:
    """This machine's name in pack.json."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    known = {("linux", False): "linux", ("linux", True): "linux-arm", ("darwin", True): "macos",
             ("win32", False): "windows"}
    return known.get((sys.platform, arm), f"{sys.platform} {platform.machine()}")


def fail(text: str) -> int:
    """Say what is wrong."""
    print(f"\ninstall.py: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
