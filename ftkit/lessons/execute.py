"""Runs lessons and writes their outputs back, without what does not belong into a commit: `make notebooks`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

# A path of this machine, in any output: home, temporary and working folders.
_PATHS = re.compile(r"(?:/(?:home|root|Users|tmp|var|work|private|workspace)/|[A-Z]:\\)[\w.\-/\\+]*")
_PANEL = re.compile(r"ftkit-static-[0-9a-f]{12}")  # the name that ties a panel to its static form; new in each run


def execute(file: Path, timeout: int = 300) -> float:
    """Run a notebook in a fresh kernel and save it with its outputs, cleaned.

    Args:
        file: The notebook; it is replaced only when every cell has run.
        timeout: Seconds that one cell may take.

    Returns:
        Seconds that the run took.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False,
                   resources={"metadata": {"path": str(file.parent)}}).execute()
    seconds = time.perf_counter() - start
    clean(notebook)
    fresh = file.with_suffix(".new")
    nbformat.write(notebook, fresh)
    os.replace(fresh, file)
    return seconds


def clean(notebook: Any) -> None:
    """Strip widget state, timing, kernel versions, progress bars and machine paths; in place."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02d}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in {"tags", "slideshow"}}
        if cell.cell_type != "code":
            continue
        cell.outputs = [out for out in map(_clean_output, cell.outputs) if out is not None]


def _clean_output(out: Any) -> Any:
    data = out.get("data", {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return None  # a live panel: it has no meaning without its kernel, and its static form stands beside it
    if out.output_type == "stream":
        if out.name == "stderr":
            return None  # bars of tqdm; warnings are for the person who runs the lesson
        out.text = _PATHS.sub("…", out.text)
        return out
    for kind in ("text/plain", "text/html"):
        if kind in data:
            data[kind] = _PANEL.sub("ftkit-static-only", _PATHS.sub("…", data[kind]))
    out.get("metadata", {}).clear()
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
