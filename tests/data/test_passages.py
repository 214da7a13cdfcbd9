"""Texts without classes: files, folders, tables, prompts with completions, chats. And what is none of these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from factory import write_csv

import ftkit as ft
from ftkit.data import Data
from ftkit.errors import DataError, UnknownName
from ftkit.tasks import CausalLM


def load(source: Any, **options: Any) -> Data:
    return ft.load_data(source, task="causal-lm", **options)


def every(data: Data) -> list[Any]:
    return [item for split in (data.train, data.valid, data.test) for item in split.inputs]


def chat(i: int, **other: Any) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What of day {i}?"}, {"role": "assistant", "content": f"Fog, {i} times."}]


def lines(n: int = 20) -> list[str]:
    return [f"Day {i}. Wind east, {i} knots." for i in range(n)]


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_text_file_has_a_document_in_each_paragraph(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("\ufeff" + "\n\n".join(lines()) + "\n \n\nThe last\nof them.\n", encoding="utf8")
    data = load(file)
    assert sorted(every(data)) == sorted([*lines(), "The last of them."])
    assert isinstance(data.task, CausalLM)
    assert set(data.train.targets) == {None}
    assert "log.txt: one document for each of 21 paragraphs" in data.report.notes
    assert "at random, seed 0" in str(data.report)
    assert repr(data).startswith("Data 'log': causal-lm, texts\n")


def test_a_folder_has_a_document_in_each_file(tmp_path: Path) -> None:
    for i, text in enumerate(lines()):
        (tmp_path / f"{i}.txt").write_text(f"{text}\n\nMore of it.\n", encoding="utf8")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "notes.md").write_text("x")
    data = load(tmp_path)
    assert len(every(data)) == 20
    assert "Day 3. Wind east, 3 knots.\n\nMore of it." in every(data)
    assert data.report.dropped == [("empty.txt", "empty")]
    assert any("1 file passed over, no .txt: notes.md" in note for note in data.report.notes)


def test_folders_of_splits_are_honoured(tmp_path: Path) -> None:
    for split, texts in (("train", lines(6)), ("validation", lines(20)[6:9]), ("test", lines(20)[9:12])):
        (tmp_path / split).mkdir()
        for i, text in enumerate(texts):
            (tmp_path / split / f"{i}.txt").write_text(text)
    data = load(tmp_path)
    assert (data.train.inputs, data.test.inputs) == (lines(6), lines(20)[9:12])
    for file in (tmp_path / "train").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="texts for test, valid but none for train"):
        load(tmp_path)


def test_without_the_task_a_text_file_is_pointed_to_it(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("Fog.")
    with pytest.raises(DataError, match="pass task='causal-lm'"):
        ft.load_data(tmp_path / "log.txt")
    with pytest.raises(DataError, match="has no columns"):
        load(tmp_path / "log.txt", text="text")
    (tmp_path / "log.txt").write_bytes(b"Fog \xff")
    with pytest.raises(DataError, match="not UTF-8"):
        load(tmp_path / "log.txt")


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_column_of_texts_is_enough(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "log.csv", [(i, text) for i, text in enumerate(lines())], ("number", "text"))
    data = load(file)
    assert sorted(every(data)) == sorted(lines())
    assert data.train.labels == ()
    assert any("texts from column 'text'; there are no classes" in note for note in data.report.notes)
    assert data.train.frame().columns.tolist() == ["input"]


def test_classes_are_left_aside() -> None:
    data = load("reviews", limit=20)
    assert len(data.train) == 20
    assert set(data.train.targets) == {None}


def test_the_bundled_logbook_can_be_asked_for_by_its_task() -> None:
    assert load("logbook").train.inputs == ft.load_data("logbook").train.inputs
    with pytest.raises(DataError, match="it is for causal-lm"):
        ft.load_data("logbook", task="text-classification")


def test_prompts_and_completions() -> None:
    table = pd.DataFrame({"instruction": [f"Weather on day {i}?" for i in range(20)], "output": lines()})
    table.loc[3, "output"] = " "
    data = load(table)
    assert len(every(data)) == 19
    prompt, completion = data.train[0]
    assert prompt.replace("Weather on day ", "").rstrip("?") in completion
    assert data.report.dropped == [("table row 3", "no 'output'")]
    named = load(table.rename(columns={"instruction": "a", "output": "b"}), text="a", label="b")
    assert named.train.targets == data.train.targets


def test_one_prompt_may_have_two_completions_but_not_the_same_one_in_two_splits() -> None:
    table = pd.DataFrame({"prompt": ["Say."] * 20, "completion": lines()})
    data = load(table)
    assert data.report.duplicates == {"all": 0}
    assert not data.report.warnings
    split = pd.DataFrame({"prompt": "Say.", "completion": ["a", "b", "a", "c", "d", "e"],
                          "split": ["train", "train", "valid", "valid", "test", "test"]})
    with pytest.raises(DataError, match="Leak"):
        load(split)


@pytest.mark.parametrize("name", ["messages", "conversations"])
def test_chats(tmp_path: Path, name: str) -> None:
    rows = [json.dumps({name: chat(i)}) for i in range(20)]
    (tmp_path / "chats.jsonl").write_text("\n".join(rows))
    data = load(tmp_path / "chats.jsonl")
    assert chat(4) in every(data)
    assert data.train.fingerprint() != data.valid.fingerprint()
    assert data.report.lengths["min"] > 5


def test_chats_as_sharegpt_writes_them_and_in_csv(tmp_path: Path) -> None:
    theirs = [[{"from": "human", "value": "Day?"}, {"from": "gpt", "value": f"{i}"}] for i in range(8)]
    data = load(pd.DataFrame({"conversations": theirs}))
    assert [{"role": "user", "content": "Day?"}, {"role": "assistant", "content": "5"}] in every(data)
    file = write_csv(tmp_path / "c.csv", [(json.dumps(chat(i)),) for i in range(8)], ("messages",))
    assert chat(2) in every(load(file))


@pytest.mark.parametrize(("cell", "words"), [
    ("fog", "row 0: not a chat"), ([{"role": "user", "content": "a"}], "row 0: the assistant says nothing"),
    ([{"role": "cook", "content": "a"}], "row 0: A message of a chat is"), (["fog"], "not 'fog'")])
def test_what_is_no_chat(cell: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(pd.DataFrame({"messages": [cell, *map(chat, range(9))]}))


def test_columns_that_are_not_there() -> None:
    table = pd.DataFrame({"prompt": lines(), "completion": lines()})
    with pytest.raises(UnknownName, match="Did you mean 'completion'"):
        load(table, text="prompt", label="completions")
    with pytest.raises(DataError, match="name the prompts too"):
        load(table, label="completion")
    with pytest.raises(DataError, match="Which column of table is the text"):
        load(pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}))
    with pytest.raises(DataError, match="holds a list, not a text"):
        load(pd.DataFrame({"text": ["Fog.", lines()]}))


def test_pictures_are_no_texts(write_images: Any) -> None:
    with pytest.raises(DataError, match=r"needs text, but .* holds image"):
        load(write_images("root", {"a": 6, "b": 6}))


def test_too_few() -> None:
    with pytest.raises(DataError, match="each split needs at least 2"):
        load(pd.DataFrame({"text": ["One line of text.", "Another line of it."]}))
    own = ["A test text of its own.", "And one more."]
    data = load(pd.DataFrame({"text": lines()}), test=pd.DataFrame({"text": own}))
    assert data.test.inputs == own
    assert len(load(pd.DataFrame({"text": lines()}), limit=5).train) == 5
