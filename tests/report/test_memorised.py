"""Memorisation: runs of words, counted by hand; and the rows of the next token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nets import tiny
from writers import writer

from ftkit.errors import UserError
from ftkit.report import memorised, next_tokens
from ftkit.tasks.passages import prompt_ids
from ftkit.training import Written

LOG = ["Wind east, light. The cook sang again.", "Fog all day. Cook silent."]


def test_runs_by_hand() -> None:
    found = memorised("The cook sang all day", LOG, lengths=(1, 2, 3, 6))
    # 1: the cook sang all day, all five; 2: the-cook, cook-sang, (sang-all), all-day; 3: the-cook-sang of three
    assert found.shares == {1: 1.0, 2: 0.75, 3: pytest.approx(1 / 3), 6: None}
    assert (found.longest, found.run, found.source) == (3, "the cook sang", 0)
    assert str(found) == ("copied runs of 1 words 100.0%, 2 words 75.0%, 3 words 33.3%, 6 words -; the longest has 3 "
                          "words: 'the cook sang'")


def test_capitals_and_punctuation_do_not_hide_a_copy() -> None:
    assert memorised("“WIND East — light; the COOK”", LOG).longest == 5


def test_no_run_goes_over_the_end_of_a_text() -> None:
    assert memorised("sang again fog all", LOG).longest == 2
    assert memorised(["sang again", "fog all"], LOG, lengths=(2,)).shares == {2: 1.0}
    assert memorised("winds", ["wind s"]).longest == 0, "words are whole"


def test_nothing_copied() -> None:
    found = memorised("zebras", LOG, lengths=(1,))
    assert (found.shares, found.longest, found.source) == ({1: 0.0}, 0, None)


def test_the_prompt_does_not_count() -> None:
    whole = [Written("Wind east, light. The cook", " sang in a tree", 5, "length")]
    assert memorised(whole, LOG).longest == 1
    assert memorised(whole[0], LOG).longest == 1
    assert memorised(LOG, LOG, lengths=(4,)).shares == {4: 1.0}


def test_the_longest_run_is_the_longest_against_a_slow_search() -> None:
    import random

    rng = random.Random(0)
    texts = [" ".join(rng.choice("abc") for _ in range(60)) for _ in range(6)]
    mine, theirs = texts[:2], texts[2:]
    best = 0
    for text in mine:
        words = text.split()
        for i in range(60):
            for j in range(i + 1, 61):
                if any(" ".join(words[i:j]) in other for other in theirs):
                    best = max(best, j - i)
    found = memorised(mine, theirs)
    assert found.longest == best > 4
    assert found.source is not None
    assert found.run in theirs[found.source]


@pytest.mark.parametrize(("written", "training", "options", "words"), [
    ("", LOG, {}, "no word to look for"), ([], LOG, {}, "no word"), ("a", ["."], {}, "no training text"),
    ("a", LOG, {"lengths": (0,)}, "at least 1"), ("a", LOG, {"lengths": ()}, "at least 1")])
def test_mistakes(written: Any, training: Any, options: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        memorised(written, training, **options)


# --- the next token -------------------------------------------------------------------------------------------------


def test_next_tokens_are_the_networks_own() -> None:
    model = writer()
    found = next_tokens(model, "the cook", n=5, temperature=0.5, top_k=2)
    with torch.no_grad():
        ids = torch.tensor([prompt_ids("the cook", model.processor)])
        before = model.net(ids).logits[0, -1].softmax(-1)
    best = before.argsort(descending=True)[:5]
    assert [row["before"] for row in found.rows] == pytest.approx(before[best].tolist(), abs=1e-6)
    assert sum(row["before"] for row in found.rows) + found.others[0] == pytest.approx(1)
    assert [row["after"] > 0 for row in found.rows] == [True, True, False, False, False]
    assert found.others[1] == 0
    assert (found.drawn_from, found.tokens) == (2, len(model.processor))
    assert not model.net.training


def test_tokens_can_be_read() -> None:
    model = writer()
    with torch.no_grad():
        model.net.transformer.ln_f.weight.zero_()
        model.net.transformer.ln_f.bias.copy_(model.net.lm_head.weight[0] * 50)
    assert next_tokens(model, "", n=1).rows[0]["token"] == "(end)"
    found = {row["token"] for row in next_tokens(writer(), "a", n=len(model.processor)).rows}
    assert {"␣the", "↵"} <= found


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": True}, {"top_p": 3}])
def test_wrong_controls(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        next_tokens(writer(), "a", **wrong)


def test_a_classifier_has_no_next_token() -> None:
    with pytest.raises(UserError, match="text-classification"):
        next_tokens(tiny("bert"), "a")
