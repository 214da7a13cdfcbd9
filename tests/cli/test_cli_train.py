"""`ftkit train` when all is well."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factory import tiny_csv, tiny_texts, write_csv

from ftkit.training import TrainSession

Run = Callable[..., Any]


def test_the_last_line_is_the_result_as_json(ftkit: Run, texts: Path, bert: Path, tmp_path: Path) -> None:
    ran = ftkit("train", "--data", texts, "--backbone", bert, "--epochs", 2, "--strategy", "last_k:k=1", "--json",
                "--precision", "fp32", "--lr", "1e-3", "--batch-size", 8, "--out", "model")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1, "with --json everything else goes to stderr"
    found = ran.result
    assert found["task"] == "text-classification"
    assert 0 <= found["metrics"]["accuracy"] <= 1
    assert {"f1_macro", "balanced_accuracy", "loss"} <= found["metrics"].keys()
    assert len(found["epoch_seconds"]) == 2
    assert found["train_seconds"] == pytest.approx(sum(found["epoch_seconds"]))
    assert 0 < found["trainable_parameters"] < found["total_parameters"]
    assert found["peak_memory_mb"] > 50
    assert found["examples"] == {"train": 42, "valid": 9, "test": 9}
    assert found["cached_groups"] == 3
    assert (found["status"], found["precision"], found["out"], found["processes"]) == ("finished", "fp32", "model", 1)
    history = json.loads((tmp_path / "model" / "history.json").read_text())
    assert [row["seconds"] for row in history["epochs"]] == found["epoch_seconds"]
    assert not (tmp_path / "model" / "checkpoint").exists()


def test_without_json_a_reader_sees_data_plan_epochs_and_scores(ftkit: Run, texts: Path, bert: Path) -> None:
    ran = ftkit("train", "--data", texts, "--backbone", bert, "--epochs", 2)
    assert ran.code == 0
    for word in ("60 examples", "bad 50.0 %", "stem > block 0", "train loss", "    2  ", "accuracy",
                 "balanced_accuracy", "9 examples", "Not saved: add --out"):
        assert word in ran.out, word


def test_the_saved_folder_opens_in_transformers_and_in_ftkit(ftkit: Run, saved: Path) -> None:
    from transformers import pipeline

    text = "the film was lovely"
    answer = ftkit("predict", "--model", saved, "--json", text).result[0]
    theirs = pipeline("text-classification", model=str(saved))(text)[0]
    assert answer["label"] == theirs["label"]
    assert answer["probability"] == pytest.approx(theirs["score"], abs=0.02)  # ours may be in bf16


def test_adapters_are_saved_alone_or_merged_and_both_answer_alike(ftkit: Run, texts: Path, bert: Path) -> None:
    wanted = ["train", "--data", texts, "--backbone", bert, "--epochs", 1, "--strategy", "lora:r=2,alpha=32", "--lr",
              "1e-2", "--precision", "fp32"]
    assert "Saved in small (the adapters and the head alone). Try" in ftkit(*wanted, "--out", "small").out
    found = ftkit(*wanted, "--out", "whole", "--merge", "--json").result
    assert found["trainable_parameters"] < 0.3 * found["total_parameters"]
    assert found["strategy"] == "lora:r=2,alpha=32"
    answers = [ftkit("predict", "--model", folder, "--json", "the film was lovely").result[0]
               for folder in ("small", "whole")]
    assert answers[0]["label"] == answers[1]["label"]
    assert answers[0]["probability"] == pytest.approx(answers[1]["probability"], abs=0.02)  # predict may use bf16
    ran = ftkit("train", "--data", texts, "--backbone", bert, "--strategy", "prompt:n=2", "--merge", "--out", "x")
    assert (ran.code, "cannot be merged" in ran.err) == (2, True)


def test_test_takes_another_file(ftkit: Run, texts: Path, bert: Path, tmp_path: Path) -> None:
    other = tiny_csv(tmp_path / "other.csv", 20, start=500)
    found = ftkit("train", "--data", texts, "--backbone", bert, "--test", other, "--epochs", 1, "--json").result
    assert found["examples"] == {"train": 51, "valid": 9, "test": 20}


def test_columns_and_fractions_can_be_named(ftkit: Run, bert: Path, tmp_path: Path) -> None:
    rows = [(label, text, i % 5, "z" * (i % 3 + 1)) for i, (text, label) in enumerate(tiny_texts(60))]
    data = write_csv(tmp_path / "odd.csv", rows, ("what", "said", "label", "other"))
    found = ftkit("train", "--data", data, "--backbone", bert, "--text-column", "said", "--label-column", "what",
                  "--epochs", 1, "--valid-fraction", "0.2", "--test-fraction", "0.3", "--json").result
    assert found["labels"] == ["bad", "good"]
    assert found["examples"] == {"train": 30, "valid": 12, "test": 18}


def test_from_scratch_uses_no_pretrained_weights(ftkit: Run, texts: Path, bert: Path) -> None:
    both = [ftkit("train", "--data", texts, "--backbone", bert, "--epochs", 1, "--json", *more).result
            for more in ([], ["--from-scratch"])]
    assert both[0]["origin"].startswith("pretrained")
    assert both[1]["origin"] == "from scratch, random weights"
    assert both[0]["metrics"]["loss"] != both[1]["metrics"]["loss"]


def test_fit_gets_every_setting(ftkit: Run, texts: Path, bert: Path, tmp_path: Path) -> None:
    ftkit("train", "--data", texts, "--backbone", bert, "--epochs", 4, "--lr", "1e-9", "--batch-size", 7, "--seed", 3,
          "--cache", "off", "--accumulate", 2, "--patience", 1, "--class-weights", "balanced", "--limit", 30,
          "--strategy", "probe:decay=cosine", "--out", "m")
    history = json.loads((tmp_path / "m" / "history.json").read_text())
    config = history["config"]
    assert {key: config[key] for key in ("epochs", "lr", "batch_size", "seed", "cache", "accumulate", "patience",
                                         "class_weights")} == {
        "epochs": 4, "lr": 1e-9, "batch_size": 7, "seed": 3, "cache": "off", "accumulate": 2, "patience": 1,
        "class_weights": "balanced"}
    assert "cosine" in config["strategy"]
    assert history["status"] == "early stop", "at such a rate nothing gets better"
    assert sum(row["examples"] for row in history["steps"] if row["epoch"] == 0) == 30


def test_pictures_are_trained_on_at_the_size_asked_for(ftkit: Run, pictures: Path, resnet: Path) -> None:
    ran = ftkit("train", "--data", pictures, "--backbone", resnet, "--epochs", 2, "--image-size", 16, "--augment",
                "shift", "--json")
    assert ran.code == 0
    assert ran.result["task"] == "image-classification"
    assert ran.result["examples"] == {"train": 16, "valid": 4, "test": 4}


def test_broken_pictures_are_passed_over_and_named(ftkit: Run, pictures: Path, resnet: Path, tmp_path: Path) -> None:
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(pictures, mine)
    (mine / "dark" / "1.png").write_bytes(b"no picture")
    ran = ftkit("train", "--data", mine, "--backbone", resnet, "--epochs", 1)
    assert ran.code == 0
    assert "1 broken file skipped: dark/1.png" in ran.out


def test_ctrl_c_leaves_a_checkpoint_and_resume_gives_the_same_losses(
        ftkit: Run, texts: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", "--data", texts, "--backbone", bert, "--epochs", 2, "--precision", "fp32", "--batch-size", 8]
    assert ftkit(*words, "--out", "whole").code == 0
    step = TrainSession.step

    def interrupted(session: TrainSession) -> dict[str, Any]:
        row = step(session)
        if session.step_count == 8:  # in the middle of epoch 2
            signal.raise_signal(signal.SIGINT)
        return row

    with monkeypatch.context() as patched:
        patched.setattr(TrainSession, "step", interrupted)
        ran = ftkit(*words, "--out", "parts")
    assert ran.code == 130
    assert "Interrupted after step 8 of 12" in ran.err
    assert "--resume" in ran.err
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    assert ftkit(*words, "--out", "parts", "--resume").code == 0
    whole, parts = (json.loads((tmp_path / name / "history.json").read_text()) for name in ("whole", "parts"))
    assert [row["loss"] for row in parts["steps"]] == pytest.approx([row["loss"] for row in whole["steps"]], abs=1e-6)


def test_ctrl_c_while_loading_is_one_word(ftkit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import ftkit.commands.train as command

    def impatient(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load_data", impatient)
    ran = ftkit("train", "--data", "x.csv", "--backbone", "minilm")
    assert (ran.code, ran.err) == (130, "ftkit: Interrupted.\n")
