"""A user's mistake exits with 2 and one clear line, whatever it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factory import tiny_csv, tiny_texts, write_csv

Mistake = Callable[..., str]


def train(data: object, backbone: object, *more: object) -> list[object]:
    return ["train", "--data", data, "--backbone", backbone, "--epochs", 1, *more]


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "named"), [
    (["--strategy", "prob"], ["'prob'", "Did you mean 'probe'", "gradual"]),
    (["--strategy", "last_k:n=2"], ["'n'", "last_k", "Valid: warmup, decay, k"]),
    (["--strategy", "last_k:k=two"], ["k must be a whole number", "'two'"]),
    (["--strategy", "last_k:k=9"], ["k=9", "3 blocks"]),
    (["--strategy", "custom:hed=1"], ["'hed'", "Did you mean 'head'"]),
    (["--strategy", "custom"], ["custom needs at least one group"]),
    (["--strategy", "bn_only"], ["bn_only"]),  # a BERT has no BatchNorm
    (["--task", "text-clasification"], ["'text-clasification'", "Did you mean 'text-classification'"]),
    (["--task", "image-classification"], ["image-classification", "needs image", "text-classification"]),
    (["--text-column", "txt"], ["text column 'txt'", "Did you mean 'text'"]),
    (["--label-column", "labels"], ["label column 'labels'", "Did you mean 'label'"]),
    (["--limit", 100_000_000, "--valid-fraction", "0.6", "--test-fraction", "0.5"], ["nothing to train on"]),
    (["--precision", "fp16"], ["fp16 needs a GPU"]),
    (["--resume"], ["no checkpoint", "resume"]),
    (["--resume", "--out", "new"], ["no checkpoint in new/checkpoint"]),
])
def test_a_wrong_word_for_a_setting(mistake: Mistake, texts: Path, bert: Path, more: list[object],
                                    named: list[str]) -> None:
    mistake(train(texts, bert, *more), *named)


@pytest.mark.parametrize(("backbone", "named"), [
    ("minlm", ["Unknown backbone 'minlm'", "Did you mean 'minilm'"]),
    ("bert-base-uncased", ["not on this machine", "cannot be reached", "minilm"]),
    ("someone/some-model", ["someone/some-model", "cannot be reached"]),
    ("./nowhere", ["There is no folder ./nowhere"]),
    ("resnet18", ["'resnet18' is a backbone for image", "minilm"]),
])
def test_a_backbone_that_cannot_be_had(mistake: Mistake, texts: Path, backbone: str, named: list[str]) -> None:
    mistake(train(texts, backbone), *named)


def test_a_misspelt_backbone_shows_before_data_are_loaded(mistake: Mistake) -> None:
    mistake(train("nowhere.csv", "minlm"), "Did you mean 'minilm'")


# --- data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "named"), [
    ("empty.csv", "", ["empty.csv is empty"]),
    ("header.csv", "text,label\n", ["header.csv", "no rows"]),
    ("one.csv", "text,label\n" + "".join(f"text number {i},same\n" for i in range(30)), ["one label only, 'same'"]),
    ("odd.csv", "text,label\na,b,c,d\n", ["odd.csv line 2", "4 cells"]),
    ("column.csv", "review text here,stuff,thing\n" + "some words in here,1,2\n" * 9, ["label", "--label-column"]),
    ("latin.csv", "text,label\ncaf\xe9,1\n".encode("latin1"), ["latin.csv is not UTF-8", "line 2"]),
    ("broken.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', ["broken.jsonl line 2 is not JSON"]),
    ("broken.parquet", "PAR1 and nothing", ["broken.parquet is not a Parquet file"]),
    ("sheet.xlsx", "PK", ["sheet.xlsx", "CSV UTF-8"]),
])
def test_a_file_that_cannot_be_used(mistake: Mistake, bert: Path, tmp_path: Path, name: str, content: str | bytes,
                                    named: list[str]) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(raw)
    mistake(train(name, bert), *named)


@pytest.mark.parametrize(("name", "named"), [
    ("nowhere.csv", ["nowhere.csv"]),
    ("./no/such/folder", ["no/such/folder"]),
    ("reviws", ["'reviws'", "Did you mean 'reviews'"]),
    ("someone/some-data", ["someone/some-data", "reviews", "digits"]),
])
def test_data_that_are_not_there(mistake: Mistake, bert: Path, name: str, named: list[str]) -> None:
    mistake(train(name, bert), *named)


def test_a_folder_without_classes(mistake: Mistake, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    mistake(train("pictures", bert), "pictures is empty")


def test_a_label_only_in_the_test_file(mistake: Mistake, texts: Path, bert: Path, tmp_path: Path) -> None:
    other = write_csv(tmp_path / "other.csv", [*tiny_texts(10, start=900), ("a strange thing", "mixed")])
    mistake(train(texts, bert, "--test", other), "'mixed' is only in test", "other.csv line 12")


def test_a_test_file_that_is_not_there_or_has_other_columns(mistake: Mistake, texts: Path, bert: Path,
                                                            tmp_path: Path) -> None:
    mistake(train(texts, bert, "--test", "nowhere.csv"), "nowhere.csv")
    write_csv(tmp_path / "other.csv", tiny_texts(10, start=900), ("txt", "label"))
    mistake(train(texts, bert, "--test", "other.csv"), "'text'", "other.csv")


def test_the_same_example_in_train_and_test_is_refused_and_dropped_on_request(
        mistake: Mistake, ftkit: Callable[..., Any], texts: Path, bert: Path, tmp_path: Path) -> None:
    other = tiny_csv(tmp_path / "other.csv", 20, start=55)  # 5 of these are in texts
    mistake(train(texts, bert, "--test", other), "Leak", "5 also in test", "--drop-leaks")
    ran = ftkit(*train(texts, bert, "--test", other, "--drop-leaks", "--json"))
    assert ran.code == 0
    assert any("5 leaks dropped" in warning for warning in ran.result["warnings"])


def test_no_picture_can_be_read(mistake: Mistake, resnet: Path, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        (tmp_path / "pictures" / label / "1.png").write_bytes(b"no picture")
    mistake(train("pictures", resnet), "None of the 2 files", "1.png")


# --- models -----------------------------------------------------------------------------------------------------


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _noise(file: Path) -> None:
    file.write_bytes(os.urandom(4000))


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _noise, _empty])
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_backbone(mistake: Mistake, texts: Path, bert: Path, tmp_path: Path, file: str,
                            damage: Callable[[Path], None]) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bert, broken)
    damage(broken / file)
    mistake(train(texts, broken), "broken")


@pytest.mark.parametrize("damage", [_cut, _noise, _empty])
@pytest.mark.parametrize("file", ["model.safetensors", "ftkit.json", "preprocessor_config.json"])
def test_a_damaged_model_of_ones_own(mistake: Mistake, saved_pictures: Path, pictures: Path, tmp_path: Path, file: str,
                                     damage: Callable[[Path], None]) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(saved_pictures, broken)
    damage(broken / file)
    mistake(["predict", "--model", broken, pictures / "dark" / "1.png"], "broken")


def test_a_folder_that_holds_no_model(mistake: Mistake, texts: Path, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    mistake(train(texts, "nothing"), "nothing holds no model")
    mistake(["predict", "--model", "nothing", "a text"], "nothing holds no model")
    mistake(["predict", "--model", "minilm", "a text"], "There is no folder minilm")
    mistake(["predict", "--model", bert, "a text"], "without a trained head")


def test_a_picture_that_cannot_be_asked_about(mistake: Mistake, saved_pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    mistake(["predict", "--model", saved_pictures, "broken.png"], "Cannot read the image broken.png")
    mistake(["predict", "--model", saved_pictures, "nowhere.png"], "no image file nowhere.png")


def test_resuming_another_run_or_from_a_damaged_checkpoint(mistake: Mistake, texts: Path, bert: Path,
                                                           tmp_path: Path) -> None:
    from ftkit import fit, load_backbone, load_data

    data = load_data(texts)
    out = tmp_path / "out"

    def power_cut(row: dict[str, Any]) -> None:
        if row["epoch"] == 1:  # the first epoch has left a checkpoint
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        fit(load_backbone(bert, data.task), data, "full", epochs=3, out=out, on_epoch=power_cut)
    words = ["train", "--data", texts, "--backbone", bert, "--out", out, "--resume"]
    mistake([*words, "--strategy", "probe"], "another run", "strategy was")
    for file in (out / "checkpoint").iterdir():
        file.write_bytes(b"{")
    mistake(words, "damaged", "without resuming")


# --- the machine ------------------------------------------------------------------------------------------------


def test_a_batch_that_memory_cannot_hold(mistake: Mistake, texts: Path, bert: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.training.memory.memory_available", lambda: 2**20)
    mistake(train(texts, bert, "--batch-size", 4000), "A batch of 4000", "smaller batch")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 GB")])
@pytest.mark.parametrize("place", ["encode", "loss", "forward"])
def test_memory_that_runs_out_anywhere(mistake: Mistake, texts: Path, bert: Path, monkeypatch: pytest.MonkeyPatch,
                                       place: str, error: Exception) -> None:
    from ftkit.tasks import TextClassification

    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(TextClassification, place, full)
    mistake(train(texts, bert), "smaller")


def test_an_out_that_cannot_be_written(mistake: Mistake, texts: Path, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    places = [tmp_path / "file", tmp_path / "file" / "below"]
    if Path("/proc/version").exists():
        places.append(Path("/proc/ftkit"))
    if hasattr(os, "geteuid") and os.geteuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o555)
        places.append(tmp_path / "locked")
    for place in places:
        mistake(train(texts, bert, "--out", place), str(place), "could not be written")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_rate_that_makes_the_loss_explode_names_step_and_cause(ftkit: Callable[..., Any], texts: Path,
                                                                 bert: Path) -> None:
    ran = ftkit("train", "--data", texts, "--backbone", bert, "--lr", "1e30", "--epochs", 3, "--precision", "fp32")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    for word in ("ftkit: The loss became", "in step", "learning rate 1e+30 is too high"):
        assert word in ran.err


def test_an_error_that_nobody_foresaw_is_one_line_too(ftkit: Callable[..., Any], texts: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    import ftkit.commands.train as command

    def broken(*_: object, **__: object) -> None:
        raise KeyError("one\ntwo")

    monkeypatch.setattr(command, "load_backbone", broken)
    ran = ftkit(*train(texts, "minilm"))
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "KeyError" in ran.err
    assert "ftkit doctor" in ran.err
    monkeypatch.setenv("FTKIT_DEBUG", "1")
    assert "Traceback" in ftkit(*train(texts, "minilm")).err
