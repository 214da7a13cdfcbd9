"""`ftkit train`: load data, load a backbone, fit, evaluate, save. The same five calls as in a notebook."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.backbones import Model, load_backbone
from ftkit.backbones.adapters import ADAPTER_CONFIG
from ftkit.backbones.sources import open_source
from ftkit.backbones.specs import SPECS
from ftkit.commands.text import table
from ftkit.data import Data, load_data
from ftkit.disk import atomic_folder
from ftkit.errors import DataError, UserError
from ftkit.machine import peak_memory
from ftkit.strategies import Strategy, make_strategy
from ftkit.tasks import DPO, TASKS, Task
from ftkit.training import Evaluation, History, evaluate, fit, processes

Say = Callable[[str], None]
_SETTINGS = ("epochs", "lr", "batch_size", "batch_seconds", "seed", "precision", "cache", "accumulate", "class_weights",
             "patience", "augment")  # arguments that fit takes by the same names


def run(args: argparse.Namespace) -> int:
    """Train; 130 after Ctrl-C."""
    main = processes.is_main()
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        say = _printer(sys.stdout, main)
        if args.strategy:
            make_strategy(args.strategy)  # a slip of the pen shows before anything is loaded
        if args.backbone not in SPECS:
            open_source(args.backbone, not args.from_scratch)
        data, model = _load(args, say)
        strategy = make_strategy(args.strategy or model.task.strategy)
        if args.out and main:
            with atomic_folder(args.out):  # can it be written? Better asked now than after an hour
                pass
        history = _fit(args, model, data, strategy, say)
        if history.status in ("stopped", "interrupted"):
            return 130
        scores = evaluate(model, data.test, precision=history.config["precision"])
        _say_end(args, history, scores, len(data.test), say)
    if args.json and main:
        print(json.dumps(_facts(args, model, data, history, scores)))
    processes.close()
    return 0


def _printer(stream: Any, main: bool) -> Say:
    """Prints above a progress bar, if there is one; only in the main process."""
    from tqdm.auto import tqdm

    def say(text: str) -> None:
        if main:
            tqdm.write(text, file=stream)
            stream.flush()

    return say


def _load(args: argparse.Namespace, say: Say) -> tuple[Data, Model]:
    data = load_data(args.data, text=args.text_column, label=args.label_column, task=args.task, test=args.test,
                     valid_fraction=args.valid_fraction, test_fraction=args.test_fraction, seed=args.seed,
                     limit=args.limit, drop_leaks=args.drop_leaks)
    say(f"{data.report}\n")
    if args.beta is not None:
        data = replace(data, task=_with_beta(data.task, args.beta))
    if data.task is None:
        raise DataError(f"'{data.name}' has no classes: there is nothing to classify.")
    model = load_backbone(args.backbone, data.task, pretrained=not args.from_scratch, image_size=args.image_size,
                          seed=args.seed)
    say(f"{model.spec.name}: {model.parameters:,} parameters in {' > '.join(model.layers.names)}; {model.origin}")
    return data, model


def _with_beta(task: Task | None, beta: float) -> Task:
    """The task with this price for leaving the reference."""
    if not isinstance(task, DPO):
        raise UserError("--beta is for preference tuning: use it with --task dpo or --task ipo.")
    return replace(task, beta=beta)


def _fit(args: argparse.Namespace, model: Model, data: Data, strategy: Strategy, say: Say) -> History:
    def on_epoch(row: dict[str, Any]) -> None:
        nan = float("nan")  # without a validation split there is nothing to say of it
        say(f"{row['epoch'] + 1:5}  {row['train_loss']:10.4f}  {row.get('valid_loss', nan):10.4f}  "
            f"{row.get(score, nan):{len(score)}.4f}  "
            f"{row['seconds']:7.1f}  {row['trainable']:20,}  {row['cached']:13}")

    score = "distortion" if model.task.modality == "voice" else "accuracy"
    settings = {name: getattr(args, name) for name in _SETTINGS}
    if processes.started_alone():
        say("note: 'accelerate launch --cpu' starts one process only (more need mpirun). For two on this processor: "
            "accelerate launch --multi_gpu --num_processes 2 -m ftkit train …")
    say(f"Training: {strategy}\n")
    say(f"epoch  train loss  valid loss  {score}  seconds  trainable parameters  cached groups")
    return fit(model, data, strategy, out=args.out, merge=args.merge or None, resume=args.resume, on_epoch=on_epoch,
               **settings)


def _say_end(args: argparse.Namespace, history: History, scores: Evaluation, n: int, say: Say) -> None:
    notes = [event["note"] for event in history.events]
    best = "" if history.best_epoch is None else f", the weights are those of epoch {history.best_epoch + 1}"
    early = "; no better epoch came: stopped early" if history.status == "early stop" else ""
    say("\n" + "".join(f"note: {note}\n" for note in notes)
        + f"Trained in {history.train_seconds:.1f} s ({history.config['precision']}){best}{early}. "
          f"Peak memory {peak_memory() / 2**20:,.0f} MiB.\n")
    say(table([{"test": name, f"{n:,} examples": value} for name, value in scores.items()]))
    task = history.config["task"]
    ask = {"text-to-speech": "speak"}.get(task, "generate" if TASKS[task].generates else "predict")
    ask = (f"ft.preference.score(ft.load_backbone('{args.out}'), prompts, replies)" if task == "reward"
           else f"ftkit {ask} --model {args.out} …")
    small = " (the adapters and the head alone)" if args.out and Path(args.out, ADAPTER_CONFIG).is_file() else ""
    say(f"\nSaved in {args.out}{small}. Try: {ask}" if args.out
        else "\nNot saved: add --out DIR to keep the model.")


def _facts(args: argparse.Namespace, model: Model, data: Data, history: History, scores: Evaluation) -> dict[str, Any]:
    """The result as one JSON object."""
    return {
        "task": model.task.name, "metrics": dict(scores), "train_seconds": history.train_seconds,
        "epoch_seconds": [row["seconds"] for row in history.epochs],
        "trainable_parameters": max(row["trainable"] for row in history.epochs), "total_parameters": model.parameters,
        "peak_memory_mb": peak_memory() / 2**20, "backbone": model.spec.name, "origin": model.origin,
        "strategy": args.strategy or model.task.strategy, "data": data.name, "labels": list(model.task.labels),
        "examples": {split.name: len(split) for split in (data.train, data.valid, data.test)},
        "status": history.status, "best_epoch": history.best_epoch, "precision": history.config["precision"],
        "lr": history.config["lr"], "batch_size": history.config["batch_size"],
        "cached_groups": max(row["cached"] for row in history.epochs), "processes": processes.count(),
        "warnings": data.report.warnings, "out": args.out,
    }
