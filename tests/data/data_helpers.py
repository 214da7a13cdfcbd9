"""Examples for the tests of ftkit.data."""

from __future__ import annotations


def sentences(n: int, start: int = 0) -> list[tuple[str, str]]:
    """Different texts with alternating labels."""
    return [(f"this is sentence number {i} of many", "neg" if i % 2 else "pos") for i in range(start, start + n)]
