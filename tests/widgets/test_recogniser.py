"""What models hear, compared with what was said; and the predictor, asked about sounds."""

from __future__ import annotations

import base64
import copy
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from nets import tiny
from test_listen import Outline, played, speech

import ftkit as ft
from ftkit.errors import DataError, UserError
from ftkit.tasks.spelling import error_rates
from ftkit.training.inference import Transcription
from ftkit.widgets.difference import Piece, bracketed, differences, errors, marked
from ftkit.widgets.recogniser import heard, recogniser

RATE = 16_000


def wav(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> bytes:
    file = io.BytesIO()
    samples = np.tile(speech(seconds * rate / RATE)[:, None], (1, channels))
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


class Ear:
    """A recogniser that remembers what it was given."""

    def __init__(self, text: str = "the old man") -> None:
        self.text, self.given = text, np.zeros(0)

    def transcribe(self, audio: np.ndarray) -> str:
        self.given = audio
        return self.text


# --- differences --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "heard_", "shown", "wrong"), [
    ("The old man.", "the old man", "the old man", 0),
    ("the old man", "the od man", "the o[-l-]d man", 1),
    ("the old man", "the oldd man", None, 1),
    ("the old man", "the odd man", "the o[-l-][+d+]d man", 1),
    ("walked", "wact", None, 4),
    ("the man", "", "[-the man-]", 7),
    ("it's", "its", "it[-'-]s", 1),
    ("a b", "ab", "a[- -]b", 1),
])
def test_differences_are_the_fewest(said: str, heard_: str, shown: str | None, wrong: int) -> None:
    pieces = differences(said, heard_)
    assert errors(said, heard_)[0] == wrong
    if shown:
        assert bracketed(pieces) == shown
    assert "".join(piece.heard for piece in pieces) == heard_
    assert "".join(piece.said for piece in pieces) == said.lower().rstrip(".")


def test_the_rate_is_that_of_evaluate() -> None:
    for said, text in (("The old man walked slowly.", "the od man wact slooly ofber"), ("yes", "no, not at all")):
        wrong, n = errors(said, text)
        assert wrong / n == pytest.approx(error_rates([text], [said])["cer"])


def test_marks_are_more_than_colour_and_what_was_heard_is_escaped() -> None:
    html = marked([Piece("a", "a"), Piece("b ", "<i>"), Piece("", "c")])
    outline = Outline(html)
    assert [tag for tag, _ in outline.seen] == ["span", "del", "ins", "ins"]
    assert "line-through" in outline.all("del")[0]["style"]
    assert "underline" in outline.all("ins")[0]["style"]
    assert "&lt;i&gt;" in html
    assert "b␣" in html  # a missing space can be seen
    with pytest.raises(UserError, match="up to 1,000"):
        differences("a" * 1001, "a")


# --- whom one may ask ---------------------------------------------------------------------------------------------


def test_models_objects_and_functions_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = speech(0.2)
    assert heard(Ear("one"), audio) == "one"
    assert heard(lambda samples: f" {len(samples)}  samples ", audio) == "3200 samples"
    model = tiny("wav2vec2")
    assert heard(model, audio) == ft.predict(model, audio).label  # a classifier's word
    module = sys.modules["ftkit.widgets.recogniser"]  # as an attribute of its package it is the function
    monkeypatch.setattr(module, "predict", lambda model, samples: Transcription("two words"))
    assert heard(model, audio) == "two words"
    with pytest.raises(UserError, match="function gave int"):
        heard(lambda samples: 7, audio)


def test_models_that_hear_nothing() -> None:
    with pytest.raises(UserError, match="tiny-bert works on text"):
        recogniser(tiny("bert"))
    with pytest.raises(UserError, match="not str"):
        recogniser("wav2vec2")
    with pytest.raises(UserError, match="not int"):
        recogniser(Ear(), 7)


# --- asking -------------------------------------------------------------------------------------------------------


