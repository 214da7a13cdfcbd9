"""A folder for a class without a network: packed by the real pip from an index of tiny wheels, and installed from."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packing_helpers import LINUX, OWN, WINDOWS, tiny_index, tiny_wheel

from ftkit.cli import main
from ftkit.errors import DataError, UnknownName, UserError
from ftkit.packing import make, wheels
from ftkit.packing.make import Packed, pack
from ftkit.packing.own import repack
from ftkit.packing.target import PLATFORMS, make_target

FTKIT = """
import sys
from pathlib import Path

def main():
    if sys.argv[1:3] == ["course", "get"]:
        Path(sys.argv[3]).mkdir()
    elif sys.argv[1:] != ["doctor"]:
        sys.exit(3)
"""
WINDOWS_12 = make_target("windows", "3.12")
EVERYWHERE = {"ftkit", "ft-torch", "ft-lab", "ft-shared", "ft-fast"}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's settings name this folder and nothing else; ftkit's own wheel is a tiny one."""
    folder = tiny_index(tmp_path / "index")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setattr(wheels, "_call_pip", pip_in_this_process)
    monkeypatch.setattr(make, "own_wheel", lambda out: tiny_wheel(
        out, "ftkit", "0.1.0", OWN, files={"ftkit_tiny.py": FTKIT}, scripts="ftkit = ftkit_tiny:main"))
    return folder


def pip_in_this_process(words: list[str]) -> tuple[int, str]:
    """The real pip, whose start in a process of its own would take a second for each package."""
    from pip._internal.cli.main import main as pip

    said = io.StringIO()
    with _ONE_AT_A_TIME, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pip(words)
    return code, said.getvalue()


