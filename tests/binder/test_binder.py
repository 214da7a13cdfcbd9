"""What a Binder launch needs: an environment that fits pyproject.toml, and two scripts that do what they say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from clean_environment import clean_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ftkit.commands.lab import FIRST

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
CONDA_NAMES = {"pytorch-cpu": "torch"}  # conda-forge's name: PyPI's
NEEDED = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"]]
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Binder's containers are Linux")
LISTED = yaml.safe_load((BINDER / "environment.yml").read_text(encoding="utf8"))["dependencies"]


def _pins(lines: list[str]) -> dict[str, tuple[str, str]]:
    """{name on PyPI: (how, version)}, from lines such as "numpy=2.4" and "tqdm==4.70.1"."""
    found = {}
    for line in lines:
        name, how, version = re.fullmatch(r"([\w.-]+)\s*([=<>]*)\s*([\w.]*)", line).groups()  # type: ignore[union-attr]
        found[canonicalize_name(CONDA_NAMES.get(name, name))] = (how, version)
    return found


CONDA = _pins([entry for entry in LISTED if isinstance(entry, str)])
PIP = _pins(next(entry["pip"] for entry in LISTED if isinstance(entry, dict)))


# --- environment.yml --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", NEEDED, ids=lambda wanted: wanted.name)
def test_each_dependency_is_there_in_a_version_that_ftkit_takes(wanted: Requirement) -> None:
    name = canonicalize_name(wanted.name)
    assert (name in CONDA) != (name in PIP), f"{name} must be installed once, by conda or by pip"
    how, version = {**CONDA, **PIP}[name]
    assert how == ("=" if name in CONDA else "=="), f"{name} is not pinned"
    assert wanted.specifier.contains(version), f"{name} {version}, but pyproject.toml asks for {wanted.specifier}"


def test_python_is_named_and_right() -> None:
    how, version = CONDA["python"]
    assert how == "="
    assert re.fullmatch(r"\d+\.\d+", version), "repo2docker takes a frozen base for this Python, named as x.y"
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def test_torch_is_the_build_for_processors_and_torchvision_its_partner() -> None:
    text = "\n".join(map(str, LISTED))
    assert "pytorch-cpu" in text
    assert not re.search(r"cuda|nvidia|pytorch-gpu|triton", text)
    assert not {"torch", "torchvision"} & set(PIP), "PyPI's bring CUDA"
    torch, vision = (tuple(map(int, CONDA[name][1].split("."))) for name in ("torch", "torchvision"))
    assert (torch[0], torch[1] + 15) == (2, vision[1]), "torch 2.x goes with torchvision 0.(x + 15)"


@pytest.mark.parametrize(("name", "least"), [("ipykernel", ">=7.1"), ("ipywidgets", ">=8.1.9")])
def test_panels_can_move_while_a_thread_trains(name: str, least: str) -> None:
    assert Requirement(f"{name}{least}").specifier.contains({**CONDA, **PIP}[name][1])


def test_the_builder_of_ftkit_is_there() -> None:
    """postBuild fetches nothing, so what pyproject.toml builds with must have come with the environment."""
    (builder,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["build-system"]["requires"]
    wanted = Requirement(builder)
    assert wanted.specifier.contains(PIP[wanted.name][1])


def test_the_pins_go_together() -> None:
    """What each pinned package asks for of the others, as far as that version is installed here."""
    asked = 0
    for name, (_, version) in PIP.items():
        try:
            known = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if known.version != version:
            continue
        for wanted in map(Requirement, known.requires or ()):
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            pin = PIP.get(canonicalize_name(wanted.name))
            if pin:
                asked += 1
                assert wanted.specifier.contains(pin[1]), f"{name} {version} asks for {wanted}, not {pin[1]}"
    assert asked or not any(_installed(name) == version for name, (_, version) in PIP.items())


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# --- postBuild and start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_scripts(name: str) -> None:
    content = (BINDER / name).read_bytes()
    assert content.startswith(b"#!/bin/bash\n")
    assert b"\r" not in content
    assert os.name == "nt" or os.access(BINDER / name, os.X_OK)


@ON_LINUX
@pytest.mark.timeout(900)
def test_post_build_installs_ftkit_and_warms_up_without_a_network(tmp_path: Path) -> None:
    programs, home, tried = clean_environment(tmp_path / "venv"), tmp_path / "home", tmp_path / "tried.txt"
    home.mkdir()
    own = {name: value for name, value in os.environ.items() if name not in ("MPLCONFIGDIR", "XDG_CACHE_HOME")}
    env = {**own, "HOME": str(home), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
           "PYTHONPATH": str(ROOT / "tests" / "netblock"), "NETBLOCK_LOG": str(tried),
           "PIP_IGNORE_INSTALLED": "1"}  # an editable ftkit in the shared folder stays as it is
    ran = subprocess.run([BINDER / "postBuild"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=800)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "pretrained, from ftkit itself" in ran.stdout
    assert not tried.exists(), tried.read_text()
    (package,) = (tmp_path / "venv").rglob("site-packages/ftkit/__init__.py")
    assert list(package.parent.glob("__pycache__/cli.*.pyc"))
    assert list(home.glob(".cache/matplotlib/fontlist*.json"))
    settings = json.loads((tmp_path / "venv/etc/jupyter/jupyter_server_config.json").read_text(encoding="utf8"))
    assert set(settings) == {"ServerApp", "LabApp", "JupyterNotebookApp"}
    assert opens(programs, env) == f"/lab/tree/notebooks/{FIRST}"
    assert (ROOT / "notebooks" / FIRST).is_file()


def opens(programs: Path, env: dict[str, str]) -> str:
    """Where JupyterLab sends somebody who asks for no page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [programs / "python", "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}",
               "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token="]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                assert server.poll() is None, "JupyterLab did not start"
                asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                with contextlib.suppress(OSError):
                    asked.request("GET", "/")
                    return asked.getresponse().getheader("Location", "").rstrip("?")
                time.sleep(0.2)
        finally:
            server.kill()
    raise AssertionError("JupyterLab did not answer")


def start(*words: str, cores: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """binder/start around a command; on so many cores."""
    own = {name: value for name, value in os.environ.items() if not re.search(r"OMP_|_NUM_THREADS|TOKENIZERS", name)}
    some = sorted(os.sched_getaffinity(0))[:cores]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run([BINDER / "start", *words], capture_output=True, text=True, timeout=120, cwd=ROOT,
                          env={**own, "PATH": path, **env}, preexec_fn=lambda: os.sched_setaffinity(0, some))


SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
SHOW = ("python", "-c", f"import os; print(*(os.environ[name] for name in {SETTINGS}))")


@ON_LINUX
def test_start_sets_the_threads_that_the_container_may_use() -> None:
    from ftkit.machine import cpu_limit

    assert start(*SHOW, cores=1).stdout.split() == ["1", "1", "1", "PASSIVE"]
    assert start(*SHOW).stdout.split()[0] == str(min(cpu_limit(), 4))
    assert start(*SHOW, cores=1, OMP_NUM_THREADS="3").stdout.split() == ["3", "3", "3", "PASSIVE"], "what was set stays"


@ON_LINUX
def test_start_hands_the_command_on_as_it_is() -> None:
    ran = start("python", "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "two words", "")
    assert ran.stdout == "['two words', '']\n"
    assert ran.returncode == 3


@ON_LINUX
def test_start_works_where_python_does_not(tmp_path: Path) -> None:
    """A launch must not end because the threads could not be counted."""
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    ran = start("sh", "-c", "echo $OMP_NUM_THREADS", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert ran.stdout == "1\n"
    assert ran.returncode == 0
