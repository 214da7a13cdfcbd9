"""What each command takes: its options, and types whose errors say what is wanted."""

from __future__ import annotations

import argparse
import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import NoReturn

import ftkit
from ftkit.errors import UserError, check_name

COMMANDS = {
    "train": "fine-tune a model on your data",
    "predict": "ask a fine-tuned model",
    "generate": "let a text generator write",
    "speak": "read a text aloud into a sound file",
    "list": "the backbones and data sets that have a name here",
    "demo": "the shortest whole story: from scratch, frozen, fine-tuned",
    "lab": "open the lessons in JupyterLab",
    "course": "the lessons in a folder of yours, in a form for students or teachers, or packed for an offline class",
    "progress": "the progress files of a class, in one table",
    "doctor": "what this machine can do, and what to mend",
}
STRATEGIES = ("probe, full, frozen_stem, last_k:k=2, gradual, discriminative, bn_only, bitfit, half, "
              "lora:r=8, ia3, prompt:n=16, drop_layers:k=2, custom:head=1,block_5=0.1")
TASKS = ("text-classification, image-classification, audio-classification, ctc, speech-to-text, text-to-speech, "
         "causal-lm, dpo, ipo, reward")


class _Parser(argparse.ArgumentParser):
    """argparse with errors as UserError: one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See '{self.prog} --help'.")


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and that of each command."""
    parser = _Parser(prog="ftkit", description="Fine-tune a real model, and see what that did.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ftkit {ftkit.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    fill: dict[str, Callable[[argparse.ArgumentParser], None]] = {
        "train": _train, "predict": _predict, "generate": _generate, "speak": _speak, "list": _list, "demo": _demo,
        "lab": _lab, "course": _course, "progress": _progress, "doctor": _doctor}
    for name, about in COMMANDS.items():
        fill[name](commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.",
                                       allow_abbrev=False))
    return parser, dict(commands.choices)


def _train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, metavar="PATH_OR_NAME", help="a text, CSV, JSONL or Parquet file, a folder with one "
        "folder per class or with a metadata.csv, or a name: reviews, digits, or owner/name on the hub")
    add("--backbone", required=True, metavar="NAME_OR_PATH",
        help="see 'ftkit list'; or owner/name on the hub, or a folder")
    add("--task", help=f"{TASKS}; follows from the data if left out")
    add("--strategy", metavar="NAME[:key=value,…]",
        help=f"what trains: {STRATEGIES} (default: full; for sounds frozen_stem)")
    add("--epochs", type=at_least(1), default=3, metavar="N", help="passes over the data (default: 3)")
    add("--lr", type=number, metavar="X", help="learning rate (default: chosen for the strategy)")
    add("--batch-size", type=at_least(1), metavar="N",
        help="examples per batch (default: 16 texts, 32 images, at most 32 sounds)")
    add("--batch-seconds", type=number, metavar="X", help="of sound in a batch at most (default: 30)")
    add("--beta", type=number, metavar="X", help="of dpo and ipo: how dear it is to leave the model that training "
        "began from (default: 0.1)")
    add("--limit", type=at_least(2), metavar="N", help="train on a stratified subset of N examples")
    add("--seed", type=at_least(0), default=0, metavar="N",
        help="of splits, batches, dropout and the new head (default: 0)")
    add("--precision", type=one_of("precision", "auto", "fp32", "bf16", "fp16"), default="auto",
        help="auto, fp32, bf16 or fp16 (default: auto)")
    add("--cache", type=one_of("cache", "auto", "off"), default="auto",
        help="auto computes frozen layers once per example; off does not (default: auto)")
    add("--from-scratch", action="store_true", help="random weights instead of pretrained ones")
    add("--test", metavar="PATH", help="evaluate on this file or folder (default: a held-out part of the data)")
    add("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    add("--out", metavar="DIR", help="save the model and its history here, and checkpoints on the way")
    add("--merge", action="store_true", help="of lora and ia3: save a plain model with the adapters in its weights; "
        "without, the adapters and the head alone, which peft opens too")
    add("--json", action="store_true", help="the last line of stdout is the result as one JSON object")
    add("--text-column", metavar="NAME", help="of a table (default: found by its name)")
    add("--label-column", metavar="NAME", help="of a table (default: found by its name)")
    add("--valid-fraction", type=fraction, default=0.15, metavar="X",
        help="share held out to choose by (default: 0.15)")
    add("--test-fraction", type=fraction, default=0.15, metavar="X",
        help="share held out to test on (default: 0.15)")
    add("--drop-leaks", action="store_true", help="drop training examples that are in the test split too")
    add("--patience", type=at_least(1), metavar="N", help="stop after N epochs without a better one")
    add("--accumulate", type=at_least(1), default=1, metavar="N", help="batches per step (default: 1)")
    add("--class-weights", type=one_of("class weights", "balanced"), help="balanced: rare classes weigh more")
    add("--augment", nargs="?", const=True, default=False, type=one_of("augmentation", "shift"),
        help="shift pictures at random, and mirror them where they may be ('shift' never mirrors); mask sounds")
    add("--image-size", type=at_least(8), metavar="N", help="pixels; small ones train faster (default: the backbone's)")


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="DIR", help="what 'ftkit train --out DIR' saved")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="a text, or the path of an image or a sound")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def _generate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="DIR_OR_NAME",
        help="what 'ftkit train --task causal-lm --out DIR' saved, or gpt2-mini")
    add("prompt", help="how the text begins")
    add("--max-new-tokens", type=at_least(1), default=100, metavar="N",
        help="where to stop at the latest (default: 100)")
    add("--temperature", type=float, default=1.0, metavar="X",
        help="below 1 the likely becomes likelier; 0 takes the best token always (default: 1)")
    add("--top-k", type=at_least(0), default=0, metavar="K",
        help="draw from the K best tokens only (default: 0, no limit)")
    add("--top-p", type=float, default=1.0, metavar="P",
        help="draw from the best tokens that together reach this probability (default: 1, no limit)")
    add("--repetition-penalty", type=float, default=1.0, metavar="X", help="above 1, repetitions lose (default: 1)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of the draws (default: 0)")
    add("--json", action="store_true", help="one JSON object instead of the text")