_ONE_AT_A_TIME = threading.Lock()
in_a_process = wheels._call_pip  # as it is for users


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, pip must not be asked any more."""
    def stop() -> None:
        monkeypatch.setattr(wheels, "run_pip", lambda *words: pytest.fail(f"pip was asked for {words[-1]}"))
    return stop


def names(packed: Packed) -> set[str]:
    return {wheel.name for wheel in packed.wheels}


def version(packed: Packed, name: str) -> str:
    return next(str(wheel.version) for wheel in packed.wheels if wheel.name == name)


# --- what a target needs ----------------------------------------------------------------------------------------------


def test_each_system_gets_its_own_wheels_whatever_machine_packs(tmp_path: Path) -> None:
    """pip alone would read "only on Windows" as a question about the machine that it runs on."""
    for name, more in (("windows", {"ft-colour"}), ("linux", {"ft-gpu"}), ("macos", set())):
        packed = pack(tmp_path / name, make_target(name, "3.12"))
        assert names(packed) == EVERYWHERE | more
        (torch,) = [wheel.file.name for wheel in packed.wheels if wheel.name == "ft-torch"]
        assert {"windows": "win", "linux": "manylinux", "macos": "macosx"}[name] in torch


def test_a_version_that_one_of_two_refuses_is_chosen_anew(tmp_path: Path) -> None:
    packed = pack(tmp_path / "stick", WINDOWS_12)
    assert version(packed, "ft-shared") == "1.5", "ft-lab wants one below 2"
    assert not list((tmp_path / "stick" / "wheels").glob("ft_shared-2*")), "what is not needed does not stay"


def test_versions_are_those_of_this_environment_where_there_are_wheels_of_them(tmp_path: Path, index: Path) -> None:
    own = metadata.version("tqdm")
    tiny_wheel(index, "ft-lab", "4.1", ["tqdm", "packaging", "ft-shared[fast]<2"])
    for name, number in (("tqdm", own), ("tqdm", "999.0"), ("packaging", "999.0")):
        tiny_wheel(index, name, number)
    packed = pack(tmp_path / "stick", WINDOWS_12)
    assert version(packed, "tqdm") == own
    assert version(packed, "packaging") == "999.0", "there is no wheel of ours"


def test_a_build_for_processors_is_taken_where_the_index_has_one(tmp_path: Path, index: Path) -> None:
    tiny_wheel(index, "ft-torch", "2.1+cpu", tag=LINUX)
    packed = pack(tmp_path / "stick", make_target("linux", "3.12"))
    assert version(packed, "ft-torch") == "2.1+cpu"
    assert "ft-gpu" not in names(packed)
    assert "ft-torch==2.1+cpu --hash=sha256:" in (tmp_path / "stick" / "linux-py3.12.txt").read_text()


def test_pips_own_settings_decide(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_wheel(index, "ft-lab", "3.0", ["ft-shared[fast]<2"])
    (tmp_path / "wishes.txt").write_text("ft-lab<4\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "wishes.txt"))
    assert version(pack(tmp_path / "stick", WINDOWS_12), "ft-lab") == "3.0"


# --- what is written --------------------------------------------------------------------------------------------------


def test_lists_and_sums_name_every_wheel(tmp_path: Path) -> None:
    place = tmp_path / "stick"
    packed = pack(place, WINDOWS_12)
    pack(place, make_target("linux", "3.12"))
    sums = {line[66:]: line[:64] for line in (place / "SHA256SUMS").read_text().splitlines()}
    assert set(sums) == {f"wheels/{file.name}" for file in (place / "wheels").iterdir()}
    assert all(hashlib.sha256((place / name).read_bytes()).hexdigest() == known for name, known in sums.items())
    listed = (place / "windows-py3.12.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in listed} == names(packed)
    assert all(line.split("sha256:")[1] in sums.values() for line in listed)
    assert "ft-gpu==1.0" in (place / "linux-py3.12.txt").read_text()
    assert sorted(path.name for path in place.iterdir()) == [
        "README.txt", "SHA256SUMS", "install.bat", "install.py", "install.sh", "linux-py3.12.txt", "pack.json",
        "wheels", "windows-py3.12.txt"], "nothing half-made is left"
    about = (place / "README.txt").read_text()
    for word in ("windows", "linux", "install.sh", "install.bat", "-r linux-py3.12.txt", "SHA256SUMS"):
        assert word in about


def test_a_newer_ftkit_is_newer_in_every_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that names the sum of a wheel that was replaced would be refused by pip."""
    pack(tmp_path / "stick", WINDOWS_12)
    before = (tmp_path / "stick" / "windows-py3.12.txt").read_text()
    monkeypatch.setattr(make, "own_wheel", lambda out: tiny_wheel(out, "ftkit", "0.1.0", OWN, files={"new.py": ""}))
    pack(tmp_path / "stick", make_target("linux", "3.12"))
    after = (tmp_path / "stick" / "windows-py3.12.txt").read_text()
    assert [a == b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)].count(False) == 1


# --- going on ---------------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_fetched_again(tmp_path: Path, no_pip: Callable[[], None]) -> None:
    first = pack(tmp_path / "stick", WINDOWS_12)
    no_pip()
    told: list[str] = []
    again = pack(tmp_path / "stick", WINDOWS_12, told.append)
    assert [wheel.file.name for wheel in again.wheels] == [wheel.file.name for wheel in first.wheels]
    assert sum("was there" in line for line in told) == len(first.wheels) - 1


def test_it_goes_on_and_mends_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, real = tmp_path / "stick", wheels.run_pip

    def breaks(*words: str) -> None:
        if words[-1].startswith("ft-shared"):
            raise UserError("pip cannot reach its package index: test.")
        real(*words)

    monkeypatch.setattr(wheels, "run_pip", breaks)
    with pytest.raises(UserError, match="cannot reach"):
        pack(place, WINDOWS_12)
    kept = {file.name for file in (place / "wheels").iterdir()}
    assert any(name.startswith("ft_torch") for name in kept)
    assert not list(place.glob(".fetching*"))
    (place / "wheels" / "ft_lab-4.0-py3-none-any.whl").write_bytes(b"half")
    asked: list[str] = []
    monkeypatch.setattr(wheels, "run_pip", lambda *words: (asked.append(words[-1]), real(*words))[1])
    told: list[str] = []
    packed = pack(place, WINDOWS_12, told.append)
    assert names(packed) == EVERYWHERE | {"ft-colour"}
    assert "  ft_lab-4.0-py3-none-any.whl was damaged: it is fetched again" in told
    assert not any(word.startswith("ft-torch") for word in asked), "it was there"


