"""The command line: `ftkit train`, predict, generate, speak, list, demo, lab, course, progress, doctor.

This file turns every error into one line. What a command takes is in ftkit/arguments.py; what it does is in
ftkit/commands, and is imported only once its arguments are right: `ftkit --help` need not wait for torch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module

from ftkit.arguments import COMMANDS, make_parsers
from ftkit.errors import FtkitError, UnknownName, UserError

_OPTIONS = {r"\btext=(?=[\s.,)])": "--text-column", r"\blabel=(?=[\s.,)])": "--label-column",
            r"\btest=(?=[\s.,)])": "--test", r"\bcache='off'": "--cache off"}


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
        hint = " 'ftkit doctor' looks for the cause." if isinstance(error.__cause__, ImportError) else ""
        return _fail(f"{error}{hint}", 2)
    if isinstance(error, FtkitError):
        return _fail(str(error), 1)
    memory = sys.modules.get("ftkit.training.memory")
    if isinstance(error, MemoryError) or (memory and memory.is_out_of_memory(error)):
        return _fail("Memory ran out. Use a smaller --batch-size, a smaller backbone, or less data (--limit).", 2)
    what = f"{type(error).__name__}: {error or 'no reason given'}"
    if isinstance(error, ImportError):
        return _fail(f"{what}. Run 'ftkit doctor' to see what is wrong with the installation.", 1)
    if isinstance(error, OSError):
        return _fail(what, 2)
    return _fail(f"{what}. 'ftkit doctor' looks for the cause in the installation; FTKIT_DEBUG=1 shows the place.", 1)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    for keyword, option in _OPTIONS.items():  # ftkit's functions speak of their arguments: say it as it is written here
        line = re.sub(keyword, option, line)
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        with contextlib.suppress(OSError):  # nobody may be listening any more
            print(f"ftkit: {line}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of other libraries between the lines, unless python -W asks for them."""
    with warnings.catch_warnings():
        if not sys.warnoptions and not os.environ.get("FTKIT_DEBUG"):
            warnings.simplefilter("ignore")
        yield
