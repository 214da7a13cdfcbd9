"""`ftkit predict`: what a fine-tuned model says to new inputs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ftkit.backbones import load_backbone
from ftkit.commands.text import shorten, shorten_path, table, width
from ftkit.errors import DataError, WeightsError
from ftkit.training import predict


def run(args: argparse.Namespace) -> int:
    """Print the label of each input, in the order given."""
    if not Path(args.model).expanduser().is_dir():
        raise WeightsError(f"There is no folder {args.model}. --model is what 'ftkit train --out DIR' saved.")
    model = load_backbone(args.model)
    if model.task.generates:
        raise DataError(f"{args.model} writes texts, and has no labels to choose from. Try: ftkit generate --model "
                        f"{args.model} \"how it begins\"")
    if model.task.modality == "voice":
        raise DataError(f"{args.model} reads texts aloud. Try: ftkit speak --model {args.model} TEXT --out said.wav.")
    files = model.task.modality != "text"
    if files:
        kind = "sound" if model.task.modality == "audio" else "image"
        missing = next((path for path in args.inputs if not Path(path).is_file()), None)
        if missing is not None:
            raise DataError(f"There is no {kind} file {missing}.")
    answers = predict(model, args.inputs)
    rows = [{"input": item, **answer._asdict()} for item, answer in zip(args.inputs, answers, strict=True)]
    if args.json:
        print(json.dumps(rows))
        return 0
    room = max(20, width() - 30)
    cut = shorten_path if files else shorten
    print(table([{**_said(row), "input": cut(row["input"], room)} for row in rows]))
    return 0


def _said(row: dict[str, Any]) -> dict[str, str]:
    """What a model said, in the columns of a table."""
    if "text" in row:
        return {"text": row["text"] or "(nothing)"}
    return {"label": row["label"] or "(none)", "probability": f"{row['probability']:.3f}"}
