"""Show code for text generators: the programs do what the panel did."""

from __future__ import annotations

from typing import Any

import pytest
from writers import log_data, writer

from ftkit.widgets.experiment import Experiment


@pytest.mark.parametrize(("family", "strategy", "settings"), [
    ("gpt2", "full", {}), ("gpt2", "last_k:k=1", {}), ("llama", "gradual", {}), ("qwen3", "full", {"accumulate": 2})])
def test_the_programs_do_the_same(family: str, strategy: str, settings: dict[str, Any]) -> None:
    experiment = Experiment(writer(family), log_data(), strategy, epochs=3, batch_size=4, precision="fp32",
                            cache="off", **settings)
    experiment.train()
    losses = [row["loss"] for row in experiment.session.history.steps]
    for kind, source in experiment.code().items():
        names: dict[str, Any] = {"model": writer(family), "data": log_data(), "__name__": "__main__"}
        exec(compile(source, kind, "exec"), names)
        assert names["losses"] == pytest.approx(losses, rel=1e-4, abs=1e-5)
