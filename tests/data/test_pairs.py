"""Pairs of replies: from the bundled set, from tables, and what is no pair."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import ftkit as ft
from ftkit.errors import DataError, UnknownName, UserError
from ftkit.tasks import DPO, IPO, CausalLM, Reward


def rows(n: int = 20) -> list[dict[str, str]]:
    return [{"prompt": f"What of day {i}?", "chosen": f"Fog, {i} times.", "rejected": f"Who cares, {i}."}
            for i in range(n)]


def test_the_bundled_replies_are_for_four_tasks() -> None:
    for name, kind in (("dpo", DPO), ("ipo", IPO), ("reward", Reward)):
        data = ft.load_data("replies", task=name)
        assert isinstance(data.task, kind)
        assert set(data.train.targets[0]) == {"chosen", "rejected", "flaw"}
    pairs, plain = ft.load_data("replies"), ft.load_data("replies", task="causal-lm")
    assert isinstance(pairs.task, DPO)
    assert isinstance(plain.task, CausalLM)
    assert plain.train.inputs == pairs.train.inputs
    assert plain.train.targets == [target["chosen"] for target in pairs.train.targets]
    assert all(prompt.endswith("\n") for prompt in pairs.train.inputs)
    with pytest.raises(UserError, match="for dpo, ipo, reward, causal-lm, not for ctc"):
        ft.load_data("replies", task="ctc")
    with pytest.raises(UnknownName, match="Did you mean 'reward'"):
        ft.load_data("replies", task="rewards")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_tables_of_pairs(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"mine.{suffix}"
    bad = [{"prompt": "Same?", "chosen": "Yes.", "rejected": " Yes. "},
           {"prompt": "None?", "chosen": "", "rejected": "x"}]
    if suffix == "csv":
        pd.DataFrame(rows() + bad).to_csv(file, index=False)
    else:
        file.write_text("\n".join(map(json.dumps, rows() + bad)), encoding="utf8")
    data = ft.load_data(file, task="dpo")
    assert isinstance(data.task, DPO)
    assert (len(data.train), len(data.valid), len(data.test)) == (14, 3, 3)
    prompt, target = data.train[0]
    assert prompt.startswith("What of day")
    assert prompt.endswith("?\n")
    assert set(target) == {"chosen", "rejected"}
    assert [reason for _, reason in data.report.dropped] == ["both replies are the same", "no text in 'chosen'"]
    same = ft.load_data(file, task="causal-lm")  # the supervised step before it: the same prompts, one reply
    assert isinstance(same.task, CausalLM)
    assert {(p, t) for p, t in same.train if p == prompt} <= {(prompt, target["chosen"])}
    assert isinstance(ft.load_data(file, task="reward").task, Reward)


def test_replies_to_one_prompt_stay_in_one_split(tmp_path: Path) -> None:
    """Three pairs for each of 20 prompts: a test of prompts that were trained on would say too much."""
    table = pd.DataFrame(rows()).loc[lambda rows: rows.index.repeat(3)].reset_index(drop=True)
    table["chosen"] += [f" Take {i}." for i in table.index]
    table["prompt"] += ["", " ", ""] * 20  # a space makes no other prompt
    table.to_csv(tmp_path / "pairs.csv", index=False)
    data = ft.load_data(tmp_path / "pairs.csv", task="dpo", valid_fraction=0.2, test_fraction=0.2)
    prompts = [{prompt.strip() for prompt in split.inputs} for split in (data.train, data.valid, data.test)]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 20
    assert [len(split) for split in (data.train, data.valid, data.test)] == [36, 12, 12]


def test_splits_limits_and_another_test_file(tmp_path: Path) -> None:
    table = pd.DataFrame(rows(30)).assign(split=["train"] * 20 + ["valid"] * 5 + ["test"] * 5)
    data = ft.load_data(table, task="ipo", limit=8)
    assert (len(data.train), len(data.valid), len(data.test)) == (8, 5, 5)
    other = tmp_path / "more.csv"
    pd.DataFrame([{**row, "prompt": f"And {row['prompt']}"} for row in rows(6)]).to_csv(other, index=False)
    assert len(ft.load_data(table, task="dpo", test=other).test) == 6
    named = table.rename(columns={"prompt": "question"})
    assert ft.load_data(named, task="dpo", text="question").train.inputs == data.train.inputs or len(data.train) == 8


def test_a_prompt_with_a_space_of_its_own_stays_as_it_is() -> None:
    table = pd.DataFrame([{**row, "prompt": f"{row['prompt']} "} for row in rows()])
    assert all(prompt.endswith("? ") for prompt in ft.load_data(table, task="dpo").train.inputs)


def test_what_is_missing_is_named() -> None:
    table = pd.DataFrame(rows()).drop(columns="rejected")
    with pytest.raises(UnknownName, match="Preferences need the columns prompt, chosen, rejected"):
        ft.load_data(table, task="dpo")
    with pytest.raises(DataError, match="means nothing for pairs"):
        ft.load_data(pd.DataFrame(rows()), task="dpo", label="chosen")
    with pytest.raises(DataError, match="Leak"):
        ft.load_data({"train": pd.DataFrame(rows()), "test": pd.DataFrame(rows(3))}, task="dpo")
