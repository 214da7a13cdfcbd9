"""What a word on the command line may be: types for argparse whose errors say what is wanted."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

from ftkit.errors import UserError, check_name


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
