"""The predictor: what the models say, side by side, and clear words for what they cannot read."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import data_for, texts, tiny
from PIL import Image
from torch import nn

import ftkit as ft
from ftkit.errors import DataError, UserError
from ftkit.training import TrainSession
from ftkit.widgets.answer import Answer
from ftkit.widgets.predictor import Predictor, predictor


@pytest.fixture(scope="module")
def two() -> tuple[ft.Model, ft.Model]:
    """A model before and after fine-tuning."""
    before = tiny("bert")
    after = copy.deepcopy(before)
    ft.fit(after, data_for("text"), "full", epochs=8, lr=1e-3, precision="fp32", progress=False)
    return before, after


def png(size: tuple[int, int] = (40, 30), level: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(file, "PNG")
    return file.getvalue()


def test_rows_are_what_predict_says_of_both_models(two: tuple[ft.Model, ft.Model]) -> None:
    panel = predictor(*two)
    text = texts(1, start=5)[0][0]
    answer = panel.ask(text)
    assert [set(row) for row in answer] == [{"label", "before", "after"}] * 2
    for row in answer:
        for name, model in zip(("before", "after"), two, strict=True):
            assert row[name] == ft.predict(model, text).probabilities[row["label"]]
    assert answer[0]["after"] > 0.5
    best = [max(answer, key=lambda row: row[name]) for name in ("before", "after")]
    assert panel.say == (f"before: {best[0]['label']} {best[0]['before']:.0%}; "
                         f"after: {best[1]['label']} {best[1]['after']:.0%}.")


def test_one_model_has_one_column(two: tuple[ft.Model, ft.Model]) -> None:
    answer = predictor(two[1]).ask("a warm room")
    assert set(answer[0]) == {"label", "probability"}
    assert sum(row["probability"] for row in answer) == pytest.approx(1)


def test_asking_leaves_the_models_as_they_were(two: tuple[ft.Model, ft.Model]) -> None:
    states = [copy.deepcopy(model.net.state_dict()) for model in two]
    predictor(*two).ask("a warm room")
    for model, state in zip(two, states, strict=True):
        assert all((a == b).all() for a, b in zip(model.net.state_dict().values(), state.values(), strict=True))
        assert not any(module.training for module in model.net.modules())


# --- what cannot be read ------------------------------------------------------------------------------------------


def test_a_long_text_is_read_as_far_as_it_goes_and_that_is_said(two: tuple[ft.Model, ft.Model]) -> None:
    answer = predictor(*two).ask("good film " * 300)
    assert answer.notes == ("The model reads the first 64 of 602 tokens.",)
    assert answer.notes[0] in answer.text()
    assert answer.notes[0] in answer.html()
    assert len(answer.shown) < 210


@pytest.mark.parametrize(("text", "said"), [
    ("", "text is empty"), (" \n\t ", "text is empty"), (7, "reads texts, and this is a int"),
    (None, "NoneType"), ("x" * 100_001, "100,001 characters; the panel takes up to 100,000"),
])
def test_texts_that_are_refused(text: Any, said: str, two: tuple[ft.Model, ft.Model]) -> None:
    panel = predictor(*two)
    with pytest.raises(DataError, match=said):
        panel.ask(text)
    assert panel.answer is None


def test_a_file_for_a_model_that_reads_texts(two: tuple[ft.Model, ft.Model]) -> None:
    for name in ("voice.wav", "cat.png", "letter.txt"):
        with pytest.raises(DataError, match=f"{name} is a file, and this model reads texts"):
            predictor(*two).command("upload", name=name, content=png())


@pytest.mark.parametrize(("name", "content", "said"), [
    ("cat.png", b"this is no image", "cat.png cannot be used: not an image"),
    ("cat.png", b"", "cat.png cannot be used: empty"),
    ("cat.png", png()[:60], "cat.png cannot be used"),
    ("voice.wav", b"RIFF", "voice.wav is a sound, and images are wanted here"),
    ("letter.pdf", b"%PDF", "letter.pdf is of no kind.*Known: .jpg.*Save it as JPEG"),
    ("phone.HEIC", b"ftyp", "Save it as JPEG or PNG"),
])
def test_files_that_are_refused_by_name(name: str, content: bytes, said: str) -> None:
    panel = predictor(tiny("resnet"))
    with pytest.raises(DataError, match=said):
        panel.command("upload", name=name, content=content)
    assert panel.answer is None


def test_an_image_as_file_path_picture_and_array_gives_the_same_answer(tmp_path: Path) -> None:
    panel = predictor(tiny("resnet"))
    path = tmp_path / "grey.png"
    path.write_bytes(png())
    answers = [panel.command("upload", name="grey.png", content=png()), panel.ask(path), panel.ask(str(path)),
               panel.ask(Image.open(path)), panel.ask(np.asarray(Image.open(path)))]
    assert len({repr(answer.rows) for answer in answers}) == 1
    assert [answer.shown for answer in answers[:2]] == ["grey.png, 40 × 30 pixels"] * 2
    with pytest.raises(DataError, match="no image file"):
        panel.ask(tmp_path / "none.png")
    with pytest.raises(DataError, match="not list"):
        panel.ask([1, 2])


def test_a_photo_that_lies_on_its_side_is_turned() -> None:
    file = io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = 6  # "turn by 90 degrees", as phones write it
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=tags)
    assert predictor(tiny("resnet")).upload("photo.jpg", file.getvalue()).shown == "photo.jpg, 30 × 40 pixels"


def test_models_that_do_not_go_together() -> None:
    with pytest.raises(UserError, match=r"bad, good \(texts\), the second bad, good \(images\)"):
        predictor(tiny("bert"), tiny("resnet"))
    with pytest.raises(UserError, match="a, b, c"):
        predictor(tiny("bert"), tiny("bert", labels=("a", "b", "c")))
    with pytest.raises(UserError, match="models from load_backbone, not str"):
        predictor("bert-mini")  # type: ignore[arg-type]


# --- a model that is being trained ------------------------------------------------------------------------------------


def test_a_model_in_training_is_not_disturbed() -> None:
    """Asked between two steps the panel declines, and the run is the same."""
    data = data_for("text")

    def losses(asking: bool) -> tuple[list[float], list[str]]:
        model = tiny("bert")
        session, heard = TrainSession(model, data, "full", epochs=2, precision="fp32", batch_size=4), []
        panel = predictor(model)

        def ask(_row: Any) -> None:
            try:
                heard.append(panel.ask("a warm room").shown)
            except UserError as error:
                heard.append(str(error))

        if asking:
            session.on_step = ask
        return [row["loss"] for row in session.run().steps], heard

    plain, _ = losses(False)
    asked, heard = losses(True)
    assert asked == plain
    assert set(heard) == {"The model is being trained. Ask again when its run has ended."}


def test_a_run_that_goes_on_while_the_panel_asks_stays_in_training_mode() -> None:
    """The worst moment: asked while another thread validates, and that is over before the answer is there."""
    model = tiny("bert")
    dropout = next(module for module in model.net.modules() if isinstance(module, nn.Dropout))
    # What the other thread does meanwhile:
    hook = model.net.register_forward_hook(lambda *_: setattr(dropout, "training", True))
    with pytest.raises(UserError, match="is being trained"):
        predictor(model).ask("a warm room")
    assert dropout.training
    hook.remove()


# --- forms --------------------------------------------------------------------------------------------------------


def test_what_a_user_typed_is_never_taken_for_html(two: tuple[ft.Model, ft.Model]) -> None:
    panel = predictor(*two)
    panel.ask("<script>alert('x')</script> & <b>bold</b>")
    everything = "".join(panel.regions().values()) + panel.static_bundle()["text/html"]
    assert "<script>" not in everything
    assert "&lt;script&gt;" in everything


def test_static_forms(two: tuple[ft.Model, ft.Model]) -> None:
    panel = predictor(*two)
    empty = panel.static_bundle()
    assert "nothing was asked yet" in empty["text/plain"]
    assert "image/png" not in empty
    answer = panel.ask("a warm room")
    bundle = panel.static_bundle()
    assert {"text/plain", "text/html", "image/png"} == set(bundle)
    assert bundle["text/html"].count('scope="row"') == 2
    assert "<button" not in bundle["text/html"]
    lines = answer.text().splitlines()
    assert lines[0] == "“a warm room”"
    assert lines[1].split() == ["class", "before", "after"]
    assert lines[2].split() == [answer[0]["label"], f"{answer[0]['before']:.1%}", f"{answer[0]['after']:.1%}"]
    assert answer._repr_mimebundle_()["image/png"]
    assert repr(Predictor(*two)) == repr(Predictor(*two))


def test_many_classes_show_the_likeliest_and_multilabel_names_all_above_one_half() -> None:
    rows = tuple({"label": f"class {i}", "before": 0.3, "after": 0.9 - 0.05 * i} for i in range(17))
    answer = Answer("x", ("before", "after"), rows, multilabel=True)
    assert len(answer.top) == 10
    assert answer.more == "7 more classes, none above 40.0%"
    assert answer.summary.startswith("before: no label above 50 %; after: class 0 90%, class 1 85%,")
    assert answer.picture().png().startswith(b"\x89PNG")


def test_a_picture_is_shown_small() -> None:
    panel = predictor(tiny("resnet"))
    panel.upload("large.png", png((2000, 1500)))
    assert len(panel.regions()["answer"]) < 20_000
    assert '<img src="data:image/jpeg;base64,' in panel.regions()["answer"]
