"""What pretraining buys: from scratch, linear probe, fine-tuned, for each backbone. `make transfer`.

Each backbone learns a bundled data set three times, with three seeds: the seed draws the training examples, the fresh
weights, the order and the dropout. Prints a table; with --write it goes into transfer.json, the README and each
backbone's card. The test split is fixed. Nothing is chosen by looking at it: epochs and learning rates are those below
for all seeds.

One thread, and its processor time: other programs beside it change nothing but the wait. Each result is kept in
build/transfer.jsonl at once; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from run import describe_machine

import ftkit as ft

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = ROOT / "build" / "transfer.jsonl"
START, END = "<!-- transfer: written by `make transfer` -->", "<!-- end of transfer -->"


@dataclass(frozen=True)
class Target:
    """One backbone on one data set.

    Args:
        backbone: Name for load_backbone.
        data: Name for load_data.
        limit: Training examples.
        epochs: Passes, the same for all three ways.
        scratch_lr: Learning rate from scratch; the other two take ftkit's defaults.
        label: Which label column, if there are several.
    """

    backbone: str
    data: str
    limit: int
    epochs: int
    scratch_lr: float
    label: str | None = None


TARGETS = (
    Target("bert-mini", "reviews", 500, 3, 1e-4, "sentiment"),
    Target("bert-mini", "reviews", 500, 3, 1e-4, "topic"),
    Target("gpt2-mini", "reviews", 500, 3, 1e-4, "topic"),
    Target("resnet-mini", "signs", 600, 10, 1e-3),
    Target("vgg-mini", "signs", 600, 10, 1e-3),
    Target("wav2vec2-mini", "commands", 480, 8, 1e-3),
)
WAYS = {"from scratch": "full", "linear probe": "probe", "fine-tuned": None}  # None: as `fit` does by itself


def run_one(target: Target, way: str, seed: int) -> dict[str, Any]:
    """Train once; accuracy on the whole test split, and seconds of processor time of the training."""
    data = ft.load_data(target.data, label=target.label, limit=target.limit, seed=seed)
    model = ft.load_backbone(target.backbone, data.task, pretrained=way != "from scratch", seed=seed)
    settings = {"lr": target.scratch_lr} if way == "from scratch" else {}
    started = time.process_time()
    history = ft.fit(model, data, WAYS[way], epochs=target.epochs, seed=seed, progress=False, **settings)
    seconds = time.process_time() - started
    return {"backbone": target.backbone, "data": name_of(target), "way": way, "seed": seed, "seconds": seconds,
            "accuracy": ft.evaluate(model, data.test)["accuracy"], "train": len(data.train), "test": len(data.test),
            "epochs": target.epochs, "lr": history.config["lr"]}


def run_three(target: Target, seed: int) -> list[dict[str, Any]]:
    """The three ways with one seed; what is kept already is not run again."""
    found = []
    for way in WAYS:
        this = {"way": way, "seed": seed, "target": asdict(target)}
        kept = [json.loads(line) for line in KEPT.read_text(encoding="utf8").splitlines()] if KEPT.is_file() else []
        row = next((old for old in kept if old.items() >= this.items()), None)
        if row is None:
            row = {**this, **run_one(target, way, seed)}
            KEPT.parent.mkdir(exist_ok=True)
            with KEPT.open("a", encoding="utf8") as file:
                file.write(json.dumps(row) + "\n")
        print(f"{target.backbone} on {name_of(target)}, seed {seed}, {way}: {row['accuracy']:.3f} in "
              f"{row['seconds']:.1f} s", file=sys.stderr, flush=True)
        found.append(row)
    return found


def caption(seeds: int) -> str:
    """What the numbers are, and where they were measured."""
    machine = describe_machine(0.0)
    bf16 = "with" if machine["bf16_in_hardware"] else "without"
    return (f"Accuracy on the test split, mean and standard deviation over {seeds} seeds; seconds of processor time of "
            f"one core ({machine['processor']}, {bf16} bf16 in hardware) for the training, tokenizing or decoding "
            "included.")


def name_of(target: Target) -> str:
    """As the table calls the data."""
    return f"{target.data} ({target.label})" if target.label else target.data


def table(rows: list[dict[str, Any]], backbone: str | None = None) -> str:
    """Markdown: mean accuracy ± standard deviation over the seeds, and seconds, for each way."""
    lines = [f"| backbone | data | training examples | {' | '.join(WAYS)} |", f"|---|---|---:|{'---:|' * len(WAYS)}"]
    for key in dict.fromkeys((row["backbone"], row["data"], row["train"]) for row in rows):
        if backbone in (None, key[0]):
            cells = [cell([r for r in rows if (r["backbone"], r["data"], r["train"]) == key and r["way"] == way])
                     for way in WAYS]
            lines.append(f"| {key[0]} | {key[1]} | {key[2]:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(rows: list[dict[str, Any]]) -> str:
    """"84.1 ± 0.6 % in 9 s"."""
    scores = [100 * row["accuracy"] for row in rows]
    spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{mean(scores):.1f}{spread} % in {mean(row['seconds'] for row in rows):.0f} s"


def put(file: Path, text: str) -> None:
    """Replace what stands between the two marks of a file; without marks it goes to the end."""
    old = file.read_text(encoding="utf8")
    block = f"{START}\n{text}\n{END}"
    found = re.search(f"{re.escape(START)}.*?{re.escape(END)}", old, re.S)
    new = old[: found.start()] + block + old[found.end() :] if found else f"{old.rstrip()}\n\n## Transfer\n\n{block}\n"
    file.write_text(new, encoding="utf8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="this backbone only; may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into README and cards")
    args = parser.parse_args()
    wanted = [target for target in TARGETS if args.only is None or target.backbone in args.only]
    rows = [row for target in wanted for seed in range(args.seeds) for row in run_three(target, seed)]
    text = f"{table(rows)}\n\n{caption(args.seeds)}"
    print(text)
    if args.write:
        KEPT.unlink()
        runs = [{name: value for name, value in row.items() if name != "target"} for row in rows]
        (HERE / "transfer.json").write_text(json.dumps({"machine": describe_machine(0.0), "targets": [
            asdict(target) for target in TARGETS], "runs": runs}, indent=1) + "\n", encoding="utf8")
        put(ROOT / "README.md", text)
        for backbone in {row["backbone"] for row in rows}:
            card = ROOT / "data" / "backbones" / backbone / "README.md"
            if card.is_file():  # a bundled one
                put(card, f"{table(rows, backbone)}\n\n{caption(args.seeds)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