def _speak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="DIR_OR_NAME",
                        help="what 'ftkit train --task text-to-speech --out DIR' saved, or tacotron-mini")
    parser.add_argument("text", help="a sentence; numbers written as words")
    parser.add_argument("--out", required=True, metavar="FILE", help="a .wav, .flac, .ogg or .mp3 file")
    parser.add_argument("--vocoder", metavar="DIR_OR_NAME", help="a WaveNet (default: Griffin-Lim, without a network)")
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="N",
                        help="chance is part of a voice (default: 0)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a sentence")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer examples: half the time, rougher numbers")
    parser.add_argument("--out", default="demo.png", metavar="FILE", help="where the picture goes (default: demo.png)")


def _lab(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH",
                        help="a lesson's number, a notebook or a folder (default: the first lesson)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def _course(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", type=one_of("action", "get", "build", "pack"), help="get: copy the lessons into DIR; "
                        "files that you have changed stay as they are. build: write the form for students or for "
                        "teachers. pack: fill DIR with wheels of everything, to install from without a network")
    parser.add_argument("folder", nargs="?", metavar="DIR", help="for get and pack")
    parser.add_argument("--student", action="store_true", help="without outputs; exercises as stubs")
    parser.add_argument("--teacher", action="store_true", help="with solutions, notes, and how long cells take")
    parser.add_argument("--out", metavar="DIR", help="for build: a new folder")
    parser.add_argument("--platform", metavar="NAME", help="for pack: linux, linux-arm, macos or windows (default: as "
                        "here)")
    parser.add_argument("--python", metavar="X.Y", help="for pack: the class's Python (default: as here)")


def _progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="holds the files that students handed in, also in folders below")
    parser.add_argument("--csv", metavar="FILE", help="write the table there too")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def at_least(least: int) -> Callable[[str], int]:
    """A whole number of at least `least`."""

    def convert(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = least - 1
        if value < least:
            raise ArgumentTypeError(f"must be a whole number of at least {least}, not '{word}'")
        return value

    return convert


def number(word: str) -> float:
    """A number above zero."""
    return _between(word, math.inf, "a number above 0, such as 2e-5")


def fraction(word: str) -> float:
    """A share between 0 and 1."""
    return _between(word, 1.0, "a share between 0 and 1, such as 0.15")


def one_of(kind: str, *options: str) -> Callable[[str], str]:
    """One of some words; the error names the nearest."""

    def convert(word: str) -> str:
        try:
            return check_name(kind, word, options)
        except UserError as error:
            raise ArgumentTypeError(str(error).rstrip(".")) from None

    return convert


def _between(word: str, most: float, wanted: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 < value < most:
        raise ArgumentTypeError(f"must be {wanted}, not '{word}'")
    return value
