"""The errors: each names the value, what is valid, and the nearest match."""

from __future__ import annotations

import pytest

from ftkit.errors import (
    DataError,
    DiskError,
    FtkitError,
    MemoryLimit,
    TrainingDiverged,
    UnknownName,
    UserError,
    WeightsError,
    check_name,
    nearest,
)


def test_unknown_name_says_value_options_and_nearest() -> None:
    error = UnknownName("strategy", "graduel", ["probe", "gradual"], "See lesson 01.")
    assert str(error) == ("Unknown strategy 'graduel'. Did you mean 'gradual'? Valid: probe, gradual. See lesson 01.")
    assert (error.kind, error.name, error.options, error.match) == ("strategy", "graduel", ["probe", "gradual"],
                                                                    "gradual")


def test_unknown_name_without_a_near_one_makes_no_guess() -> None:
    text = str(UnknownName("column", "zzz", ["text", "label"]))
    assert "Did you mean" not in text
    assert "Valid: text, label." in text


def test_unknown_name_with_no_options_at_all() -> None:
    assert "Valid: none." in str(UnknownName("column", "text", []))


@pytest.mark.parametrize(("name", "expected"), [("Minilm", "minilm"), ("MINILM", "minilm"), ("resnet81", "resnet18"),
                                                ("qqq", None), ("", None)])
def test_nearest(name: str, expected: str | None) -> None:
    assert nearest(name, ["minilm", "resnet18", "gpt2"]) == expected


def test_nearest_gives_the_name_as_it_is_written() -> None:
    assert nearest("textclassification", ["Text-Classification"]) == "Text-Classification"


def test_check_name_returns_the_name_or_raises() -> None:
    assert check_name("decay", "linear", ("linear", "cosine")) == "linear"
    with pytest.raises(UnknownName, match="Did you mean 'cosine'"):
        check_name("decay", "cosin", iter(("linear", "cosine")))  # an iterator is read once only


@pytest.mark.parametrize("kind", [DataError, WeightsError, MemoryLimit, DiskError, UnknownName])
def test_mistakes_of_a_user_are_user_errors_and_value_errors(kind: type[Exception]) -> None:
    assert issubclass(kind, UserError)
    assert issubclass(kind, ValueError)


def test_divergence_is_no_user_error() -> None:
    assert issubclass(TrainingDiverged, FtkitError)
    assert issubclass(TrainingDiverged, ArithmeticError)
    assert not issubclass(TrainingDiverged, UserError)