# --- errors -----------------------------------------------------------------------------------------------------------


def test_every_missing_wheel_is_named_and_the_rest_kept(tmp_path: Path, index: Path) -> None:
    for name in (f"ft_torch-2.1-{WINDOWS}.whl", "ft_fast-1.0-py3-none-any.whl"):
        (index / name).unlink()
    with pytest.raises(DataError) as caught:
        pack(tmp_path / "stick", WINDOWS_12)
    said = str(caught.value)
    assert "2 packages have no wheel for windows with Python 3.12" in said
    assert "ft-torch>=2 (asked for by ftkit; pip: " in said
    assert "ft-fast (asked for by ft-shared" in said
    assert (tmp_path / "stick" / "wheels" / "ft_lab-4.0-py3-none-any.whl").is_file()
    assert not (tmp_path / "stick" / "windows-py3.12.txt").exists(), "no list says that it is whole"


def test_demands_that_no_version_meets_name_who_makes_them(tmp_path: Path, index: Path) -> None:
    tiny_wheel(index, "ft-lab", "4.1", ["ft-shared<1"])
    with pytest.raises(DataError, match=r"ft-shared<1 \(asked for by .*ft-lab"):
        pack(tmp_path / "stick", WINDOWS_12)


def test_an_index_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(UserError, match=r"pip cannot reach its package index.*pip config list"):
        pack(tmp_path / "stick", WINDOWS_12)


def test_unknown_platforms_name_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'windows'.*linux, linux-arm, macos, windows"):
        make_target("window", "3.12")
    with pytest.raises(UnknownName, match="no wheels for Macs with Intel"):
        make_target("macos-intel", "3.12")
    for python, said in (("3", "such as 3.12, not '3'"), ("3.10", "Python 3.11 or newer"), ("new", "such as 3.12")):
        with pytest.raises(UserError, match=re.escape(said)):
            make_target("linux", python)


