"""Runs side by side: a table of what each cost and brought, and their curves over each other."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ftkit.errors import UserError, check_name
from ftkit.training import History
from ftkit.viz.curves import curves
from ftkit.viz.runs import best_row, history_of, named_runs
from ftkit.viz.style import Picture
from ftkit.viz.words import count, percent
from ftkit.widgets.markup import attributes, button, tag, text_table
from ftkit.widgets.markup import table as plain_table
from ftkit.widgets.progress_words import duration
from ftkit.widgets.small_panel import SmallPanel

MEMORY_NOTE = ("Memory is the largest size of the whole program until then: of several runs in one notebook, a later "
               "one never shows less than an earlier one.")
_HEADER = ("run", "accuracy", "loss", "time", "memory", "trainable")
Row = dict[str, Any]


def compare(*runs: Any, **named: Any) -> RunComparison:
    """Compare runs: accuracy, loss, time, memory and what trained, with their curves; choose which are shown.

    Args:
        runs: What `fit` returned, or pairs (history, evaluate(model, data.test)); or one dict of them by name.
        named: The same with names: `compare(probe=first, full=second)`.

    Returns:
        The panel; `panel.rows` are its numbers.

    Raises:
        UserError: No run, or something that is not a run.

    Lesson 01 compares with `ftkit.viz.compare`, the picture of this.
    """
    found: dict[str, Any] = {}
    if len(runs) == 1 and isinstance(runs[0], Mapping):
        found = named_runs(runs[0], "compare")
    elif runs:
        found = {_name(i, run): run for i, run in enumerate(named_runs(list(runs), "compare").values(), start=1)}
    if named or not found:
        found |= named_runs(named, "compare")
    return RunComparison(found)


def _name(number: int, run: Any) -> str:
    """ "1: GradualUnfreeze": the place, and the strategy's name if the run knows it."""
    strategy = str(history_of(run).config.get("strategy", "run")).partition("(")[0]
    return f"{number}: {strategy}"


