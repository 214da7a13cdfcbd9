"""ftkit against a hand-written loop, the Hugging Face Trainer and Lightning: `python tests/benchmarks/run.py`.

Every run of a contender is a process of its own (see child.py for what is timed). The contenders of a workload take
turns, round after round, because a machine's speed drifts; ratios are formed within a round. The first round has
seed 0, the next one 1, the same for all contenders. Prints a table per workload and what came of the expectations, and
writes results.json. A full run is 105 processes: let the machine do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from child import CONTENDERS
from summary import Check, Runs, check_import, check_workload, medians, table
from workloads import WORKLOADS

from ftkit.machine import cpu_limit, memory_limit
from ftkit.training.precision import cpu_has_bf16

HERE = Path(__file__).parent
PACKAGES = ("ftkit", "torch", "torchvision", "transformers", "accelerate", "lightning", "numpy")
_IMPORT = """import sys, time
started = time.perf_counter()
import ftkit
print(time.perf_counter() - started, *(name for name in ("torch", "transformers", "torchvision", "numpy", "pandas",
      "matplotlib") if name in sys.modules))"""


def main() -> int:
    args = _arguments()
    if find_spec("lightning") is None:
        sys.exit("The benchmark needs Lightning too: pip install 'lightning>=2.5'")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5 * cpu_limit():
        print(f"The machine is busy (load {load:.1f} on {cpu_limit()} cores): the figures will drift.\n")
    results: dict[str, Any] = {"machine": describe_machine(load), "rounds": args.repeats, "quick": args.quick,
                               "timed": "from weights and raw data in memory to the trained model, tokenizing or "
                                        "decoding included, imports and loading of weights not",
                               "workloads": {}, "expectations": []}
    checks: list[Check] = []
    with tempfile.TemporaryDirectory() as home:
        for name in args.only or WORKLOADS:
            runs = run_workload(name, args, home)
            print("\n" + table(runs, f"{name}: {WORKLOADS[name].about}", CONTENDERS) + "\n", flush=True)
            checks += check_workload(name, runs)
            results["workloads"][name] = {"about": WORKLOADS[name].about, "medians": {
                contender: medians(rows) for contender, rows in runs.items()}, "runs": runs}
    seconds, loaded = time_import()
    results["import_ftkit_seconds"] = seconds
    checks += check_import(seconds, loaded)
    if args.quick:
        print("(A quick run: sizes are tiny, on one thread, a workload's contenders all in one process. These figures "
              "say nothing about speed or memory.)\n")
        checks = [replace(check, met=None) for check in checks]
    print("### Expectations\n", *checks, sep="\n")
    results["expectations"] = [check.row() for check in checks]
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")
    return int(args.strict and any(check.met is False for check in checks))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=WORKLOADS, help="this workload only; may be repeated")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (3)")
    parser.add_argument("--quick", action="store_true", help="tiny and once: only shows that everything works")
    parser.add_argument("--strict", action="store_true", help="exit 1 if an expectation is not met")
    parser.add_argument("--out", type=Path, help="JSON to write; results.json beside this file after a full run")
    args = parser.parse_args()
    if args.quick:
        args.repeats = 1
    elif not args.only:
        args.out = args.out or HERE / "results.json"
    return args


def run_workload(name: str, args: argparse.Namespace, home: str) -> Runs:
    """All rounds of one workload: A B C D, A B C D, …"""
    runs: Runs = {contender: [] for contender in CONTENDERS}
    together = [list(CONTENDERS)] if args.quick else [[contender] for contender in CONTENDERS]
    for seed in range(args.repeats):
        for contenders in together:
            for row in _child(name, contenders, seed, args.quick, home):
                runs[row["contender"]].append(row)
                print(f"{name} · round {seed + 1} · {row['contender']}: {row['seconds']:.2f} s, "
                      f"{row['steps_per_second']:.2f} steps/s, {row['peak_memory_mb']:.0f} MB, "
                      f"accuracy {row['accuracy']:.3f}", file=sys.stderr, flush=True)
    return runs


def _child(name: str, contenders: list[str], seed: int, quick: bool, home: str) -> Iterable[dict[str, Any]]:
    """Run contenders in one fresh process, without GPU and network; the lines it prints."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1",
                   "FTKIT_HOME": home, "PYTHONWARNINGS": "ignore"}
    if quick:
        environment["OMP_NUM_THREADS"] = "1"  # bearable on a machine that is busy otherwise
    command = [sys.executable, str(HERE / "child.py"), name, *contenders, "--seed", str(seed)]
    done = subprocess.run(command + ["--quick"] * quick, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}, {', '.join(contenders)} failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"contender"')]


def time_import() -> tuple[float, list[str]]:
    """Seconds of `import ftkit`, best of 5 processes, and which heavy libraries it pulled in."""
    best, loaded = float("inf"), []
    for _ in range(5):
        words = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True).stdout
        first, *loaded = words.split()
        best = min(best, float(first))
    return best, loaded


def describe_machine(load: float) -> dict[str, Any]:
    """Processor, cores and versions; no names of hosts or folders."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {"processor": model, "cores": cpu_limit(), "memory_gb": round(memory_limit() / 2**30, 1),
            "bf16_in_hardware": cpu_has_bf16(), "load_before": round(load, 2), "system": platform.system(),
            "python": platform.python_version(), "packages": {name: version(name) for name in PACKAGES}}


if __name__ == "__main__":
    sys.exit(main())
