"""Arrays that are drawn over time: checked, with words for what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ftkit.errors import UserError


def numbers(given: Any, what: str, shape: str) -> np.ndarray:
    """A matrix of finite numbers; `what` and `shape` are its name and shape in messages."""
    if hasattr(given, "detach"):
        given = given.detach().float().cpu()
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{what} must be an array of numbers {shape}, not {type(given).__name__}.") from None
    if found.ndim != 2 or not found.size:
        raise UserError(f"{what} must have the shape {shape}, not {found.shape}." + (
            " Take one sound out of the batch: [0]." if found.ndim == 3 else ""))
    if not np.isfinite(found).all():
        raise UserError(f"{what} holds {np.count_nonzero(~np.isfinite(found)):,} values that are no finite numbers.")
    return found


def positive(unit: Any) -> float:
    """Seconds per frame."""
    if isinstance(unit, bool) or not isinstance(unit, (int, float)) or not 0 < unit < np.inf:
        raise UserError(f"seconds_per_frame is a positive number, such as 0.02, not {unit!r}.")
    return float(unit)


def shown(symbol: str) -> str:
    """A gap between words can be seen, and is no l."""
    return "␣" if symbol in (" ", "|") else symbol