def test_what_is_heard_and_how_wrong_it_is() -> None:
    panel = recogniser(Ear("the od man"), Ear("the old man"))
    answer = panel.ask(speech())
    assert list(answer) == [{"model": "before", "text": "the od man"}, {"model": "after", "text": "the old man"}]
    answer = panel.ask(speech(), "The old man!")
    assert [row["cer"] for row in answer] == [pytest.approx(1 / 11), 0]
    assert panel.say == "before: “the od man”, 9% of the letters wrong. after: “the old man”, 0% of the letters wrong."
    assert "the o[-l-]d man  9% (1 of 11)" in repr(panel)
    assert answer[0] == answer.rows[0]
    assert panel.reference == "The old man!"
    panel.command("refer", text="the od man")
    assert [row["cer"] for row in panel.answer] == [0, pytest.approx(1 / 10)]  # type: ignore[union-attr]
    panel.refer(" ")
    assert "cer" not in panel.answer[0]  # type: ignore[index]


def test_arrays_paths_and_uploads_reach_the_model_at_sixteen_kilohertz(tmp_path: Path) -> None:
    ear = Ear()
    panel = recogniser(ear)
    panel.ask(speech())
    assert ear.given.dtype == np.float32
    assert np.array_equal(ear.given, speech())
    (tmp_path / "a.wav").write_bytes(wav(1.0, 44_100, 2))
    for answer in (panel.ask(tmp_path / "a.wav"), panel.ask(str(tmp_path / "a.wav")),
                   panel.command("upload", name="a.wav", content=wav(1.0, 44_100, 2))):
        assert answer.shown == "a.wav, 1.0 s"
        assert answer.notes == ("Its 2 channels were averaged.",
                                "It was brought from 44,100 to 16,000 samples a second.")
        assert len(ear.given) == pytest.approx(RATE, abs=2)
        assert answer.notes[1] in answer.text()
        assert answer.notes[1] in answer.html()
    assert panel.ask(np.zeros(RATE)).notes == ("It is silent, or nearly: is the microphone switched on?",)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.wav", b"RIFF", r"a\.wav cannot be used"),
    ("a.png", b"x", r"a\.png is an image, and sounds are wanted"),
    ("a.m4a", b"x", r"Known: \.wav.*Save it as WAV"),
    ("a.wav", wav(0.05), r"a\.wav lasts 0\.05 seconds; the panel takes from 0\.1 to 60"),
    ("a.wav", wav(61, 8000), r"lasts 61\.00 seconds"),
])
def test_files_that_are_refused(name: str, content: bytes, said: str) -> None:
    panel = recogniser(Ear())
    with pytest.raises(DataError, match=said):
        panel.upload(name, content)
    assert panel.answer is None
    assert panel.regions()["sound"] == ""


def test_sounds_and_references_that_are_none(tmp_path: Path) -> None:
    panel = recogniser(Ear())
    with pytest.raises(DataError, match="no sound file"):
        panel.ask(tmp_path / "none.wav")
    with pytest.raises(UserError, match=r"array of numbers \(T,\)"):
        panel.ask(np.zeros((2, 100)))
    with pytest.raises(UserError, match="has no letters"):
        panel.ask(speech(), "!?")
    with pytest.raises(UserError, match="as a text, not int"):
        recogniser(Ear(), reference=7)  # type: ignore[arg-type]


def test_a_model_in_training_is_not_asked() -> None:
    model = tiny("wav2vec2")
    model.net.train()
    for panel in (recogniser(model), ft.widgets.predictor(model)):
        with pytest.raises(UserError, match="is being trained"):
            panel.ask(speech())
        assert model.net.training


# --- forms --------------------------------------------------------------------------------------------------------


