"""Making the most of a processor: all the cores that the container grants, and memory that is used again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ftkit.machine import cpu_limit

# Numbers of glibc's mallopt (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MMAP_MAX_DEFAULT, _TRIM_DEFAULT = 65536, 128 * 1024
_PAUSE_SOFT = 1  # of OpenMP's omp_pause_resource_t


def use_all_cores() -> None:
    """Give torch as many threads as the container may use, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() != cpu_limit():
        torch.set_num_threads(cpu_limit())


def release_threads() -> None:
    """Let go of the helpers that GNU OpenMP keeps for the calling thread: another thread is about to train.

    OpenMP gives each thread that computes helpers of its own, and keeps them. As soon as there are more of them than
    cores, all of them wait for each other by sleeping, and waking up takes longer than most of the operations of a
    small model: bert-mini trained in a second thread used 85 % of two cores, with the first one's helpers gone 99 %.
    The next big operation of the calling thread fetches helpers anew. With another OpenMP (macOS, Windows) this does
    nothing.
    """
    own = Path(torch.__file__).with_name("lib").glob("libgomp*")  # pip's torch brings its own, conda's does not
    for name in (*map(str, own), "libgomp.so.1"):
        with contextlib.suppress(OSError, AttributeError):
            # Only the one that is in use: a second one, freshly loaded, would have nothing to let go.
            ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY).omp_pause_resource_all(_PAUSE_SOFT)


@contextlib.contextmanager
def reusing_memory() -> Iterator[None]:
    """Keep freed memory for the next step while training on a CPU; give it back to the system at the end.

    A gradient of 30,000 word vectors is 47 MB. By default glibc hands such a block back to the kernel in every step and
    fetches a new one, page by page: filling it took 13 to 17 % of a MiniLM step, profiled on two (busy) cores.
    Elsewhere than on glibc this does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _MMAP_MAX_DEFAULT)
        libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_DEFAULT)
        libc.malloc_trim(0)


def return_memory() -> None:
    """Give memory that was freed back to the system; elsewhere than on glibc this does nothing.

    After a training, judging 60 reviews left 164 MB of freed blocks behind, which the next training came on top of.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        _ = libc.gnu_get_libc_version, libc.mallopt, libc.malloc_trim
        return libc
    return None
