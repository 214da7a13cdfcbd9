"""What this machine may use: processor cores and memory, from the container's limits and not from the host's size."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
OWN_STATUS = Path("/proc/self/status")
_UNLIMITED = 1 << 60  # cgroup version 1 writes a huge number for "no limit"


def memory_total() -> int:
    """Bytes of memory that the whole machine has."""
    return psutil.virtual_memory().total


def memory_limit() -> int:
    """Bytes that this process may use: the container's limit if there is one, else the machine's memory."""
    return min([memory_total(), *(limit for _, limit in _memory_limits())])


def memory_available() -> int:
    """Bytes still free for this process, inside every limit that it is under."""
    free = [psutil.virtual_memory().available]
    for folder, limit in _memory_limits():
        used = _first_number(folder, "memory.current", "memory.usage_in_bytes")
        # Files that were read count as used in a cgroup, but are given back on demand.
        free.append(limit - (_own_size() if used is None else used - min(used, _page_cache(folder))))
    return max(0, min(free))


def cpu_limit() -> int:
    """Cores that this process may keep busy: affinity and the container's quota, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(round(quota) for quota in map(_cpu_quota, _folders("cpu")) if quota)]))


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    try:  # not getrusage here: it starts at the size of the process that started this one
        line = next(line for line in OWN_STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows has no resource module, but keeps the figure itself
        return int(getattr(psutil.Process().memory_info(), "peak_wset", _own_size()))
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _folders(controller: str) -> list[Path]:
    """The cgroup folders whose limits hold for this process: its own group and all above it, versions 2 and 1.

    Inside a container the group is often named as the host sees it, and only the root folder is there.
    """
    try:
        lines = [line.split(":", 2) for line in OWN_GROUPS.read_text().splitlines()]
    except OSError:
        return []
    found: list[Path] = []
    for _, controllers, group in lines:
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUP / controller if controllers else CGROUP
        own = root / group.strip("/")
        found += [folder for folder in (own, *own.parents) if folder.is_relative_to(root) and folder.is_dir()]
    return found


def _memory_limits() -> list[tuple[Path, int]]:
    """(folder, bytes) for each group that has a limit."""
    limits = [(folder, _first_number(folder, "memory.max", "memory.limit_in_bytes")) for folder in _folders("memory")]
    return [(folder, limit) for folder, limit in limits if limit is not None and 0 < limit < _UNLIMITED]


def _cpu_quota(folder: Path) -> float | None:
    """The group's share in cores, or None when it has no quota."""
    try:  # version 2: "150000 100000", or "max 100000"
        quota, _, period = (folder / "cpu.max").read_text().partition(" ")
        return int(quota) / int(period or 100_000)
    except (OSError, ValueError):
        pass
    v1_quota, v1_period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return v1_quota / v1_period if v1_quota and v1_period and v1_quota > 0 else None


def _page_cache(folder: Path) -> int:
    try:
        pairs = re.findall(r"^(\w+) (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    found = {name: int(number) for name, number in pairs}
    return found.get("total_inactive_file", found.get("inactive_file", 0))


def _first_number(folder: Path, *names: str) -> int | None:
    return next((value for value in (_number(folder / name) for name in names) if value is not None), None)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):  # "max" means no limit
        return None


def _own_size() -> int:
    return psutil.Process().memory_info().rss
