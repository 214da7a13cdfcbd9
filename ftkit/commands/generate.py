"""`ftkit generate`: what a text generator writes, shown while it is written."""

from __future__ import annotations

import argparse
import json
import sys

from ftkit.backbones import load_backbone
from ftkit.errors import DataError
from ftkit.training import generate


def run(args: argparse.Namespace) -> int:
    """Print the prompt and what follows; 130 after Ctrl-C, with what was written by then."""
    model = load_backbone(args.model)
    if not model.task.generates:
        raise DataError(f"{args.model} is a model for {model.task.name}: it writes no texts. Try: ftkit predict.")
    live = not args.json and sys.stdout.isatty()
    written = generate(model, args.prompt, max_new_tokens=args.max_new_tokens, temperature=args.temperature,
                       top_k=args.top_k, top_p=args.top_p, repetition_penalty=args.repetition_penalty, seed=args.seed,
                       stream=live)
    if args.json:
        print(json.dumps(written._asdict()))
    elif not live:
        print(written)
    return 130 if written.ended == "interrupted" else 0