def test_static_forms_of_the_recogniser() -> None:
    panel = recogniser(Ear("the <od> man"), Ear(), reference="the old man")
    assert "nothing was asked yet" in panel.static_bundle()["text/html"]
    assert "image/png" not in panel.static_bundle()
    panel.ask(speech())
    bundle = panel.static_bundle()
    outline = Outline(bundle["text/html"])
    assert len(outline.all("audio")) == len(outline.all("img")) == 1
    assert outline.all("img")[0]["alt"].startswith("Waveform and spectrogram")
    assert [cell["scope"] for cell in outline.all("th")] == ["col"] * 3 + ["row"] * 2
    assert not outline.all("button")
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert sum(map(len, bundle.values())) < 60_000
    Outline("".join(panel.regions().values()))


def test_a_recording_is_played_in_the_panel_and_not_kept_in_the_notebook() -> None:
    panel = recogniser(Ear())
    panel.upload("recording-1.wav", wav())
    assert len(played(panel.regions()["sound"])) == 1
    static = panel.static_bundle()["text/html"]
    assert "audio" not in static
    assert "not kept in the notebook" in static
    panel.ask(speech())  # what the notebook itself asks about is no secret
    assert len(played(panel.static_bundle()["text/html"])) == 1
    both = ft.widgets.predictor(tiny("wav2vec2"))
    both.upload("recording-1.wav", wav())
    assert "not kept in the notebook" in both.static_bundle()["text/html"]
    both.ask(speech())
    assert len(played(both.static_bundle()["text/html"])) == 1


def test_a_sound_is_not_drawn_anew_when_the_reference_changes() -> None:
    panel = recogniser(Ear())
    panel.ask(speech())
    before = panel.regions()
    panel.refer("the old man")
    after = panel.regions()
    assert before["sound"] == after["sound"]
    assert before["input"] == after["input"]
    assert before["answer"] != after["answer"]


# --- the predictor ------------------------------------------------------------------------------------------------


def test_the_predictor_takes_sounds(tmp_path: Path) -> None:
    before, after = tiny("wav2vec2"), tiny("wav2vec2", seed=3)
    panel = ft.widgets.predictor(before, after)
    answer = panel.ask(speech())
    for row in answer:
        assert row["before"] == ft.predict(before, speech()).probabilities[row["label"]]
        assert row["after"] == ft.predict(after, speech()).probabilities[row["label"]]
    assert answer.shown == "a sound, 1.0 s"
    soundfile.write(tmp_path / "word.wav", speech(), RATE, subtype="FLOAT")
    again = panel.ask(tmp_path / "word.wav")
    assert again.rows == answer.rows
    assert again.shown == "word.wav, 1.0 s"
    assert panel.command("upload", name="word.wav", content=(tmp_path / "word.wav").read_bytes()).rows == answer.rows
    regions = panel.regions()
    assert "ft-recorder" in regions["input"]
    assert len(played(regions["sound"])) == 1
    Outline("".join(regions.values()))


def test_a_model_of_another_rate_gets_its_own() -> None:
    model = copy.copy(tiny("wav2vec2"))
    model.processor = type(model.processor)(rate=8000, kernels=(10, 4, 4), strides=(5, 4, 2))
    panel = ft.widgets.predictor(model)
    answer = panel.upload("a.wav", wav())
    assert answer.notes == ("It was brought from 16,000 to 8,000 samples a second.",)


def test_the_predictor_refuses_what_is_no_sound() -> None:
    panel = ft.widgets.predictor(tiny("wav2vec2"))
    with pytest.raises(DataError, match="is an image, and sounds are wanted"):
        panel.upload("cat.png", b"x")
    with pytest.raises(UserError, match="The sound is NoneType"):
        panel.ask(None)
    model: Any = copy.copy(tiny("wav2vec2"))
    model.task = type(model.task)(labels=())
    with pytest.raises(UserError, match="recogniser"):
        ft.widgets.predictor(model)


def test_public_names() -> None:
    import ftkit.widgets.listen
    import ftkit.widgets.recogniser  # noqa: F401

    for name in ("listen", "recogniser"):
        assert callable(getattr(ft.widgets, name))
        assert name in dir(ft.widgets)
