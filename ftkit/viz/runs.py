"""One run or several, as a dict by name: what `curves` and `compare` are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.errors import UserError
from ftkit.training import History


def named_runs(runs: Any, function: str) -> dict[str, Any]:
    """Runs by name; one alone (a History, or its pair with an Evaluation) is called "", a list is numbered.

    Raises:
        UserError: No run at all, or something that is not a run; says what `function` takes.
    """
    pair = isinstance(runs, tuple) and len(runs) == 2 and not isinstance(runs[1], History)
    if isinstance(runs, History) or (pair and isinstance(runs[0], History)):
        return {"": runs}
    if isinstance(runs, Mapping):
        named = {str(name): run for name, run in runs.items()}
    elif isinstance(runs, Sequence) and not isinstance(runs, str):
        named = {f"run {i + 1}": run for i, run in enumerate(runs)}
    else:
        raise UserError(f"{function} draws what fit returns (a History), or several by name, "
                        f"{{'frozen': history, …}}; not {type(runs).__name__}.")
    if not named:
        raise UserError(f"{function} was given no run at all.")
    for name, run in named.items():
        history = history_of(run)
        if not isinstance(history, History):
            raise UserError(f"{function}: '{name}' is not a run but {type(run).__name__}. "
                            "Pass what fit returned, a History.")
    return named


def history_of(run: Any) -> Any:
    """The History of a run that is one, or a pair of it and its Evaluation."""
    return run[0] if isinstance(run, tuple) and run else run


def best_row(history: History) -> dict[str, Any] | None:
    """The epoch whose weights were kept, else the one with the highest validation accuracy; None without validation."""
    rows = [row for row in history.epochs if "accuracy" in row]
    if not rows:
        return None
    if history.best_epoch is not None:
        return history.epochs[history.best_epoch]
    return max(rows, key=lambda row: row["accuracy"])
