"""WiSE-FT: between the weights before fine-tuning and those after it lie networks that know both, and cost nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ftkit.backbones import Model
from ftkit.errors import UserError
from ftkit.training import History, evaluate
from ftkit.training.weights import tensors_of

if TYPE_CHECKING:
    import pandas as pd

Measure = Any
"""A Split, on which the model's own head is evaluated; or a function of a Model that returns a number."""
ALPHAS = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class WiseFT:
    """A curve from one network to another.

    Args:
        rows: alpha, new, old: two scores, at each share of the way.
        new: What is measured of the new domain, such as "accuracy" or "loss".
        old: What is measured of the old one.
    """

    rows: list[dict[str, float]]
    new: str
    old: str

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def best(self, lost: float) -> dict[str, float]:
        """The row with the best score on the new domain among those that lose at most so much on the old one.

        Args:
            lost: How much worse than at alpha 0 the old domain's score may be, in its own unit.
        """
        sign_old, sign_new = (-1 if falls(name) else 1 for name in (self.old, self.new))
        start = min(self.rows, key=lambda row: row["alpha"])
        kept = [row for row in self.rows if sign_old * (start["old"] - row["old"]) <= lost]
        return max(kept, key=lambda row: sign_new * row["new"])


def falls(measure: str) -> bool:
    """Whether a smaller value of this measure is the better one, by its name."""
    words = set(re.split(r"[^a-z]+", measure.lower()))
    return bool(words & {"loss", "error", "errors", "perplexity", "bits", "cer", "wer", "distortion"})


def interpolate(before: Model | History, after: Model, alpha: float, *, head: bool | None = None) -> Model:
    """The network whose every weight is (1 - alpha) times that before fine-tuning plus alpha times that after it.

    Args:
        before: A model of the same architecture; or the History of the run that made `after`, which holds the weights
            that the run began with.
        after: The fine-tuned model. Adapters are merged first: half the way is then half their change.
        alpha: 0 is before, 1 is after. Numbers outside lie on the same line and are allowed.
        head: Whether the head is mixed as well. False takes it from `after`: half of a random head is of no use. None
            mixes it if it was trained before: in a text generator, or if `before` is a Model with the same labels.

    Returns:
        A new Model; both others stay as they are. Running statistics of BatchNorm are mixed like weights if `before` is
        a Model; a History does not hold them.

    Raises:
        UserError: The two are not of the same architecture, or the History is of another model.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT). Lesson 08.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not -10 <= alpha <= 10:
        raise UserError(f"alpha is a number such as 0.5: 0 is before, 1 is after; not {alpha!r}.")
    return _Line(before, after, head).at(float(alpha))


def wise_ft(before: Model | History, after: Model, new: Measure, old: Measure, *,
            alphas: Sequence[float] = ALPHAS, head: bool | None = None) -> WiseFT:
    """Measure the new and the old domain along the line from the weights before fine-tuning to those after it.

    Args:
        before: As for `interpolate`.
        after: As for `interpolate`.
        new: A split of the new data, such as `data.valid`; or a function of a Model, such as
            `lambda model: ft.evaluate(model, split)["f1_macro"]`.
        old: The same for what the network was made for; for instance
            `lambda model: ft.report.forgetting(old_model, model, old_split)["after"]`.
        alphas: At which shares of the way.
        head: As for `interpolate`.

    Returns:
        A WiseFT; ft.viz.wise_ft draws it. Of a split the accuracy is measured, of a text generator the loss. The name
        of a function says what it measures; of a lambda it is "score", which is better if it is higher.

    Raises:
        UserError: As `interpolate`; or no alphas.

    Lesson 08.
    """
    if not len(alphas):
        raise UserError("alphas is empty: there is nothing to measure.")
    line, rows = _Line(before, after, head), []
    for alpha in sorted(alphas):
        model = line.at(float(alpha))
        rows.append({"alpha": float(alpha), "new": _measure(new, model), "old": _measure(old, model)})
    return WiseFT(rows, _name(new, after), _name(old, after))


def _measure(measure: Measure, model: Model) -> float:
    return float(measure(model) if callable(measure) else evaluate(model, measure)[_name(measure, model)])


def _name(measure: Measure, model: Model) -> str:
    if callable(measure):
        name = str(getattr(measure, "__name__", type(measure).__name__))
        return "score" if "lambda" in name else name.replace("_", " ")
    return model.task.best_by.removeprefix("valid_")  # what `fit` chooses the best epoch by


class _Line:
    """The straight line through two networks; `at` fills one and the same model for each point of it."""

    def __init__(self, before: Model | History, after: Model, head: bool | None) -> None:
        self.model = plain_copy(after)
        self.end = {name: tensor.detach().clone() for name, tensor in tensors_of(self.model.net).items()}
        if head is None:
            known = isinstance(before, Model) and tuple(before.task.labels) == tuple(after.task.labels)
            head = after.task.generates or known
        fixed = () if head else tuple(f"{path}." for path in after.layers["head"].modules)
        self.start = {name: tensor for name, tensor in start_weights(before, after).items()
                      if not fixed or not name.startswith(fixed)}
        shapes = {name: tensor.shape for name, tensor in self.end.items()}
        odd = next((name for name, tensor in self.start.items() if shapes.get(name) != tensor.shape), None)
        if odd is not None or (isinstance(before, Model) and not any(name in self.start for name in self.end)):
            raise UserError(f"Only networks of the same architecture can be mixed: {odd} is in one of them only, or "
                            "has another shape in the other.")

    def at(self, alpha: float) -> Model:
        """The model at a share of the way."""
        with torch.no_grad():
            for name, tensor in tensors_of(self.model.net).items():
                if name in self.start and tensor.is_floating_point():
                    tensor.copy_(torch.lerp(self.start[name].to(tensor), self.end[name], alpha))
        return self.model


def plain_copy(model: Model) -> Model:
    """A copy of a model with weights of its own, without adapters."""
    if model.adapters is not None:
        return model.merged()
    twin = copy.copy(model)
    twin.net, twin.base = copy.deepcopy(model.net), ""  # nothing opens these weights again but what is saved of them
    twin.remap()
    return twin


def start_weights(before: Model | History, after: Model) -> dict[str, Tensor]:
    """The weights before fine-tuning, by the names of a network without adapters; of a History those that trained."""
    if isinstance(before, Model):
        return tensors_of((before if before.adapters is None else before.merged()).net)
    if not isinstance(before, History) or before.start is None:
        raise UserError("before is a Model, or the History that fit returned in this session (one from JSON no longer "
                        f"knows the first weights); not {type(before).__name__}.")
    if not set(before.start.names) <= {name for name, _ in after.net.named_parameters()}:
        raise UserError("This history is of another model.")
    if after.adapters is None:
        return before.start.values(before.start.names)
    with before.start.back_in(after.net):
        return tensors_of(after.merged().net)
