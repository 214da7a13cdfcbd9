"""`ftkit demo`: the shortest whole story, without a browser. From scratch, frozen, fine-tuned: what does each give?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ftkit.backbones import Model, load_backbone
from ftkit.commands.text import table
from ftkit.data import Data, load_data
from ftkit.disk import atomic_folder, disk_errors
from ftkit.errors import UserError
from ftkit.strategies import make_strategy
from ftkit.training import Evaluation, History, evaluate, fit

BACKBONE, EPOCHS = "bert-mini", 3
EXAMPLES, QUICK = 600, 200
RUNS = (("from scratch", "full", False), ("frozen body", "probe", True), ("fine-tuned", "full", True))


def run(args: argparse.Namespace) -> int:
    """Load, draw the freeze map, train three times, compare, draw."""
    out = Path(args.out)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise UserError(f"--out names the picture, a .png file, not '{args.out}'.")
    with atomic_folder(out.parent):  # can it be written? Better asked now than after a minute of training
        pass
    print("1. Load short reviews, labelled by what their writers thought.\n")
    data = load_data("reviews", limit=QUICK if args.quick else EXAMPLES)
    print(data.report)
    model = load_backbone(BACKBONE, data.task)
    print(f"\n2. Load a model: {model}\n")
    print("3. Which of its layers will train? (# trains, . is frozen; one sign per epoch)\n")
    print(freeze_map(model, [strategy for _, strategy, _ in RUNS[1:]], EPOCHS))
    print("\n4. Train three times on the same examples; the test reviews are never trained on.\n")
    runs = {name: _train(name, strategy, pretrained, data) for name, strategy, pretrained in RUNS}
    print("\n5. Compare.\n")
    print(table([_row(name, *pair) for name, pair in runs.items()]))
    print(f"\nGuessing would be right in {_guessing(data):.0%} of the {len(data.test)} test reviews.")
    _draw(model, runs, out)
    return 0


def freeze_map(model: Model, strategies: list[str], epochs: int) -> str:
    """A table of text: for each layer group and strategy one sign per epoch, "#" for training and "." for frozen."""
    rows: list[dict[str, Any]] = []
    for group in model.layers:
        row: dict[str, Any] = {"layers": group.name, "parameters": sum(model.layers.sizes[n] for n in group.parameters)}
        for strategy in strategies:
            plans = [make_strategy(strategy).plan(model.layers, epoch) for epoch in range(epochs)]
            row[strategy] = "".join("#" if any(plan[name] > 0 for name in group.parameters) else "." for plan in plans)
        rows.append(row)
    return table(rows)


def _train(name: str, strategy: str, pretrained: bool, data: Data) -> tuple[History, Evaluation]:
    model = load_backbone(BACKBONE, data.task, pretrained=pretrained)
    history = fit(model, data, strategy, epochs=EPOCHS)
    if history.status != "finished":
        raise KeyboardInterrupt
    scores = evaluate(model, data.test)
    print(f"   {name:<12} strategy {strategy:<6} {history.train_seconds:6.1f} s   "
          f"test accuracy {scores['accuracy']:.3f}", flush=True)
    return history, scores


def _row(name: str, history: History, scores: Evaluation) -> dict[str, Any]:
    return {"": name, "test accuracy": round(scores["accuracy"], 3), "seconds": round(history.train_seconds, 1),
            "trainable parameters": max(row["trainable"] for row in history.epochs)}


def _guessing(data: Data) -> float:
    """The accuracy of always saying the most frequent label."""
    return max(data.test.counts().values()) / len(data.test)


def _draw(model: Model, runs: dict[str, tuple[History, Evaluation]], out: Path) -> None:
    from ftkit import viz

    plan = out.with_name(f"{out.stem}-freeze-map.png")
    with disk_errors(out):
        out.write_bytes(viz.compare(runs).png())
        plan.write_bytes(viz.freeze_map(model, "probe", EPOCHS).png())
    print(f"\nThe picture is {out}; the freeze map of the frozen body is {plan}.\n"
          "Next: 'ftkit lab' opens the lessons; 'ftkit train --data yours.csv --backbone bert-mini' takes your data.")
