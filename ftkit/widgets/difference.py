"""What was said and what was heard, letter by letter."""

from __future__ import annotations

from typing import NamedTuple

from ftkit.errors import UserError
from ftkit.tasks.spelling import spell
from ftkit.widgets.markup import tag

LONGEST = 1000  # characters: more cannot be looked through in a panel
_MISSING = "background:#F7DCC8;color:#1A1A1A;text-decoration:line-through;padding:0 1px"
_EXTRA = "background:#CFE6F5;color:#1A1A1A;text-decoration:underline;font-weight:700;padding:0 1px"
KEY = "Struck out: was said, was not heard. Underlined: was heard, was not said."


class Piece(NamedTuple):
    """A stretch of a comparison.

    Args:
        said: Of the reference; "" where something was added.
        heard: Of the transcript; "" where something is missing. Equal to `said` where it is right.
    """

    said: str
    heard: str

    @property
    def right(self) -> bool:
        """Whether it was heard as it was said."""
        return self.said == self.heard


def differences(said: str, heard: str) -> list[Piece]:
    """The fewest changes that make one text of the other, neighbours joined.

    Args:
        said: The reference; only small letters and apostrophes of both are compared, see `ftkit.tasks.spelling`.
        heard: The transcript.

    Raises:
        UserError: More than 1,000 characters.

    Source: Levenshtein 1966. Lesson 05.
    """
    pieces: list[Piece] = []
    for piece in _changes(said, heard):
        if pieces and not pieces[-1].right and not piece.right:
            pieces[-1] = Piece(pieces[-1].said + piece.said, pieces[-1].heard + piece.heard)
        else:
            pieces.append(piece)
    return pieces


def errors(said: str, heard: str) -> tuple[int, int]:
    """How many letters must be changed, added or taken away, and how many were said; spaces count.

    Their quotient is the character error rate; it can be larger than 1. Lesson 05.
    """
    wrong = sum(max(len(piece.said), len(piece.heard)) for piece in _changes(said, heard) if not piece.right)
    return wrong, len(spell(said))


def marked(pieces: list[Piece]) -> str:
    """As HTML: what is missing struck out, what was added underlined; readable in every theme and without colour."""
    parts = []
    for piece in pieces:
        if piece.right:
            parts.append(tag("span", piece.said))
            continue
        parts += [tag("del", piece.said.replace(" ", "␣"), style=_MISSING)] if piece.said else []
        parts += [tag("ins", piece.heard.replace(" ", "␣"), style=_EXTRA)] if piece.heard else []
    return "".join(parts)


def bracketed(pieces: list[Piece]) -> str:
    """As text: [-missing-] and [+added+]."""
    return "".join(piece.said if piece.right else (f"[-{piece.said}-]" if piece.said else "")
                   + (f"[+{piece.heard}+]" if piece.heard else "") for piece in pieces)


def _changes(said: str, heard: str) -> list[Piece]:
    """Stretches of one kind each: right, wrong letter for letter, missing, or too much; jiwer finds them."""
    import jiwer

    a, b = spell(said), spell(heard)
    if max(len(a), len(b)) > LONGEST:
        raise UserError(f"Texts of up to {LONGEST:,} characters are compared, not of {max(len(a), len(b)):,}.")
    if not a:
        return [Piece("", b)] if b else []
    found = jiwer.process_characters(a, b).alignments[0]
    return [Piece(a[one.ref_start_idx : one.ref_end_idx], b[one.hyp_start_idx : one.hyp_end_idx]) for one in found]
