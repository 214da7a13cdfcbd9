"""History: a run as rows of numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class History:
    """What happened in a run. Lesson 00.

    Args:
        steps: One row per optimizer step: step, epoch, loss, lr, seconds.
        epochs: One row per epoch: epoch, train_loss, valid_loss, the metrics on the validation split, seconds,
            trainable parameters, cached (groups stepped over), peak_memory_mb.
        events: What was done in between: thaws, notes, an interruption.
        config: The settings of the run, JSON-able.
        status: "running", "finished", "stopped", "interrupted" or "early stop".
        best_epoch: The epoch whose weights were kept (counted from 0), or None.
        checkpoint: Folder of a checkpoint to resume from, after an interruption.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    best_epoch: int | None = None
    checkpoint: str | None = None
    start: Any = field(default=None, repr=False, compare=False)  # the StartRecord that the audit compares with

    def frame(self, kind: str = "epochs") -> pd.DataFrame:
        """The rows as a table; kind "epochs", "steps" or "events"."""
        import pandas as pd

        from ftkit.errors import check_name

        return pd.DataFrame(getattr(self, check_name("kind of rows", kind, ("epochs", "steps", "events"))))

    def plot(self) -> Any:
        """The run as a matplotlib figure: the same as ftkit.viz.curves(history), for PPO ftkit.viz.ppo_curves."""
        from ftkit.viz import curves, ppo_curves  # drawn above this floor; only this one method reaches up to it

        return ppo_curves(self) if self.config.get("task") == "ppo" else curves(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """The whole run as JSON, written to `path` if one is given."""
        record = asdict(self)
        record.pop("start")
        text = json.dumps(record, indent=1)
        if path is not None:
            Path(path).write_text(text, encoding="utf8")
        return text

    @classmethod
    def from_json(cls, text: str) -> History:
        """A run from `to_json`'s text."""
        return cls(**json.loads(text))

    @property
    def train_seconds(self) -> float:
        """Seconds spent in training and validation."""
        return sum(row["seconds"] for row in self.epochs)

    def note(self, text: str, **facts: Any) -> None:
        """Add an event."""
        self.events.append({"step": len(self.steps), "note": text, **facts})

    def __repr__(self) -> str:
        if not self.epochs:
            return f"History({self.status}, {len(self.steps)} steps)"
        last = self.epochs[self.best_epoch if self.best_epoch is not None else -1]
        score = f", validation accuracy {last['accuracy']:.3f}" if "accuracy" in last else ""
        if "perplexity" in last:
            score = f", validation perplexity {last['perplexity']:.1f}"
        return f"History({self.status}, {len(self.epochs)} epochs, {len(self.steps)} steps{score})"
