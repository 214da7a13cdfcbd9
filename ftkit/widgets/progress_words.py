"""A run's progress in words: durations, and the sentence at the end."""

from __future__ import annotations

from ftkit.training import History
from ftkit.viz.runs import best_row


def duration(seconds: float) -> str:
    """ "8 s", "3 min 20 s", "1 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ending(history: History, steps: int, total: int, seconds: float) -> str:
    """One sentence about a run that has ended, in whichever way."""
    word = {"finished": "Trained", "early stop": "Stopped early (no better epoch came):", "stopped": "Stopped:",
            "interrupted": "Interrupted:"}.get(history.status, "Broke off:")
    epochs = len(history.epochs)
    whole = history.status == "finished"
    done = f"{epochs} epoch{'s' * (epochs != 1)}, {steps} steps" if whole else f"{steps} of {total} steps"
    facts = []
    if history.steps:
        last = history.epochs[-1]["train_loss"] if history.epochs else history.steps[-1]["loss"]
        facts.append(f"training loss {last:.3f}")
    best = best_row(history)
    if best:
        kept = f" in epoch {best['epoch'] + 1}, whose weights were kept" if history.best_epoch is not None and (
            history.status in ("finished", "early stop")) else f" in epoch {best['epoch'] + 1}"
        facts.append(f"validation accuracy {best['accuracy']:.3f}{kept}")
    return f"{word} {done} in {duration(seconds)}{': ' if facts else ''}{', '.join(facts)}."
