"""DPO by ftkit and by trl's DPOTrainer on the same pairs: `python tests/benchmarks/preference.py`.

Same start, same pairs, same number of steps and of pairs per step, AdamW at the same rate; the reference's
log-probabilities are computed beforehand by both ("trl"), or in every step ("trl-each-step", its default). Timed is
everything from weights and raw pairs in memory to the trained model; nobody validates. Contenders take turns, each run
in a process of its own. Prints processor seconds too: on a shared machine the clock says little.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

CONTENDERS = ("ftkit", "trl", "trl-each-step")
EPOCHS, BATCH, RATE = 2, 8, 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="16 pairs, once: only shows that everything works")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="JSON to write")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run(args.one, 16 if args.quick else 270)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(1 if args.quick else args.repeats):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--one", name, *(["--quick"] if args.quick else [])]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
            if done.returncode:
                sys.exit(done.stderr[-3000:])
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    print("| contender | wall time (s) | processor time (s) | ms per step | last loss |\n|---|---:|---:|---:|---:|")
    for name, rows in runs.items():
        wall, cpu, last = (median(row[key] for row in rows) for key in ("seconds", "cpu_seconds", "loss"))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {1000 * wall / rows[0]['steps']:.0f} | {last:.3f} |")
    if args.out:
        args.out.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf8")


def run(name: str, limit: int) -> dict[str, Any]:
    """One contender's training."""
    import ftkit as ft

    data = ft.load_data("replies", limit=limit)
    model = ft.load_backbone("gpt2-mini", data.task)
    train = _ftkit if name == "ftkit" else _trl
    if train is _trl:
        __import__("trl").DPOTrainer  # noqa: B018 - it is imported on first use, and importing is not timed
    started, cpu = time.perf_counter(), time.process_time()
    steps, loss = train(model, data, name)
    return {"contender": name, "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu,
            "steps": steps, "loss": loss}


def _ftkit(model: Any, data: Any, name: str) -> tuple[int, float]:
    import ftkit as ft
    from ftkit.data import Split

    data = replace(data, valid=Split("valid", [], []))
    history = ft.fit(model, data, epochs=EPOCHS, lr=RATE, batch_size=BATCH, precision="fp32", keep_best=False,
                     progress=False)
    return len(history.steps), history.steps[-1]["loss"]


def _trl(model: Any, data: Any, name: str) -> tuple[int, float]:
    import copy

    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    begin = model.processor.bos_token
    rows = [{"prompt": begin + prompt, "chosen": target["chosen"], "rejected": target["rejected"]}
            for prompt, target in data.train]
    with tempfile.TemporaryDirectory() as folder:
        arguments = DPOConfig(
            folder, beta=0.1, learning_rate=RATE, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH,
            warmup_steps=round(0.1 * EPOCHS * math.ceil(len(rows) / BATCH)), weight_decay=0.01, max_length=256,
            use_cpu=True, bf16=False,
            activation_checkpointing=False, precompute_ref_log_probs=name == "trl", save_strategy="no",
            report_to=[], disable_tqdm=True, logging_steps=1)
        trainer = DPOTrainer(model.net, copy.deepcopy(model.net), arguments, train_dataset=Dataset.from_list(rows),
                             processing_class=model.processor)
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return trainer.state.global_step, float(losses[-1])


if __name__ == "__main__":
    main()
