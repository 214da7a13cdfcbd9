"""evaluate and predict: one input or many, one label or several, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from nets import Split, data_for, pictures, texts, tiny
from PIL import Image

from ftkit.errors import DataError, UnknownName, UserError
from ftkit.training import Prediction, evaluate, predict


def test_evaluate_reads_like_a_dict_of_scores() -> None:
    model, data = tiny("bert"), data_for("text", n_valid=20)
    found = evaluate(model, data.test, precision="fp32")
    assert set(found) == {"accuracy", "balanced_accuracy", "f1_macro", "loss"}
    assert dict(found) == found.metrics
    assert len(found) == 4
    assert found.probabilities.shape == (20, 2)
    assert found.probabilities.sum(1) == pytest.approx(np.ones(20), abs=1e-5)
    assert found.losses.shape == (20,)
    assert found["loss"] == pytest.approx(found.losses.mean())
    assert found["accuracy"] == pytest.approx((found.probabilities.argmax(1) == found.targets).mean())
    chosen = found.probabilities[np.arange(20), found.targets]
    assert found.losses == pytest.approx(-np.log(chosen), abs=1e-4)
    assert list(found.inputs) == data.test.inputs  # in the order of the split, though the longest come first inside
    assert found.labels == ("bad", "good")
    assert repr(found).startswith("Evaluation(accuracy ")


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    model, data = tiny("gpt2"), data_for("text", longest=40)
    one = evaluate(model, data.test, precision="fp32", batch_size=64)
    assert evaluate(model, data.test, precision="fp32", batch_size=batch_size).probabilities == pytest.approx(
        one.probabilities, abs=1e-5)


def test_evaluating_changes_nothing() -> None:
    model, data = tiny("resnet18"), data_for("image")
    model.net.train()
    model.net.layer1.eval()
    modes = [module.training for module in model.net.modules()]
    before = {name: t.clone() for name, t in model.net.state_dict().items()}
    evaluate(model, data.test)
    assert modes == [module.training for module in model.net.modules()]
    assert all(torch.equal(t, before[name]) for name, t in model.net.state_dict().items())
    assert all(p.grad is None for p in model.net.parameters())


def test_evaluate_refuses_what_is_no_split() -> None:
    model, data = tiny("bert"), data_for("text")
    with pytest.raises(DataError, match=r"evaluate needs one split, not Data\. Did you mean data\.test"):
        evaluate(model, data)
    with pytest.raises(DataError, match="needs one split, not list"):
        evaluate(model, data.test.inputs)
    with pytest.raises(DataError, match="The split 'test' is empty"):
        evaluate(model, Split("test", [], []))
    with pytest.raises(DataError, match="The model knows the labels bad, good; the split 'test' has a, b"):
        evaluate(model, Split("test", *texts(4), ("a", "b")))
    with pytest.raises(UnknownName, match="Did you mean 'fp32'"):
        evaluate(model, data.test, precision="fp23")


def test_evaluate_on_some_classes_only() -> None:
    """A test split need not have every class: the scores are over those that it has."""
    model, data = tiny("bert"), data_for("text", n_valid=8)
    data.test.targets = [1] * 8
    found = evaluate(model, data.test)
    assert found["balanced_accuracy"] == found["accuracy"]


# --- predict --------------------------------------------------------------------------------------------------------


def test_one_text_one_prediction() -> None:
    model = tiny("bert")
    answer = predict(model, "a great film", precision="fp32")
    assert isinstance(answer, Prediction)
    assert answer.label in ("bad", "good")
    assert answer.probability == max(answer.probabilities.values())
    assert answer.probabilities[answer.label] == answer.probability
    assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", [list, tuple, pd.Series], ids=lambda kind: kind.__name__)
def test_many_texts_in_their_order(kind: type) -> None:
    model = tiny("bert")
    inputs, _ = texts(9, longest=30)
    answers = predict(model, kind(inputs), precision="fp32")
    assert len(answers) == 9
    for text, answer in zip(inputs, answers, strict=True):
        assert answer.probability == pytest.approx(predict(model, text, precision="fp32").probability, abs=1e-5)
    assert predict(model, kind([inputs[0]]))[0].label in ("bad", "good")  # a list of one gives a list of one


def test_an_array_of_texts_is_many_texts() -> None:
    assert len(predict(tiny("bert"), np.array(["a film", "a great film"]))) == 2


def test_no_texts_no_predictions() -> None:
    assert predict(tiny("bert"), []) == []


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_an_empty_text_is_no_error(family: str) -> None:
    assert predict(tiny(family), "").probability > 0


def test_several_labels() -> None:
    model = tiny("bert", multilabel=True, labels=("bad", "good", "odd"))
    with torch.no_grad():
        model.net.classifier.weight.zero_()
        model.net.classifier.bias.copy_(torch.tensor([3.0, -3.0, 1.0]))
    answer = predict(model, "a film", precision="fp32")
    assert answer.label == "bad, odd"
    assert answer.probability == pytest.approx(torch.tensor(3.0).sigmoid().item())
    assert sum(answer.probabilities.values()) > 1
    with torch.no_grad():
        model.net.classifier.bias.fill_(-3.0)
    assert predict(model, "a film").label == ""  # none of them is an answer too
    found = evaluate(model, Split("test", ["a", "b"], [[0, 0, 0], [1, 0, 0]], ("bad", "good", "odd")))
    assert set(found) == {"accuracy", "f1_micro", "f1_macro", "loss"}
    assert found["accuracy"] == 0.5


def test_pictures_in_every_form(tmp_path: Path) -> None:
    model = tiny("vit")
    array = pictures(1)[0][0]
    Image.fromarray(array).save(tmp_path / "a.png")
    forms = [array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png")]
    answers = [predict(model, form, precision="fp32") for form in forms]
    assert len({round(answer.probability, 6) for answer in answers}) == 1
    many = predict(model, forms, precision="fp32")
    assert [a.label for a in many] == [answers[0].label] * 4


def test_a_stack_of_pictures_is_many_pictures() -> None:
    assert len(predict(tiny("vit"), np.stack(pictures(3)[0]))) == 3
    assert isinstance(predict(tiny("vit"), np.zeros((8, 8), np.uint8)), Prediction)  # grey


def test_mistakes_in_inputs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A text must be a string, not int: 3"):
        predict(tiny("bert"), ["a film", 3])
    with pytest.raises(DataError, match="A text must be a string, not NoneType"):
        predict(tiny("bert"), None)
    with pytest.raises(DataError, match=r"Cannot read the image .*missing\.png"):
        predict(tiny("vit"), tmp_path / "missing.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(DataError, match=r"Cannot read the image .*broken\.png"):
        predict(tiny("vit"), str(tmp_path / "broken.png"))
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        predict(tiny("bert"), "a", precision="fp16")


def test_the_network_is_in_eval_mode_while_predicting() -> None:
    model = tiny("bert")
    model.net.train()  # dropout would make each answer another one
    first, second = (predict(model, "a great film").probability for _ in range(2))
    assert first == second
    assert model.net.training
