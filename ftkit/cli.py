"""The command line: `ftkit train`, predict, list, demo, lab, doctor.

This file reads the arguments and turns every error into one line. What a command does is in ftkit/commands, and is
imported only once its arguments are right: `ftkit --help` need not wait for torch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import NoReturn

import ftkit
from ftkit.arguments import at_least, fraction, number, one_of
from ftkit.errors import FtkitError, UnknownName, UserError

COMMANDS = {
    "train": "fine-tune a model on your data",
    "predict": "ask a fine-tuned model",
    "list": "the backbones and data sets that have a name here",
    "demo": "the shortest whole story: from scratch, frozen, fine-tuned",
    "lab": "open the lessons in JupyterLab",
    "doctor": "what this machine can do, and what to mend",
}
STRATEGIES = "probe, full, last_k:k=2, gradual, discriminative, bn_only, bitfit, custom:head=1,block_5=0.1"
TASKS = "text-classification, image-classification"


class _Parser(argparse.ArgumentParser):
    """argparse with errors as UserError: one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See '{self.prog} --help'.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after `ftkit`; None takes those of this process.

    Returns:
        The exit code: 0; 1 if ftkit failed, 2 if the user made a mistake, 130 after Ctrl-C, 141 if the reader of a pipe
        has gone. The mistakes are named in one line on stderr. FTKIT_DEBUG=1 shows tracebacks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign shows "?" rather than a traceback
    try:
        with _quiet():
            code = _run(words)
            sys.stdout.flush()
            return code
    except SystemExit as done:  # argparse, after --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _fail("Interrupted.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again at exit
        return 141
    except Exception as error:
        return _explain(error)


def _run(words: list[str]) -> int:
    parser, commands = make_parsers()
    if words and words[0] in commands:
        _check_options(words, commands[words[0]])
    elif words and not words[0].startswith("-"):
        raise UnknownName("command", words[0], COMMANDS, "See 'ftkit --help'.")
    args = parser.parse_args(words)
    if not args.command:
        parser.print_help()
        return 0
    module = "listing" if args.command == "list" else args.command
    return import_module(f"ftkit.commands.{module}").run(args)


def _check_options(words: list[str], parser: argparse.ArgumentParser) -> None:
    """Before anything is found missing: is an option misspelt?"""
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    for word in words[1 : words.index("--") if "--" in words else None]:
        if word.startswith("--") and word.partition("=")[0] not in known:
            raise UnknownName("option", word.partition("=")[0], known, f"See '{parser.prog} --help'.")


def _explain(error: Exception) -> int:
    """One line for any error, and the exit code that it means."""
    if os.environ.get("FTKIT_DEBUG"):
        traceback.print_exc()
    if isinstance(error, UserError):
        return _fail(str(error), 2)
    if isinstance(error, FtkitError):
        return _fail(str(error), 1)
    memory = sys.modules.get("ftkit.training.memory")
    if isinstance(error, MemoryError) or (memory and memory.is_out_of_memory(error)):
        return _fail("Memory ran out. Use a smaller --batch-size, a smaller backbone, or less data (--limit).", 2)
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        return _fail(f"{what}. Run 'ftkit doctor' to see what is wrong with the installation.", 1)
    if isinstance(error, OSError):
        return _fail(what, 2)
    return _fail(f"{what}. This is not your mistake: FTKIT_DEBUG=1 shows where it happened; please report it.", 1)


def _fail(message: str, code: int) -> int:
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        with contextlib.suppress(OSError):  # nobody may be listening any more
            print(f"ftkit: {' '.join(message.split())}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of other libraries between the lines, unless python -W asks for them."""
    with warnings.catch_warnings():
        if not sys.warnoptions and not os.environ.get("FTKIT_DEBUG"):
            warnings.simplefilter("ignore")
        yield


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and that of each command."""
    parser = _Parser(prog="ftkit", description="Fine-tune a real model, and see what that did.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ftkit {ftkit.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    fill: dict[str, Callable[[argparse.ArgumentParser], None]] = {
        "train": _train, "predict": _predict, "list": _list, "demo": _demo, "lab": _lab, "doctor": _doctor}
    for name, about in COMMANDS.items():
        fill[name](commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.",
                                       allow_abbrev=False))
    return parser, dict(commands.choices)


def _train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, metavar="PATH_OR_NAME", help="a CSV, JSONL or Parquet file, a folder with one folder "
        "per class, or a name: reviews, digits, or owner/name on the hub")
    add("--backbone", required=True, metavar="NAME_OR_PATH", help="see 'ftkit list'; or owner/name on the hub, or a folder")
    add("--task", help=f"{TASKS}; follows from the data if left out")
    add("--strategy", default="full", metavar="NAME[:key=value,…]", help=f"what trains: {STRATEGIES} (default: full)")
    add("--epochs", type=at_least(1), default=3, metavar="N", help="passes over the data (default: 3)")
    add("--lr", type=number, metavar="X", help="learning rate (default: chosen for the strategy)")
    add("--batch-size", type=at_least(1), metavar="N", help="examples per batch (default: 16 texts, 32 images)")
    add("--limit", type=at_least(2), metavar="N", help="train on a stratified subset of N examples")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of splits, batches, dropout and the new head (default: 0)")
    add("--precision", type=one_of("precision", "auto", "fp32", "bf16", "fp16"), default="auto",
        help="auto, fp32, bf16 or fp16 (default: auto)")
    add("--cache", type=one_of("cache", "auto", "off"), default="auto",
        help="auto computes frozen layers once per example; off does not (default: auto)")
    add("--from-scratch", action="store_true", help="random weights instead of pretrained ones")
    add("--test", metavar="PATH", help="evaluate on this file or folder (default: a held-out part of the data)")
    add("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    add("--out", metavar="DIR", help="save the model and its history here, and checkpoints on the way")
    add("--json", action="store_true", help="the last line of stdout is the result as one JSON object")
    add("--text-column", metavar="NAME", help="of a table (default: found by its name)")
    add("--label-column", metavar="NAME", help="of a table (default: found by its name)")
    add("--valid-fraction", type=fraction, default=0.15, metavar="X", help="share held out to choose by (default: 0.15)")
    add("--test-fraction", type=fraction, default=0.15, metavar="X", help="share held out to test on (default: 0.15)")
    add("--drop-leaks", action="store_true", help="drop training examples that are in the test split too")
    add("--patience", type=at_least(1), metavar="N", help="stop after N epochs without a better one")
    add("--accumulate", type=at_least(1), default=1, metavar="N", help="batches per step (default: 1)")
    add("--class-weights", type=one_of("class weights", "balanced"), help="balanced: rare classes weigh more")
    add("--augment", action="store_true", help="mirror and shift pictures at random")
    add("--image-size", type=at_least(8), metavar="N", help="pixels; small ones train faster (default: the backbone's)")


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="DIR", help="what 'ftkit train --out DIR' saved")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="a text, or the path of an image")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer examples: half the time, rougher numbers")
    parser.add_argument("--out", default="demo.png", metavar="FILE", help="where the picture goes (default: demo.png)")


def _lab(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH", help="a notebook or a folder (default: the first lesson)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
