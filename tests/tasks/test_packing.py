"""Packing: fewer rows, the same losses, and documents that do not see each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from writers import FAMILIES, log_data, writer

from ftkit.errors import UserError
from ftkit.tasks import CausalLM
from ftkit.tasks.causal_lm import HIDDEN
from ftkit.tasks.packing import keeps_apart, packed
from ftkit.training import TrainSession, evaluate, fit


def rows_of(*lengths: int) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Documents whose ids say which one they are of."""
    return [(np.full(n, 10 + i), np.full(n, 100 + i), n) for i, n in enumerate(lengths)]


def batches(model: Any, n: int = 16) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The same documents in a row each, and packed."""
    train = log_data(n).train
    encoded = model.task.encode(train.inputs, train.targets, model.processor)
    apart, together = (CausalLM((), packing=packing).collate(encoded, range(n), model.processor, train=True)
                       for packing in (False, True))
    return apart, together


def test_documents_are_whole_and_rows_are_full() -> None:
    batch = packed(rows_of(4, 9, 2, 5, 1), 10, fill=7)
    assert batch["input_ids"].tolist() == [[11] * 9 + [14], [13] * 5 + [10] * 4 + [7], [12] * 2 + [7] * 8]
    assert batch["labels"].tolist() == [[101] * 9 + [104], [103] * 5 + [100] * 4 + [HIDDEN],
                                        [102] * 2 + [HIDDEN] * 8]
    assert batch["position_ids"].tolist() == [[*range(9), 0], [*range(5), *range(4), 0], [0, 1, *range(8)]]
    assert batch["bytes"].tolist() == [10, 9, 2]


def test_a_row_is_no_longer_than_what_is_in_it() -> None:
    assert packed(rows_of(3, 2), 100, fill=0)["input_ids"].shape == (1, 5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_a_row_each(family: str, attention: str) -> None:
    model = writer(family, attention=attention)
    found = []
    for batch in batches(model):
        model.net.zero_grad()
        sums = model.task.loss(model.net, batch)
        (sums.total / sums.n).backward()
        found.append((sums.total.item(), sums.n, {k: v.grad.clone() for k, v in model.net.named_parameters()}))
    (loss, n, gradients), (loss_packed, n_packed, packed_gradients) = found
    assert n_packed == n
    assert loss_packed == pytest.approx(loss, rel=1e-4)
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_most_of_the_padding_is_gone() -> None:
    apart, together = batches(writer())
    padding = [1 - (batch["labels"] != HIDDEN).float().mean().item() for batch in (apart, together)]
    assert padding[0] > 0.3
    assert padding[1] < 0.2


def test_a_run_takes_the_same_steps() -> None:
    losses = []
    for packing in (False, True):
        model = writer(packing=packing)
        history = fit(model, log_data(), epochs=2, batch_size=6, lr=1e-3, precision="fp32", progress=False)
        losses.append([row["loss"] for row in history.steps])
        assert evaluate(model, log_data().test)["loss"] < 10
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_the_cache_is_off_and_says_why() -> None:
    session = TrainSession(writer("llama", packing=True), log_data(), "probe", epochs=3, batch_size=6)
    session.run()
    assert [e["note"] for e in session.history.events] == ["feature cache off: packing makes every epoch differ"]


class Forgetful(nn.Module):
    """Reads from left to right, and everything in its row: it knows no positions."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(9, 4), nn.Linear(4, 9)

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: torch.Tensor, position_ids: Any = None, use_cache: bool = False) -> Any:
        class Output:
            logits = self.out(self.words(input_ids).cumsum(1))

        return Output


def test_a_network_that_looks_across_the_border_is_refused() -> None:
    assert keeps_apart(writer().net)
    assert not keeps_apart(Forgetful())

    class Source:
        def transformers(self, name: str) -> nn.Module:
            return Forgetful()

    assert CausalLM(()).build(Source())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="packing=True does not fit Forgetful"):
        CausalLM((), packing=True).build(Source())  # type: ignore[arg-type]


def test_a_learned_prompt_is_refused() -> None:
    model = writer(packing=True)
    with pytest.raises(UserError, match="Leave packing out"):
        fit(model, log_data(), "prompt:n=2", epochs=1, progress=False)
