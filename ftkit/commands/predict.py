"""`ftkit predict`: what a fine-tuned model says to new inputs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ftkit.backbones import load_backbone
from ftkit.commands.text import shorten, table, width
from ftkit.errors import DataError, WeightsError
from ftkit.training import predict


def run(args: argparse.Namespace) -> int:
    """Print the label of each input, in the order given."""
    if not Path(args.model).expanduser().is_dir():
        raise WeightsError(f"There is no folder {args.model}. --model is what 'ftkit train --out DIR' saved.")
    model = load_backbone(args.model)
    if model.task.modality == "image":
        missing = next((path for path in args.inputs if not Path(path).is_file()), None)
        if missing is not None:
            raise DataError(f"There is no image file {missing}.")
    answers = predict(model, args.inputs)
    rows = [{"input": item, **answer._asdict()} for item, answer in zip(args.inputs, answers, strict=True)]
    if args.json:
        print(json.dumps(rows))
        return 0
    room = max(20, width() - 30)
    print(table([{"label": row["label"] or "(none)", "probability": f"{row['probability']:.3f}",
                  "input": shorten(row["input"], room)} for row in rows]))
    return 0
