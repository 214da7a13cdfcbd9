"""Runs lessons and writes their outputs back, without what does not belong into a commit: `make notebooks`."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ftkit.disk import write_whole
from ftkit.lessons.course import LONG
from ftkit.machine import cpu_limit

# A path of this machine, in any output: home, temporary and working folders.
_PATHS = re.compile(r"(?:/(?:home|root|Users|tmp|var|work|private|workspace)/|[A-Z]:\\)[\w.\-/\\+]*")
MEASURED = ("<!-- measured: make notebooks -->", "<!-- end -->")
_PANEL = re.compile(r"ftkit-static-[0-9a-f]{12}")  # the name that ties a panel to its static form; new in each run


def execute(file: Path, timeout: int = 300) -> float:
    """Run a notebook in a fresh kernel and save it with its outputs, cleaned.

    Args:
        file: The notebook; it is replaced only when every cell has run.
        timeout: Seconds that one cell may take.

    Returns:
        Seconds that the run took: by the clock; by the kernel's processor time where OMP_NUM_THREADS is 1, since then
        one core does it all and what other programs take of it does not count.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    client: Any = NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False,
                                 resources={"metadata": {"path": str(file.parent)}})
    watch = _Watch(client)
    client.execute()
    seconds = watch.now()
    clean(notebook)
    for i, cell in enumerate(notebook.cells):
        known = {name: value for name, value in cell.metadata.get("ftkit", {}).items() if name != "seconds"}
        if watch.seconds.get(i, 0) >= LONG:
            known["seconds"] = round(watch.seconds[i])
        cell.metadata.pop("ftkit", None)  # a cell that is quick now must not keep the seconds of an earlier run
        if known:
            cell.metadata["ftkit"] = known
    put_measured(notebook, seconds, watch.peak)
    write_whole(file, (nbformat.writes(notebook).rstrip("\n") + "\n").encode())
    return seconds


class _Watch:
    """Notes how long each cell takes, and how much memory the kernel holds at most."""

    def __init__(self, client: Any) -> None:
        self.client, self.began, self.peak = client, 0.0, 0
        self.start, self.last = time.perf_counter(), 0.0
        self.seconds: dict[int, float] = {}
        client.on_cell_execute, client.on_cell_executed = self._start, self._end

    def now(self) -> float:
        """Seconds since the beginning: by the clock, or of the kernel's processor time; up to its end."""
        if not one_core():
            return time.perf_counter() - self.start
        pid = getattr(getattr(self.client.km, "provisioner", None), "pid", None)
        self.last = max(self.last, processor_time(pid) if pid else 0.0)
        return self.last

    def _start(self, **_: Any) -> None:
        self.began = self.now()

    def _end(self, *, cell_index: int, **_: Any) -> None:
        self.seconds[cell_index] = self.now() - self.began
        self.peak = max(self.peak, peak_memory(self.client.km.provisioner.pid))


def one_core() -> bool:
    """Whether lessons compute on one core only, and the system tells how long a process has had it."""
    return os.environ.get("OMP_NUM_THREADS") == "1" and Path("/proc/self/stat").is_file()


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has had; 0 for one that is gone. Linux."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int:
    """The most bytes that a process has held; 0 where the system does not say (Linux does)."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def memory_of_torch() -> int:
    """Bytes that a process holds after `import torch` and nothing else: much of it are CUDA's libraries.

    triton, which a CUDA build brings along and transformers loads, is counted with it.
    """
    code = ("import contextlib, os, torch\nwith contextlib.suppress(ImportError):\n    import triton\n"
            "from ftkit.lessons.execute import peak_memory; print(peak_memory(os.getpid()))")
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def put_measured(notebook: Any, seconds: float, peak: int) -> None:
    """Write into the first cell how long the run took, how much memory it needed, and with which versions."""
    from ftkit.training.precision import cpu_has_bf16  # not above: `memory_of_torch` must load torch alone

    memory = ""
    if peak:
        memory = f"; at most {peak / 1e9:.1f} GB of memory, {memory_of_torch() / 1e9:.1f} GB of it to load torch"
    versions = ", ".join(f"{name} {version(name).split('+')[0]}" for name in ("ftkit", "torch", "transformers"))
    cores = 1 if one_core() else cpu_limit()
    which = "" if cpu_has_bf16() else " without bf16"
    line = (f"Last run: {seconds:.0f} seconds of computing on {cores} core{'s' * (cores > 1)}{which}{memory}; Python "
            f"{'.'.join(platform.python_version_tuple()[:2])}, {versions}.")
    text = notebook.cells[0].source
    block = f"{MEASURED[0]}\n{line}\n{MEASURED[1]}"
    found = re.search(f"{re.escape(MEASURED[0])}.*?{re.escape(MEASURED[1])}", text, re.DOTALL)
    notebook.cells[0].source = text.replace(found[0], block) if found else f"{text.rstrip()}\n\n{block}"


def clean(notebook: Any) -> None:
    """Strip widget state, timing, kernel versions, progress bars and machine paths; in place."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02d}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in {"tags", "slideshow", "ftkit"}}
        if cell.cell_type != "code":
            continue
        cell.outputs = [out for out in map(_clean_output, cell.outputs) if out is not None]


def _clean_output(out: Any) -> Any:
    data = out.get("data", {})
    live = {"application/vnd.jupyter.widget-view+json", "application/javascript"} & set(data)
    if live or "data-shufflequestions" in data.get("text/html", ""):
        return None  # a live panel or quiz: it means nothing without its kernel, and its static form stands beside it
    if out.output_type == "stream":
        if out.name == "stderr":
            return None  # bars of tqdm; warnings are for the person who runs the lesson
        out.text = _PATHS.sub("…", out.text)
        return out
    for kind in ("text/plain", "text/html"):
        if kind in data:
            data[kind] = _PANEL.sub("ftkit-static-only", _PATHS.sub("…", data[kind]))
    if "metadata" in out:  # of a picture: what it shows in words, for nbconvert and the book
        said = {kind: {"alt": known["alt"]} for kind, known in out.metadata.items()
                if isinstance(known, dict) and "alt" in known}
        out.metadata.clear()
        out.metadata.update(said)
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run each notebook that is named, and say how long it took."""
    parser = argparse.ArgumentParser(prog="python -m ftkit.lessons.execute", description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    for file in parser.parse_args(arguments).notebooks:
        print(f"{file.name}: {execute(file):.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
