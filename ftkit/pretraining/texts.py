"""English prose for the text recipes: read from a folder, or fetched from Project Gutenberg."""

from __future__ import annotations

import lzma
import re
import urllib.request
from pathlib import Path

from tqdm.auto import tqdm

from ftkit.errors import DataError

KINDS = ("stories", "prose")
# Books of Project Gutenberg, all in the public domain in the US, by their numbers there.
GUTENBERG = {
    "stories": (11, 12, 16, 45, 55, 74, 113, 120, 146, 236, 271, 289, 500, 514, 521, 544, 708, 778, 902, 910, 1448,
                1597, 1874, 2591, 2781, 10148, 11339, 14838),
    "prose": (35, 36, 84, 98, 145, 158, 161, 174, 205, 219, 345, 408, 583, 768, 1184, 1228, 1260, 1342, 1400, 1661,
              1727, 2600, 2701, 2814, 25344),
}
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")


def read_paragraphs(folder: Path, kinds: tuple[str, ...] = KINDS) -> list[str]:
    """The paragraphs of stories.txt(.xz) and prose.txt(.xz): one a line, an empty line between two books.

    Raises:
        DataError: A file is missing.
    """
    lines: list[str] = []
    for kind in kinds:
        packed, plain = folder / f"{kind}.txt.xz", folder / f"{kind}.txt"
        if packed.is_file():
            with lzma.open(packed, "rt", encoding="utf8") as stream:
                lines += stream.read().split("\n")
        elif plain.is_file():
            lines += plain.read_text(encoding="utf8").split("\n")
        else:
            raise DataError(f"There is neither {packed.name} nor {plain.name} in {folder}. Pass the folder that holds "
                            "them, or --fetch.")
    return lines


def sentences(paragraphs: list[str], shortest: int = 4, longest: int = 48) -> list[str]:
    """Single sentences of 4 to 48 words, in order."""
    found = (sentence.strip() for paragraph in paragraphs for sentence in _SENTENCE_END.split(paragraph))
    return [sentence for sentence in found if shortest <= sentence.count(" ") + 1 <= longest]


def fetch_gutenberg(folder: Path) -> None:
    """Write stories.txt and prose.txt from the books in `GUTENBERG`: for people with a network."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, numbers in GUTENBERG.items():
        books = []
        for number in tqdm(numbers, desc=f"books ({kind})"):
            address = f"https://www.gutenberg.org/cache/epub/{number}/pg{number}.txt"
            with urllib.request.urlopen(address, timeout=60) as answer:
                books.append("\n".join(book_paragraphs(answer.read().decode("utf8", "replace"))))
        (folder / f"{kind}.txt").write_text("\n\n".join(books), encoding="utf8")


def book_paragraphs(text: str) -> list[str]:
    """The paragraphs of one Gutenberg file, one line each, without the licence before and after the book."""
    text = text.replace("\r\n", "\n")
    start = re.search(r"\*\*\* ?START OF TH[^\n]*\n", text)
    end = re.search(r"\*\*\* ?END OF TH", text)
    body = text[start.end() if start else 0 : end.start() if end else len(text)]
    joined = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", body))
    return [paragraph for paragraph in joined if len(paragraph) > 40]  # headings and rows of stars go
