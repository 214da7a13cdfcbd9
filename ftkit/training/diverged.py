"""A loss that is not a number ends the run, with the step and the likely cause."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from ftkit.errors import TrainingDiverged

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession


def check_finite(loss: float, session: TrainSession, micro: list[list[int]]) -> None:
    """Raise TrainingDiverged if the loss is NaN or infinite. The optimizer has not stepped yet."""
    if math.isfinite(loss):
        return
    session.optimizer.zero_grad(set_to_none=True)
    where = f"The loss became {loss} in step {session.step_count + 1} (epoch {session.epoch + 1})."
    raise TrainingDiverged(f"{where} {_cause(session, micro)}")


def _cause(session: TrainSession, micro: list[list[int]]) -> str:
    broken = [i for indices in micro for i in indices if not _inputs_finite(session, i)]
    if broken:
        return f"Training example {broken[0]} holds NaN or infinite numbers: look at data.train[{broken[0]}]."
    weights = [name for name, p in session.net.named_parameters() if not torch.isfinite(p).all()]
    if weights and session.step_count == 0:
        return f"The weights were broken before training: {weights[0]} holds NaN. Load the backbone anew."
    if session.precision == "fp16":
        return "Likely cause: fp16 overflowed. Try precision='bf16' or 'fp32'."
    if session.step_count == 0:  # nothing has been learned yet, so the learning rate is not to blame
        return f"The first pass already overflows in {session.precision}: look at the examples and the class weights."
    return (f"Likely cause: the learning rate {session.settings.lr:g} is too high. Try a tenth of it"
            f"{'' if session.settings.clip else ', and clip=1.0'}. Load the backbone anew: its weights are spoilt.")


def _inputs_finite(session: TrainSession, index: int) -> bool:
    batch = session.task.collate(session.train, [index], session.model.processor)
    return all(bool(torch.isfinite(t).all()) for t in batch.values() if t.is_floating_point())
