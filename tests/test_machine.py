"""Limits of a container: fake cgroup trees of version 1 and 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ftkit import machine

GIB = 2**30


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cgroup tree, on a machine with 64 GiB of memory (50 free) and 16 cores."""
    monkeypatch.setattr(machine, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    memory = psutil.virtual_memory()._replace(total=64 * GIB, available=50 * GIB)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path / "cgroup"


def write(root: Path, own: str, files: dict[str, object]) -> None:
    """The tree, and /proc/self/cgroup next to it."""
    (root.parent / "own").write_text(own)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")


def test_without_a_cgroup_the_machine_is_the_limit(cgroup: Path) -> None:
    assert machine.memory_limit() == 64 * GIB
    assert machine.memory_available() == 50 * GIB
    assert machine.cpu_limit() == 16


def test_version_2_inside_a_container(cgroup: Path) -> None:
    write(cgroup, "0::/\n", {
        "memory.max": 4 * GIB, "memory.current": 3 * GIB, "memory.stat": f"anon 5\ninactive_file {GIB}\n",
        "cpu.max": "200000 100000"})
    assert machine.memory_limit() == 4 * GIB
    assert machine.memory_available() == 2 * GIB  # the page cache can be had back
    assert machine.cpu_limit() == 2


def test_version_2_on_a_host_where_a_parent_sets_the_limit(cgroup: Path) -> None:
    write(cgroup, "0::/user.slice/user-1000.slice/session.scope\n", {
        "user.slice/user-1000.slice/session.scope/memory.max": "max",
        "user.slice/user-1000.slice/session.scope/cpu.max": "max 100000",
        "user.slice/user-1000.slice/memory.max": 8 * GIB, "user.slice/user-1000.slice/memory.current": 6 * GIB,
        "user.slice/cpu.max": "350000 100000"})
    assert machine.memory_limit() == 8 * GIB
    assert machine.memory_available() == 2 * GIB
    assert machine.cpu_limit() == 4  # 3.5 cores


def test_the_tightest_of_several_limits_holds(cgroup: Path) -> None:
    write(cgroup, "0::/a/b\n", {
        "a/b/memory.max": 8 * GIB, "a/b/memory.current": GIB, "a/memory.max": 10 * GIB, "a/memory.current": 9 * GIB,
        "a/b/cpu.max": "800000 100000", "a/cpu.max": "300000 100000"})
    assert machine.memory_limit() == 8 * GIB
    assert machine.memory_available() == GIB  # in a neighbour's company only 1 of 10 is left
    assert machine.cpu_limit() == 3


@pytest.mark.parametrize("own", [
    "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n",  # named as the host sees it: only the root is there
    "4:memory:/\n1:cpu,cpuacct:/\n0::/\n",
])
def test_version_1_inside_a_container(cgroup: Path, own: str) -> None:
    write(cgroup, own, {
        "memory/memory.limit_in_bytes": 2 * GIB, "memory/memory.usage_in_bytes": GIB,
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB // 2}\n",
        "cpu/cpu.cfs_quota_us": 150000, "cpu/cpu.cfs_period_us": 50000})
    assert machine.memory_limit() == 2 * GIB
    assert machine.memory_available() == 1.5 * GIB
    assert machine.cpu_limit() == 3


def test_version_1_without_limits(cgroup: Path) -> None:
    write(cgroup, "4:memory:/\n1:cpu:/\n", {
        "memory/memory.limit_in_bytes": 9223372036854771712, "memory/memory.usage_in_bytes": 60 * GIB,
        "cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000})
    assert machine.memory_limit() == 64 * GIB
    assert machine.memory_available() == 50 * GIB
    assert machine.cpu_limit() == 16


@pytest.mark.parametrize("quota", ["20000 100000", "1 100000"])
def test_less_than_one_core_is_one_thread(cgroup: Path, quota: str) -> None:
    write(cgroup, "0::/\n", {"cpu.max": quota})
    assert machine.cpu_limit() == 1


@pytest.mark.parametrize("content", ["", "nonsense", "max max"])
def test_files_that_make_no_sense_are_no_limit(cgroup: Path, content: str) -> None:
    write(cgroup, "0::/\n", {"cpu.max": content, "memory.max": content, "memory.stat": content})
    assert machine.memory_limit() == 64 * GIB
    assert machine.memory_available() == 50 * GIB
    assert machine.cpu_limit() == 16


def test_a_limit_without_a_count_of_what_is_used(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cgroup, "0::/\n", {"memory.max": 4 * GIB})
    own = psutil.Process().memory_info().rss
    assert 4 * GIB - 2 * own < machine.memory_available() < 4 * GIB


def test_more_used_than_allowed_leaves_nothing(cgroup: Path) -> None:
    write(cgroup, "0::/\n", {"memory.max": GIB, "memory.current": 2 * GIB})
    assert machine.memory_available() == 0


def test_peak_memory_is_this_process_own_and_not_that_of_its_parent() -> None:
    code = "from ftkit.machine import peak_memory; print(peak_memory()); x = b'1' * 100_000_000; print(peak_memory())"
    ballast = b"1" * 400_000_000
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(ballast)
    before, after = (int(line) for line in done.stdout.split())
    if sys.platform == "linux":
        assert before < 200_000_000
    assert 90_000_000 < after - before < 200_000_000
