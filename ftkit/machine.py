"""What this machine may use: processor cores and memory, from the container's limits and not from the host's size."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a huge number for "no limit"


def memory_limit() -> int:
    """Bytes that this process may use: the container's limit if there is one, else the machine's memory."""
    total = psutil.virtual_memory().total
    limits = [value for value in map(_read_int, _limit_files("memory.max", "memory/memory.limit_in_bytes")) if value]
    return min([total, *(value for value in limits if value < _UNLIMITED)])


def memory_available() -> int:
    """Bytes still free for this process, inside the container's limit."""
    limit, free = memory_limit(), psutil.virtual_memory().available
    used = [value for value in map(_read_int, _limit_files("memory.current", "memory/memory.usage_in_bytes")) if value]
    # The page cache counts as used in a cgroup but is given back on demand, so this process's own size is a floor only.
    own = psutil.Process().memory_info().rss
    in_cgroup = limit - min(used[0], max(own, used[0] - _page_cache())) if used else limit - own
    return max(0, min(free, in_cgroup))


def cpu_limit() -> int:
    """Cores that this process may keep busy: affinity and the container's quota, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(cores, round(quota))) if quota else max(1, cores)


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows has no resource module, but keeps the figure itself
        return int(getattr(psutil.Process().memory_info(), "peak_wset", psutil.Process().memory_info().rss))
    import sys

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _limit_files(v2: str, v1: str) -> list[Path]:
    """The cgroup files of this process, version 2 then 1, its own group first and the root after it."""
    paths = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            paths += [CGROUP / group.strip("/") / v2, CGROUP / v2]
        elif v1.split("/")[0] in controllers.split(","):
            folder, name = v1.split("/")
            paths += [CGROUP / folder / group.strip("/") / name, CGROUP / folder / name]
    return [path for path in paths if path.is_file()]


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):  # "max" means no limit
        return None


def _page_cache() -> int:
    for path in _limit_files("memory.stat", "memory/memory.stat")[:1]:
        for line in path.read_text().splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                return int(line.split()[1])
    return 0


def _cpu_quota() -> float | None:
    """The container's share in cores, or None when there is no quota."""
    for path in _limit_files("cpu.max", "cpu/cpu.max"):
        quota, _, period = path.read_text().partition(" ")
        if quota.isdigit():
            return int(quota) / int(period or 100_000)
    for path in _limit_files("cpu.max", "cpu/cpu.cfs_quota_us"):
        quota_us, period_us = _read_int(path), _read_int(path.with_name("cpu.cfs_period_us"))
        if quota_us and period_us and quota_us > 0:
            return quota_us / period_us
    return None
