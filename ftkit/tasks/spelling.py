"""Transcripts as a recogniser writes them, and how far two of them are apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ftkit.errors import DataError

NORMALISATION = "small letters and apostrophes; everything else is a space"


def spell(text: str) -> str:
    """A transcript in small letters and apostrophes, with single spaces: "It's 5, isn't it?" gives "it's isn't it".

    Accents stay. Figures and signs become spaces: write numbers out, as they are spoken. Lesson 05.
    """
    folded = unicodedata.normalize("NFC", text).casefold().replace("’", "'").replace("‘", "'").replace("`", "'")
    kept = "".join(c if c.isalpha() or c == "'" else " " for c in folded)
    return " ".join(re.sub(r"(?<!\w)'+|'+(?!\w)", " ", kept).split())  # quotation marks are no apostrophes


def error_rates(heard: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """Character and word error rate of a whole split, by jiwer, after `spell`.

    Errors are wrong, missing and superfluous letters (words); the rate is their number by that of the letters (words)
    that were said, so it can exceed 1. Long utterances count for more, as usual.

    Args:
        heard: What the recogniser wrote.
        said: The transcripts.

    Returns:
        "cer" and "wer".

    Raises:
        DataError: Not a single letter was said.

    Source: Levenshtein 1966. Lesson 05.
    """
    import jiwer

    pairs = [(spell(said_one), spell(heard_one)) for said_one, heard_one in zip(said, heard, strict=True)]
    known = [pair for pair in pairs if pair[0]]  # jiwer refuses an empty reference
    if not known:
        raise DataError("No transcript has a letter: there is nothing to compare with.")
    extra = [heard_one for said_one, heard_one in pairs if not said_one]  # all of it is superfluous
    references, hypotheses = [pair[0] for pair in known], [pair[1] for pair in known]
    letters, words = sum(map(len, references)), sum(len(text.split()) for text in references)
    return {"cer": float(jiwer.cer(references, hypotheses)) + sum(map(len, extra)) / letters,
            "wer": float(jiwer.wer(references, hypotheses)) + sum(len(text.split()) for text in extra) / words}
