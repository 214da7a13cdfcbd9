"""Processor cores, memory and shares of a batch."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from ftkit.training import cpu, processes


def test_all_cores_that_are_granted_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(cpu, "cpu_limit", lambda: 2)
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        cpu.use_all_cores()
        assert torch.get_num_threads() == before  # whoever sets the variable means it
        monkeypatch.delenv("OMP_NUM_THREADS")
        cpu.use_all_cores()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_memory_is_given_back_after_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), cpu.reusing_memory():
        raise ZeroDivisionError
    assert torch.ones(1000, 1000).sum() == 1_000_000
    with cpu.reusing_memory(), cpu.reusing_memory():
        assert torch.ones(3).sum() == 3


def test_freed_blocks_go_back_to_the_system() -> None:
    """30 MB in blocks too small to be given back one by one; the last one, still in use, lies above them."""
    blocks = [bytearray(b"x" * 100_000) for _ in range(300)]
    last = blocks.pop()
    del blocks
    held = psutil.Process().memory_info().rss
    cpu.return_memory()
    assert last
    if cpu._glibc():
        assert held - psutil.Process().memory_info().rss > 20e6


_HELPERS = """
import os, torch
from ftkit.training.cpu import release_threads

def alive():
    return len(os.listdir("/proc/self/task"))

few = alive()
x = torch.ones(500_000)  # enough numbers for torch to share them out
total = x.sum()
many = alive()
release_threads()
after = alive()
assert total == x.sum() == 500_000, "it computes as before"
release_threads()
release_threads()  # nothing left to let go
print(few, many, after)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_helpers_of_the_calling_thread_are_let_go() -> None:
    done = subprocess.run([sys.executable, "-c", _HELPERS], env={**os.environ, "OMP_NUM_THREADS": "2"}, check=True,
                          capture_output=True, text=True)
    few, many, after = map(int, done.stdout.split())
    assert many > few
    assert after == few


@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_share_a_batch(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    shares = []
    for rank in range(count):
        fake = SimpleNamespace(process_index=rank, num_processes=count)
        monkeypatch.setattr(processes, "state", lambda fake=fake: fake)
        shares.append(processes.shard([10, 11, 12, 13, 14]))
    assert sorted(i for indices, _ in shares for i in indices) == [10, 11, 12, 13, 14]
    assert all(weight == 1.0 for _, weight in shares)


def test_a_process_without_an_example_gets_a_stand_in_that_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(process_index=2, num_processes=3)
    monkeypatch.setattr(processes, "state", lambda: fake)
    assert processes.shard([7, 8]) == ([7], 0.0)


def test_alone_everything_is_one_s_own() -> None:
    assert processes.count() == 1
    assert processes.is_main()
    assert processes.total(2.5) == 2.5
    assert processes.gather([1, 2]) == [1, 2]
    net = torch.nn.Linear(1, 1)
    assert processes.share_gradients(net) is net
    assert processes.device().type in ("cpu", "cuda", "mps")
