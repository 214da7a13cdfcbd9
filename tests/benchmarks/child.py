"""One contender on one workload, in a process of its own: `python child.py WORKLOAD CONTENDER [--seed N] [--quick]`.

A fresh process, so that peak memory and threads are this contender's alone. Prints one line of JSON per contender.

What is timed ("seconds"): from weights and raw data in memory to the trained model. Tokenizing or decoding and making
the trainer count, for they are waited for; importing libraries and loading weights do not. Nobody validates during
training; accuracy is measured afterwards, in fp32, by the same code for all, on the test and valid splits.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
import time
from importlib import import_module

import psutil
import torch
from workloads import WORKLOADS, Job, make_job

import ftkit as ft
from ftkit.machine import cpu_limit, peak_memory

# Name, the function that trains, whose batches, and what it is. Those that are compared most closely run side by side.
CONTENDERS = {
    "loop": ("loop.train", "shuffled", "a hand-written PyTorch loop, fp32"),
    "loop-same-batches": ("loop.train_same_batches", "ftkit's", "the same loop on ftkit's batches"),
    "ftkit-fp32": ("own.train_fp32", "ftkit's", "ftkit, fp32, cache off"),
    "ftkit": ("own.train", "ftkit's", "ftkit with its defaults"),
    "hf-trainer": ("hugging_face.train", "shuffled", "transformers.Trainer with its defaults"),
    "hf-trainer-same-batches": ("hugging_face.train_same_batches", "ftkit's", "the same on ftkit's batches"),
    "lightning": ("lightning_module.train", "ftkit's", "lightning.pytorch.Trainer, fp32"),
}


def measure(contender: str, job: Job) -> dict[str, object]:
    """Train, and say what it took."""
    module, _, function = CONTENDERS[contender][0].partition(".")
    train = getattr(import_module(module), function)
    gc.collect()
    before = psutil.Process().memory_info().rss
    with contextlib.redirect_stdout(sys.stderr):  # only the result goes to standard output
        started, cpu = time.perf_counter(), time.process_time()
        outcome = train(job)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        peak = peak_memory()
        accuracy = ft.evaluate(job.model, job.data.test, precision="fp32")["accuracy"]
    if outcome.steps != job.steps:
        raise SystemExit(f"{contender} made {outcome.steps} steps instead of {job.steps}: not the same work.")
    return {"contender": contender, "workload": job.workload.name, "seed": job.seed, "seconds": seconds,
            "cpu_seconds": cpu, "steps": outcome.steps, "steps_per_second": outcome.steps / outcome.loop_seconds,
            "start_memory_mb": before / 2**20, "peak_memory_mb": peak / 2**20, "accuracy": accuracy,
            "test_examples": len(job.data.test), "threads": torch.get_num_threads(), **outcome.facts}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("contenders", nargs="+", choices=CONTENDERS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", cpu_limit())))
    workload = WORKLOADS[args.workload]
    for contender in args.contenders:
        print(json.dumps(measure(contender, make_job(workload.quick() if args.quick else workload, args.seed))),
              flush=True)


if __name__ == "__main__":
    main()
