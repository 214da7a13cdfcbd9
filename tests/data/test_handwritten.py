"""`logbook`, `stories` and `replies`: written one by one, so nothing in them may look like a template."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import ftkit as ft
from ftkit.bundle import bundled_root
from ftkit.data.unlabelled import UNLABELLED
from ftkit.errors import DataError, UserError


def texts(name: str) -> list[str]:
    data = ft.load_data(name)
    return [text for split in (data.train, data.valid, data.test) for text in split.inputs]


def replies(key: str) -> list[str]:
    data = ft.load_data("replies")
    return [target[key] for split in (data.train, data.valid, data.test) for target in split.targets]


def shared_runs(lines: list[str], length: int) -> Counter[tuple[str, ...]]:
    """Runs of so many words that stand in more than one text, and in how many."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        words = [word.strip(".,;:!?\"'()").lower() for word in line.split()]
        found.update({tuple(words[i : i + length]) for i in range(len(words) - length + 1)})
    return Counter({run: count for run, count in found.items() if count > 1})


def test_sizes() -> None:
    assert len(texts("logbook")) >= 400
    assert len(texts("replies")) >= 300
    for name in UNLABELLED:
        data = ft.load_data(name)
        assert data.task is not None
        assert data.task.name == UNLABELLED[name].tasks[0]
        if name == "stories":
            continue
        assert len(data.train) > 4 * len(data.valid) > 0
        assert len(data.test) >= 30


@pytest.mark.parametrize("lines", [texts("logbook"), texts("replies"), replies("chosen"), replies("rejected"),
                                   texts("stories")], ids=["logbook", "prompts", "chosen", "rejected", "stories"])
def test_no_templates_and_no_near_duplicates(lines: list[str]) -> None:
    assert len(set(lines)) == len(lines)
    repeated = shared_runs(lines, 6)
    assert sum(repeated.values()) < 0.01 * len(lines), repeated.most_common(5)


def test_log_entries_are_short_and_in_one_style() -> None:
    lines = texts("logbook")
    assert all(30 <= len(line.split()) <= 100 for line in lines)
    words = Counter(word.strip(".,;:").lower() for line in lines for word in line.split())
    assert words["i"] < 0.02 * len(lines)  # a log says "mended the topsail", not "I mended it"
    assert all(words[word] > 20 for word in ("wind", "deck", "cook", "captain"))
    assert all(line.isascii() for line in lines)


def test_stories_are_to_be_measured_only_and_are_what_gpt2_mini_has_read() -> None:
    """Half the loss of the logbook, or forgetting could not be told from not knowing. The card says so."""
    data = ft.load_data("stories")
    assert (len(data.train), len(data.valid), len(data.test)) == (0, 0, 16)
    assert all(75 <= len(text.split()) <= 95 for text in data.test.inputs)
    model = ft.load_backbone("gpt2-mini")
    found = {name: ft.evaluate(model, ft.load_data(name).test, precision="fp32") for name in ("stories", "logbook")}
    assert found["stories"]["bits_per_byte"] < 0.6 * found["logbook"]["bits_per_byte"]
    card = (bundled_root() / "stories" / "README.md").read_text(encoding="utf8")
    for name, scores in found.items():
        row = f"{name}{', test split' * (name == 'logbook')} | {scores['loss']:.2f} | {scores['bits_per_byte']:.2f}"
        assert row in card
    with pytest.raises(UserError, match="training split is empty"):
        ft.fit(model, data)


def test_length_does_not_give_the_better_reply_away() -> None:
    """Else a model could learn "shorter is better" and nothing more."""
    chosen, rejected = replies("chosen"), replies("rejected")
    shorter = sum(len(bad.split()) < len(good.split()) for good, bad in zip(chosen, rejected, strict=True))
    assert 0.25 < shorter / len(chosen) < 0.6
    assert all(8 <= len(reply.split()) <= 40 for reply in chosen)
    marks = [sum("!" in reply for reply in side) / len(side) for side in (chosen, rejected)]
    assert abs(marks[0] - marks[1]) < 0.25  # nor does the exclamation mark


def test_flaws_are_spread_evenly() -> None:
    counts = Counter(replies("flaw"))
    assert set(counts) == {"rude", "evasive", "rambling", "boastful", "wrong"}
    assert min(counts.values()) > 0.15 * sum(counts.values())


def test_limit_takes_the_first_and_leaves_the_test_split() -> None:
    few, all_of_them = ft.load_data("logbook", limit=20), ft.load_data("logbook")
    assert few.train.inputs == all_of_them.train.inputs[:20]
    assert few.test.inputs == all_of_them.test.inputs


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match="'logbook' has no classes"):
        ft.load_data("logbook", label="style")
    with pytest.raises(UserError, match="'replies' has no classes"):
        ft.load_data("replies", task="text-classification")


def test_it_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    data = ft.load_data("replies")
    data.describe()
    assert "no classes" in capsys.readouterr().out
    assert "0 labels" not in repr(data)
    assert list(data.train.frame()) == ["input", "chosen", "rejected", "flaw"]
    assert data.train.counts() == {}
    assert len(data.train.take(10)) == 10
    assert data.train.fingerprint() != data.valid.fingerprint()


def test_training_on_it_says_what_is_missing() -> None:
    """There is no head to put on, or none that writes: one clear sentence, from the command line too."""
    from ftkit.cli import main

    assert main(["train", "--data", "replies", "--backbone", "minilm"]) == 2
    assert main(["train", "--data", "logbook", "--backbone", "minilm"]) == 2
    with pytest.raises(DataError, match="no classes"):
        ft.load_data("reviews", test="logbook")


def test_a_missing_file_says_install_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.data.unlabelled.bundled_root", lambda: tmp_path)
    with pytest.raises(DataError, match="Install ftkit again"):
        ft.load_data("logbook")
