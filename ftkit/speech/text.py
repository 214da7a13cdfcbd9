"""Letters to numbers: what a synthesiser reads."""

from __future__ import annotations

import unicodedata

from ftkit.errors import DataError

SYMBOLS = "_~ abcdefghijklmnopqrstuvwxyz'.,;:?!-"
"""Number 0 is padding, number 1 ends every sentence."""
_NUMBER = {symbol: i for i, symbol in enumerate(SYMBOLS)}
_ALSO = str.maketrans({"’": "'", "‘": "'", "“": "", "”": "", '"': "", "(": ",", ")": ",", "–": "-", "—": "-",
                       "[": "", "]": "", "\n": " ", "\t": " "})


def encode(text: str) -> list[int]:
    """The numbers of a sentence's characters, with the sign for its end.

    Capitals become small letters, accents fall away.

    Raises:
        DataError: Nothing to read, or characters that are no letters: write numbers and signs as words.

    Lesson 06.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_ALSO).lower())
    plain = " ".join("".join(sign for sign in plain if not unicodedata.combining(sign)).split())
    unknown = sorted({sign for sign in plain if sign not in _NUMBER or sign in "_~"})
    if unknown:
        raise DataError(f"The synthesiser cannot read {' '.join(unknown)} in {text[:60]!r}. It knows the letters a to "
                        f"z and ' . , ; : ? ! - only: write \"seven\" for 7.")
    if not any(sign.isalpha() for sign in plain):
        raise DataError(f"There is nothing to read aloud in {text[:60]!r}.")
    return [_NUMBER[sign] for sign in plain] + [1]
