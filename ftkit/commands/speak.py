"""`ftkit speak`: a text, read aloud into a sound file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ftkit.backbones import load_backbone
from ftkit.errors import DataError, UserError
from ftkit.speech.spoken import FORMATS
from ftkit.training import speak


def run(args: argparse.Namespace) -> int:
    """Write the sound, and say how long it is."""
    out = Path(args.out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"--out names a sound file ({', '.join(FORMATS)}), not '{args.out}'.")
    model = load_backbone(args.model)
    if model.task.modality != "voice":
        raise DataError(f"{args.model} is a model for {model.task.name}: it cannot speak. Try: ftkit predict.")
    said = speak(model, args.text, vocoder=args.vocoder, seed=args.seed)
    said.save(out)
    if args.json:
        print(json.dumps({"text": args.text, "out": str(out), "seconds": said.seconds, "rate": said.rate,
                          "stopped": said.stopped}))
    else:
        found = "" if said.stopped else ", cut off: the voice found no end"
        print(f"{out}: {said.seconds:.1f} seconds{found}.")
    return 0