def test_this_machine_is_the_default() -> None:
    target = make_target()
    assert target.version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert target.platform in PLATFORMS.values()


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        pack(tmp_path / "mine", WINDOWS_12)
    pack(tmp_path / "stick", WINDOWS_12)
    (tmp_path / "stick" / "pack.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        pack(tmp_path / "stick", WINDOWS_12)


def test_pip_is_a_process_of_its_own(tmp_path: Path, index: Path) -> None:
    """In the other tests it runs in this one, which is faster."""
    code, said = in_a_process(["download", "--no-deps", "--dest", str(tmp_path), "ft-dev"])
    assert code == 0
    assert (tmp_path / "ft_dev-1.0-py3-none-any.whl").is_file()
    code, said = in_a_process(["download", "--no-deps", "--dest", str(tmp_path), "ft-nothing"])
    assert code == 1
    assert "No matching distribution found for ft-nothing" in said


def test_the_command_says_sizes_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "stick"
    assert main(["course", "pack", str(place), "--platform", "windows", "--python", "3.12"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"6 packages, [\d.]+ MB; [\d.]+ MB when installed\. Largest: ", said)
    assert "pip install --no-index --find-links wheels -r windows-py3.12.txt" in said
    for words, wanted in ((["course", "pack"], "Where to?"),
                          (["course", "pack", str(place), "--platform", "linx"], "Did you mean 'linux'?")):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert wanted in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(("build", "warned"), [("", True), ("+cpu", False)])
def test_two_builds_that_cannot_load_each_other_are_told(build: str, warned: bool, tmp_path: Path, index: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    tiny_wheel(index, "ft-lab", "4.1", ["ft-shared[fast]<2", "torch", "torchvision"])
    tiny_wheel(index, "torch", "9999.0+cpu")
    tiny_wheel(index, "torchvision", f"9999.0{build}")
    assert main(["course", "pack", str(tmp_path / "stick"), "--platform", "linux", "--python", "3.12"]) == 0
    said = capsys.readouterr().out
    assert ("WARNING: torch 9999.0+cpu and torchvision 9999.0 are of two builds" in said) == warned


# --- installing -------------------------------------------------------------------------------------------------------


PROGRAMS = "Scripts" if os.name == "nt" else "bin"


def install(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As a student does, with this Python first on PATH."""
    paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    command = [sys.executable, place / "install.py"] if os.name == "nt" else ["sh", place / "install.sh"]
    return subprocess.run([*map(str, command), *words], capture_output=True, text=True, timeout=200, check=False,
                          env={**os.environ, "PATH": paths})


def test_it_installs_without_an_index(tmp_path: Path, index: Path) -> None:
    tiny_wheel(index, "ft-torch", "2.2")  # for any machine
    place, home = tmp_path / "stick", tmp_path / "home"
    pack(place, make_target())
    for file in index.iterdir():
        file.unlink()
    done = install(place, "--to", str(home))
    assert done.returncode == 0, done.stderr
    assert (home / "lessons").is_dir()
    (site,) = (home / "environment").rglob("site-packages")
    assert {file.name.split("-")[0].replace("_", "-") for file in site.glob("*.dist-info")} >= EVERYWHERE
    (start,) = home.glob("start.*")
    assert " lab " in start.read_text()
    shared = place / "wheels" / "ft_shared-1.5-py3-none-any.whl"
    shared.write_bytes(tiny_wheel(tmp_path / "other", "ft-shared", "1.5", files={"bad.py": ""}).read_bytes())
    shutil.rmtree(site / "ft_shared-1.5.dist-info")  # so that pip installs it again
    done = install(place, "--to", str(home))
    assert done.returncode == 1
    assert "this copy is damaged" in done.stderr


def test_the_wrong_python_is_told_which_ones_are_right(tmp_path: Path) -> None:
    place = tmp_path / "stick"
    pack(place, make_target("windows", "3.12"))
    done = install(place, "--to", str(tmp_path / "home"))
    assert done.returncode == 1
    assert "packed for windows with Python 3.12. Ask your teacher" in done.stderr
    facts = json.loads((place / "pack.json").read_text())
    facts["targets"]["windows-py3.12"] |= {"platform": make_target().platform.name, "python": "3.99"}
    (place / "pack.json").write_text(json.dumps(facts))
    assert "Install Python 3.99 and try again" in install(place, "--to", str(tmp_path / "home")).stderr
    assert not (tmp_path / "home").exists()


def test_an_installed_package_can_be_made_a_wheel_again(tmp_path: Path) -> None:
    """Who has ftkit from a wheel has no checkout to build from."""
    files = {"ftkit_tiny.py": FTKIT, "ftkit_data/a.csv": "a,b\n"}
    made = tiny_wheel(tmp_path / "made", "ftkit", "0.1.0", OWN, files=files)
    into = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    site = tmp_path / "site"
    subprocess.run([*into, str(site), str(made)], check=True)
    (installed,) = metadata.distributions(path=[str(site)])
    (tmp_path / "again").mkdir()
    again = repack(installed, tmp_path / "again")
    assert again.name == made.name
    assert again.read_bytes() == repack(installed, tmp_path / "again").read_bytes(), "the same each time"
    target = tmp_path / "other"
    subprocess.run([*into, str(target), str(again)], check=True)
    assert (target / "ftkit_data" / "a.csv").read_text() == "a,b\n"
    (site / "ftkit_tiny.py").unlink()
    with pytest.raises(DataError, match=r"ftkit_tiny\.py is missing"):
        repack(installed, tmp_path / "again")
