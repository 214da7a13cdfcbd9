"""`ftkit progress`: the progress files of a class in one table."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from ftkit.commands.text import table
from ftkit.errors import DataError, UserError
from ftkit.lessons.progress import by_lesson, read_progress


def run(args: argparse.Namespace) -> int:
    """Print the table; exit code 1 if a file cannot be read."""
    folder = Path(args.folder)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    files = sorted(path for path in folder.rglob("*.json") if not path.name.startswith("."))
    if not files:
        raise UserError(f"There is no progress file (.json) in {folder} or below it.")
    rows, broken = collect(files, folder)
    if args.csv and rows:
        with Path(args.csv).open("w", encoding="utf8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if args.json:
        print(json.dumps({"students": rows, "broken": broken}))
    else:
        if rows:
            print(table(rows))
        for line in broken:
            print(f"\nnot read: {line}")
    return int(bool(broken))


def collect(files: list[Path], folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """A row per file, by the students' names, and what is wrong with the files that are none."""
    rows, broken = [], []
    for file in files:
        try:
            known = read_progress(file)
        except DataError as error:
            broken.append(str(error))
            continue
        counts = {f"lesson {lesson}": f"{known.solved(numbers)}/{len(numbers)}"
                  for lesson, numbers in by_lesson().items()}
        rows.append({"student": known.student or "(no name)", **counts, "tries": known.tries,
                     "last solved": known.last[:16].replace("T", " "),
                     "digest": "fits" if known.whole else "DOES NOT FIT", "file": str(file.relative_to(folder))})
    return sorted(rows, key=lambda row: (row["student"].casefold(), row["file"])), broken
