"""Forgetting: the tuned body under the old head, and everything put back afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from nets import data_for, tiny

from ftkit.errors import UserError
from ftkit.report import forgetting
from ftkit.training import evaluate, fit


@pytest.mark.parametrize("family", ["bert", "resnet18"])
def test_a_body_that_did_not_change_has_forgotten_nothing(family: str) -> None:
    old, data = tiny(family), data_for("text" if family == "bert" else "image")
    fit(old, data, "full", epochs=2, progress=False)
    tuned = copy.deepcopy(old)
    fit(tuned, data, "probe", epochs=2, lr=0.1, progress=False)  # another head, the same body
    found = forgetting(old, tuned, data.test)
    assert found == {"before": found["before"], "after": found["before"], "lost": 0.0}
    assert found["before"] == evaluate(old, data.test)["accuracy"]


@pytest.mark.parametrize("family", ["bert", "resnet18"])
def test_a_ruined_body_has_and_the_old_model_is_left_as_it_was(family: str) -> None:
    old, data = tiny(family), data_for("text" if family == "bert" else "image", n=100, n_valid=20)
    fit(old, data, "full", epochs=20 if family == "bert" else 8, lr=2e-3, progress=False)
    before = copy.deepcopy(old.net.state_dict())
    tuned = copy.deepcopy(old)
    with torch.no_grad():
        for name, tensor in tuned.net.state_dict().items():
            if tensor.is_floating_point() and "running" not in name:
                tensor.zero_()  # says the same of every example
    found = forgetting(old, tuned, data.test)
    assert found["before"] > 0.7
    assert found["after"] == 0.5
    assert found["lost"] == found["before"] - found["after"]
    assert forgetting(old, tuned, data.test, before=found["before"]) == found
    assert all(torch.equal(tensor, before[name]) for name, tensor in old.net.state_dict().items())


def test_statistics_of_batch_norm_belong_to_the_body() -> None:
    old, data = tiny("resnet18"), data_for("image", n=60, n_valid=20)
    fit(old, data, "full", epochs=8, lr=2e-3, progress=False)
    tuned = copy.deepcopy(old)
    tuned.net.bn1.running_mean.add_(50)
    assert forgetting(old, tuned, data.test)["after"] < evaluate(old, data.test)["accuracy"]


def test_bodies_that_differ_are_refused() -> None:
    with pytest.raises(UserError, match="two models with the same body"):
        forgetting(tiny("bert"), tiny("electra"), data_for("text").test)
