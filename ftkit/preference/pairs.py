"""How a model judges each pair of a split: what the accuracy and the mean margin of `evaluate` are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training.cpu import use_all_cores
from ftkit.training.inference import infer
from ftkit.training.precision import choose_precision
from ftkit.training.reference import add_reference, check_reference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Margins:
    """Rewards of the pairs of a split, in its order.

    Args:
        chosen: (N,) of the chosen replies.
        rejected: (N,) of the rejected ones.
        prompts: What they reply to.
        targets: The replies, and what else the data say of them.
    """

    chosen: np.ndarray
    rejected: np.ndarray
    prompts: list[Any]
    targets: list[dict[str, str]]

    @property
    def values(self) -> np.ndarray:
        """(N,): above 0 where the model prefers what people preferred."""
        return self.chosen - self.rejected

    def frame(self) -> pd.DataFrame:
        """One row per pair, the worst first: margin, prompt, chosen, rejected and what else is known."""
        import pandas as pd

        table = pd.DataFrame([{"margin": margin, "prompt": prompt, **target} for margin, prompt, target
                              in zip(self.values, self.prompts, self.targets, strict=True)])
        return table.sort_values("margin").reset_index(drop=True)


def margins(model: Model, split: Any, batch_size: int = 64) -> Margins:
    """The rewards that a model of the task "dpo", "ipo" or "reward" gives to both replies of each pair.

    Args:
        model: After `fit`.
        split: Such as `data.test`.
        batch_size: Pairs at a time.

    Raises:
        UserError: Another kind of model, or one whose reference is not known.

    Lesson 09.
    """
    if not hasattr(model.task, "rewards"):
        raise UserError(f"margins needs a model that was trained on pairs of replies, and this one is for "
                        f"{model.task.name}.")
    check_reference(model)
    use_all_cores()
    task, precision = model.task, choose_precision("auto", next(model.net.parameters()).device)
    encoded = task.encode(split.inputs, split.targets, model.processor)
    add_reference(model, task, encoded, precision)
    answers, _ = infer(model.net, task, encoded, model.processor, batch_size, precision)
    return Margins(answers[:, 0], answers[:, 1], list(split.inputs), list(split.targets))