class RunComparison(SmallPanel):
    """What `compare` returns.

    Attributes:
        runs: History by name.
        shown: The names that are shown, in the order given.
    """

    title = "Runs side by side"
    commands = ("toggle", "show_all")

    def __init__(self, runs: Mapping[str, Any]) -> None:
        super().__init__()
        self.runs: dict[str, History] = {name: history_of(run) for name, run in runs.items()}
        tests = {name: run[1] for name, run in runs.items() if isinstance(run, tuple)}
        for name, scores in tests.items():
            if len(runs[name]) != 2 or not isinstance(scores, Mapping) or "accuracy" not in scores:
                raise UserError(f"compare: '{name}' must be a History or a pair (history, evaluate(model, data.test)).")
        if tests and len(tests) < len(runs):
            missing = ", ".join(name for name in runs if name not in tests)
            raise UserError(f"Test and validation accuracy cannot be compared: {missing} came without an Evaluation. "
                            "Pass (history, evaluate(model, data.test)) for every run, or for none.")
        self.split = "test" if tests else "validation"
        self.rows = [_row(name, run, tests.get(name)) for name, run in self.runs.items()]
        self.shown = list(self.runs)
        self._drawn: dict[tuple[str, ...], bytes] = {}

    def toggle(self, run: str) -> None:
        """Show a run, or hide it."""
        check_name("run", run, self.runs)
        self._show({*self.shown} ^ {run})
        self.changed(f"{run} is {'shown' if run in self.shown else 'hidden'}.")

    def show_all(self) -> None:
        """Show every run."""
        self._show({*self.runs})
        self.changed("All runs are shown.")

    def _show(self, names: set[str]) -> None:
        self.shown = [name for name in self.runs if name in names]

    # --- rendering --------------------------------------------------------------------------------------------------

    @property
    def picture(self) -> Picture | None:
        """The curves of the runs that are shown; None if none of them has made a step."""
        places = [i for i, (name, run) in enumerate(self.runs.items()) if name in self.shown and run.steps]
        names = list(self.runs)
        return curves({names[i]: self.runs[names[i]] for i in places}, places) if places else None

    def regions(self) -> dict[str, str]:
        """The table with a box to tick per run, and the picture."""
        return {"table": self._table(), "picture": self._image()}

    def _table(self) -> str:
        head = "".join(tag("th", name, scope="col") for name in self._header())
        most = {key: max((row[key] or 0 for row in self.rows), default=0) for key in ("seconds", "trainable")}
        rows = "".join(self._live_row(row, most | {"accuracy": 1.0}) for row in self.rows)
        return (f'<div class="ft-scroll"><table class="ft-runs"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
                f'</table></div><div class="ft-line">{button("Show all", "show_all", "all")}'
                f'{tag("span", MEMORY_NOTE, class_="ft-quiet")}</div>')

    def _live_row(self, row: Row, most: dict[str, float]) -> str:
        name, *words = _words(row)
        on = name in self.shown
        box = attributes(type="checkbox", name="run", value=name, checked=on, data_change="toggle", data_key=name)
        keys = ("accuracy", "loss", "seconds", "memory_mb", "trainable")
        cells = "".join(
            f'<td>{tag("span", word, class_="ft-number")}{_bar(row[key], most[key]) if key in most else ""}</td>'
            for key, word in zip(keys, words, strict=True))
        return (f'<tr{attributes(class_=None if on else "ft-quiet")}><th scope="row"><label><input{box}> '
                f'{tag("span", name)}</label></th>{cells}</tr>')

    def _image(self) -> str:
        picture = self.picture
        if picture is None:
            return tag("p", "None of the runs that are shown has made a step: tick one.", class_="ft-quiet")
        key = tuple(self.shown)
        if key not in self._drawn:  # drawing takes a fifth of a second, and students tick to and fro
            self._drawn[key] = picture.png()
        source = f"data:image/png;base64,{base64.b64encode(self._drawn[key]).decode('ascii')}"
        return f"<img{attributes(class_='ft-picture', src=source, alt=picture.alt)}>"

    def _header(self) -> list[str]:
        return [name if name != "accuracy" else f"{self.split} accuracy" for name in _HEADER]

    def _shown_rows(self) -> list[Row]:
        return [row for row in self.rows if row["run"] in self.shown]

    def _text(self) -> str:
        return text_table(self._header(), map(_words, self._shown_rows()))

    def _html(self) -> str:
        return plain_table(self._header(), map(_words, self._shown_rows()), f"Runs side by side. {MEMORY_NOTE}")

    def _png(self) -> bytes:
        picture = self.picture
        return picture.png() if picture else b""


def _row(name: str, history: History, tested: Mapping[str, float] | None) -> Row:
    """The numbers of one run; None for what it does not know."""
    best = best_row(history) or {}
    last: Row = history.epochs[-1] if history.epochs else {}
    trainable = max((row["trainable"] for row in history.epochs), default=None)
    total = history.config.get("parameters")
    scores: Mapping[str, Any] = tested or {"accuracy": best.get("accuracy"), "loss": best.get("valid_loss")}
    return {"run": name, "accuracy": scores["accuracy"], "loss": scores.get("loss"),
            "seconds": history.train_seconds if history.epochs else None, "memory_mb": last.get("peak_memory_mb"),
            "trainable": trainable, "share": trainable / total if trainable is not None and total else None}


def _words(row: Row) -> list[str]:
    def number(key: str, form: str) -> str:
        return "–" if row[key] is None else format(row[key], form)

    trainable = "–" if row["trainable"] is None else count(row["trainable"])
    share = "" if row["share"] is None else f" ({percent(row['share'])})"
    return [row["run"], number("accuracy", ".3f"), number("loss", ".3f"),
            "–" if row["seconds"] is None else _time(row["seconds"]),
            "–" if row["memory_mb"] is None else f"{row['memory_mb']:,.0f} MiB", trainable + share]


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def _bar(value: float | None, most: float) -> str:
    if not value or not most:
        return ""
    return f'<span class="ft-bar" aria-hidden="true" style="width:{100 * value / most:.1f}%"></span>'
