"""From single runs to medians, a table, and the expectations that ftkit has of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from statistics import mean, median
from typing import Any

Rows = list[dict[str, Any]]
Runs = dict[str, Rows]  # contender to its runs, one per round

FP32_SLOWER, FULL_FASTER, HEAD_FASTER, EQUAL_ACCURACY = 0.02, 1.5, 8.0, 0.02
SPEECH_HEAD_FASTER = 5.0
MEMORY_NOISE = 0.02  # two runs of the very same loop differ by that much
IMPORT_SECONDS = 0.3


@dataclass
class Check:
    """One expectation: what was measured, what was hoped for, whether it came true.

    Args:
        name: In words.
        measured: The figure that counts, the median of the rounds.
        wanted: The limit, in words.
        met: Whether it holds; None where it cannot be judged: a quick run, or a processor without bf16.
        rounds: The figure of each round.
    """

    name: str
    measured: float
    wanted: str
    met: bool | None
    rounds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        word = {True: "met", False: "NOT met", None: "unjudged"}[self.met]
        each = f" (by round: {', '.join(f'{value:.3f}' for value in self.rounds)})" if len(self.rounds) > 1 else ""
        return f"{word:>8}: {self.name}: {self.measured:.3f}, wanted {self.wanted}{each}"

    def row(self) -> dict[str, Any]:
        return asdict(self)


def medians(runs: Rows) -> dict[str, Any]:
    """One line for a contender: medians over the rounds, and the mean accuracy (each round has its own seed)."""
    keys = ("seconds", "steps_per_second", "peak_memory_mb", "start_memory_mb")
    return {**{key: median(run[key] for run in runs) for key in keys}, "accuracy": mean(r["accuracy"] for r in runs),
            "precision": runs[0].get("precision", "fp32"), "groups_cached": runs[0].get("groups_cached", 0)}


def by_round(runs: Runs, above: str, below: str, key: str) -> list[float]:
    """`key` of one contender divided by that of another, round by round: both saw the machine at the same pace."""
    return [a[key] / b[key] for a, b in zip(runs[above], runs[below], strict=True)]


def table(runs: Runs, about: str, contenders: dict[str, tuple[str, str, str]]) -> str:
    """A markdown table: medians over the rounds; "x loop" is the wall time over that of the loop in the same round."""
    lines = [f"### {about}", "",
             "| contender | batches | precision | wall time (s) | x loop | steps/s | peak memory (MB) | grown by (MB) "
             "| test accuracy |", "|---|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, rows in runs.items():
        m = medians(rows)
        cells = (name, contenders[name][1], m["precision"] + (", cache" if m["groups_cached"] else ""),
                 f"{m['seconds']:.2f}", f"{median(by_round(runs, name, 'loop', 'seconds')):.2f}",
                 f"{m['steps_per_second']:.2f}", f"{m['peak_memory_mb']:.0f}",
                 f"{m['peak_memory_mb'] - m['start_memory_mb']:.0f}", f"{m['accuracy']:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def check_workload(name: str, runs: Runs) -> Iterable[Check]:
    """What is expected on one workload."""
    for key, word, fold in (("seconds", "wall time", 1), ("steps_per_second", "time per step", -1)):
        ratios = [ratio**fold for ratio in by_round(runs, "ftkit-fp32", "loop-same-batches", key)]
        yield _check(f"{name}: {word} of ftkit in fp32 / hand-written loop on the same batches", ratios,
                     f"at most {1 + FP32_SLOWER:.2f}", lambda value: value <= 1 + FP32_SLOWER)
    if not name.endswith("last2"):
        yield from _faster(name, runs)
    for own in ("ftkit-fp32", "ftkit"):
        yield _memory(name, runs, own)


def check_import(seconds: float, loaded: list[str]) -> Iterable[Check]:
    """What is expected of `import ftkit`."""
    yield Check("import ftkit: seconds, best of 5", seconds, f"below {IMPORT_SECONDS}", seconds < IMPORT_SECONDS)
    yield Check(f"import ftkit: heavy libraries imported ({', '.join(loaded) or 'none'})", float(len(loaded)), "0",
                not loaded)


def _faster(name: str, runs: Runs) -> Iterable[Check]:
    head = name.endswith("head")
    factor = (SPEECH_HEAD_FASTER if name.startswith("speech") else HEAD_FASTER) if head else FULL_FASTER
    applies = head or runs["ftkit"][0].get("precision") == "bf16"
    for peer in ("hf-trainer", "hf-trainer-same-batches"):
        ratios = by_round(runs, peer, "ftkit", "seconds")
        check = _check(f"{name}: wall time of {peer} / ftkit", ratios, f"at least {factor:g}",
                       lambda value: value >= factor)
        check.met = check.met if applies else None
        yield check
        gaps = [own["accuracy"] - other["accuracy"] for own, other in zip(runs["ftkit"], runs[peer], strict=True)]
        yield Check(f"{name}: mean accuracy of ftkit - {peer}", mean(gaps), f"at least -{EQUAL_ACCURACY}",
                    mean(gaps) >= -EQUAL_ACCURACY, gaps)


def _memory(name: str, runs: Runs, own: str) -> Check:
    """The cache's budget counts only where a cache was in use."""
    over = [ours["peak_memory_mb"] - theirs["peak_memory_mb"]
            for ours, theirs in zip(runs[own], runs["loop-same-batches"], strict=True)]
    budget = median(run["cache_budget_mb"] for run in runs[own])
    noise = MEMORY_NOISE * median(run["peak_memory_mb"] for run in runs["loop-same-batches"])
    return _check(f"{name}: peak memory of {own} - hand-written loop, MB", over,
                  f"at most {budget + noise:.0f} (cache budget {budget:.0f} + {MEMORY_NOISE:.0%} noise)",
                  lambda value: value <= budget + noise)


def _check(name: str, rounds: list[float], wanted: str, holds: Callable[[float], bool]) -> Check:
    return Check(name, median(rounds), wanted, holds(median(rounds)), rounds)
