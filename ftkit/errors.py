"""What a user's mistake is called: every message names the value, what is valid, and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FtkitError(Exception):
    """The parent of every error that ftkit raises on purpose."""


class UserError(FtkitError, ValueError):
    """A value that the caller can mend: the message says which and how. The command line exits with 2."""


class UnknownName(UserError):
    """A name that is not in a list of known names.

    Args:
        kind: What was looked for, in the singular, such as "strategy".
        name: What the caller wrote.
        options: Every valid name.
        hint: One more sentence, if there is something better to say.
    """

    def __init__(self, kind: str, name: object, options: Iterable[object], hint: str = "") -> None:
        names = [str(option) for option in options]
        match = nearest(str(name), names)
        guess = f" Did you mean '{match}'?" if match else ""
        listed = ", ".join(names) if names else "none"
        super().__init__(f"Unknown {kind} '{name}'.{guess} Valid: {listed}.{' ' + hint if hint else ''}")
        self.kind, self.name, self.options, self.match = kind, name, names, match


class DataError(UserError):
    """Data that cannot be used as they are: missing, empty, one class only, leaking, or broken."""


class WeightsError(UserError):
    """Weights that are missing, damaged, of another model, or out of reach without a network."""


class MemoryLimit(UserError):
    """A batch or a model that does not fit into the memory that there is."""


class DiskError(UserError):
    """A file that could not be written, usually because the disk is full. The older file is still there."""


class TrainingDiverged(FtkitError, ArithmeticError):
    """The loss became NaN or infinite: the message names the step and the likely cause."""


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option most like `name`, or None when none is close."""
    by_lower = {option.lower(): option for option in options}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def check_name(kind: str, name: str, options: Iterable[str], hint: str = "") -> str:
    """Return `name` if it is one of `options`, else raise UnknownName with the nearest match."""
    options = list(options)
    if name not in options:
        raise UnknownName(kind, name, options, hint)
    return name
