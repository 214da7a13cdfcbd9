"""Examples of one's own: what is stored is what fit trains on, and it survives a restart."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from nets import tiny
from PIL import Image

import ftkit as ft
from ftkit.errors import DataError, DiskError, UnknownName, UserError
from ftkit.widgets.label import Labeller, label
from ftkit.widgets.sound_view import SoundView


def png(seed: int, level: int = 128, size: tuple[int, int] = (32, 32)) -> bytes:
    noise = np.random.default_rng(seed).normal(level, 20, (*size, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def wav(seed: int, seconds: float = 0.1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(seed).normal(0, 0.1, int(16_000 * seconds)), 16_000, format="WAV")
    return file.getvalue()


def filled(folder: Path, each: int = 6) -> Labeller:
    panel = label(folder, ["dark", "light"])
    for name, level in (("dark", 60), ("light", 190)):
        panel.choose(name)
        for seed in range(each):
            panel.upload(f"{name} {seed}.png", png(seed, level))
    return panel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


# --- a data set comes out -----------------------------------------------------------------------------------------


def test_images_become_a_data_set_that_fit_trains_on(folder: Path) -> None:
    panel = filled(folder)
    assert panel.counts == {"dark": 6, "light": 6}
    data = panel.data()
    assert data.task is not None
    assert data.task.name == "image-classification"
    assert data.train.labels == ("dark", "light")
    assert len(data.train) + len(data.valid) + len(data.test) == 12
    model = tiny("resnet", labels=("dark", "light"))
    history = ft.fit(model, data, "probe", epochs=1, progress=False, precision="fp32")
    assert history.status == "finished"
    assert panel.data(seed=0).train.fingerprint() == data.train.fingerprint()


def test_it_survives_a_restart(folder: Path) -> None:
    before = filled(folder, 3)
    again = label(folder)
    assert repr(again) == repr(before)
    assert again.chosen == "dark"
    again.add_label("grey")  # a class without examples, too
    assert "grey" in label(folder).counts
    assert label(folder, ["grey", "new"]).counts == {"dark": 3, "grey": 0, "light": 3, "new": 0}


def test_texts_become_a_table(folder: Path) -> None:
    panel = label(folder, ["good", "bad"], kind="text")
    panel.add_text("good", *(f'a "kind", warm film, number {i}' for i in range(6)))
    panel.choose("bad")
    panel.type_text("\n".join(f"a cold\tfilm; number {i}" for i in range(6)) + "\n\n")
    assert panel.counts == {"bad": 6, "good": 6}
    data = label(folder).data()
    assert data.task is not None
    assert data.task.name == "text-classification"
    assert 'a "kind", warm film, number 3' in [*data.train.inputs, *data.valid.inputs, *data.test.inputs]
    ft.fit(tiny("bert", labels=("bad", "good")), data, "probe", epochs=1, progress=False, precision="fp32")


def test_sounds_are_kept_for_the_lessons_on_sound(folder: Path) -> None:
    panel = label(folder, ["clap", "whistle"], kind="audio")
    for seed in range(6):
        panel.choose("clap" if seed % 2 else "whistle")
        panel.upload(f"take {seed}.wav", wav(seed))
    data = label(folder).data()
    assert data.modality == "audio"
    assert data.train.labels == ("clap", "whistle")
    with pytest.raises(DataError, match=r"talk\.wav cannot be used: not a sound file"):
        panel.upload("talk.wav", b"RIFF....")
    with pytest.raises(DataError, match=r"cat\.png is an image, and sounds are wanted here"):
        panel.upload("cat.png", png(0))


def test_files_are_copied_from_paths(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    panel = label(folder, ["x", "y"])
    panel.add("x", tmp_path / "a.png")
    assert panel.counts["x"] == 1
    with pytest.raises(DataError, match="There is no file"):
        panel.add("x", tmp_path / "b.png")
    with pytest.raises(UnknownName, match="Valid: x, y"):
        panel.add("z", tmp_path / "a.png")


def test_what_is_missing_is_said(folder: Path) -> None:
    panel = label(folder)
    with pytest.raises(DataError, match="Two classes are needed"):
        panel.data()
    panel = filled(folder, 2)
    with pytest.raises(DataError, match="1 more of 'dark', 1 more of 'light' are needed"):
        panel.data()
    assert "1 more of" in panel.regions()["examples"]


def test_the_fewest_examples_that_are_accepted_do_make_a_data_set(folder: Path) -> None:
    data = filled(folder, 3).data()
    assert min(len(split) for split in (data.train, data.valid, data.test)) == 2


# --- adding and removing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "said"), [
    ("letter.pdf", b"%PDF", r"letter\.pdf is of no kind.*Known: \.jpg"),
    ("voice.mp3", b"ID3", r"voice\.mp3 is a sound, and images are wanted here"),
    ("cat.png", b"no image", r"cat\.png cannot be used: not an image"),
    ("cat.png", png(1)[:200], r"cat\.png cannot be used"),
    ("cat.png", b"", r"cat\.png cannot be used: empty"),
    ("cat", png(1), "cat has no suffix"),
    ("IMG.HEIC", b"ftypheic", "Save it as JPEG or PNG"),
])
def test_wrong_files_are_refused_by_name_and_leave_nothing_behind(folder: Path, name: str, content: bytes,
                                                                  said: str) -> None:
    panel = label(folder, ["cat"])
    with pytest.raises(DataError, match=said):
        panel.upload(name, content)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["../../../etc/passwd.png", "..\\..\\boot.png", "a/b/c.png", ".hidden.png",
                                  "con.png", "Ünï–cödé 猫 (1).png", "x" * 300 + ".png", "....png", "a\x00b\n.png"])
def test_no_name_leaves_its_class(folder: Path, name: str) -> None:
    panel = label(folder, ["cat"])
    panel.upload(name, png(1))
    (stored,) = (path for path in folder.rglob("*") if path.is_file())
    assert stored.parent == folder / "cat"
    assert re.fullmatch(r"[\w-]{1,40}-[0-9a-f]{8}\.png", stored.name)
    assert panel.counts == {"cat": 1}


def test_twins_are_refused_in_every_class(folder: Path) -> None:
    panel = label(folder, ["cat", "dog"])
    panel.upload("a.png", png(1))
    panel.choose("dog")
    with pytest.raises(DataError, match=r"b\.png is there already, in the class 'cat'"):
        panel.upload("b.png", png(1))
    texts = label(folder.with_name("texts"), ["good", "bad"], kind="text")
    texts.add_text("good", "A warm  room")
    with pytest.raises(DataError, match="“a warm room” is there already, in the class 'good'"):
        texts.add_text("bad", "a warm room")


def test_a_wrong_example_is_removed(folder: Path) -> None:
    panel = filled(folder, 3)
    name = panel.collection.items("dark")[0].name
    sent = re.search(r'data-cmd="remove" data-args="([^"]*)"', panel.regions()["examples"])
    assert sent
    panel.command("remove", **json.loads(sent.group(1).replace("&quot;", '"')))
    assert panel.counts == {"dark": 2, "light": 3}
    assert name not in [item.name for item in panel.collection.items("dark")]
    assert "which has 2 examples now" in panel.say
    with pytest.raises(UnknownName):
        panel.remove("dark", "../light/x.png")
    texts = label(folder.with_name("texts"), ["good", "bad"], kind="text")
    texts.add_text("good", "one", "two")
    texts.remove("good", texts.collection.items("good")[0].name)
    assert [item.content for item in texts.collection.items("good")] == ["one"]
    texts.remove("good", texts.collection.items("good")[0].name)
    assert texts.counts == {"bad": 0, "good": 0}  # the class stays


@pytest.mark.parametrize(("name", "said"), [
    ("", "needs a name"), ("  ", "needs a name"), ("a/b", r"Leave out: /"), ("..", "dots"), (".git", "dots"),
    ("CON", "Windows"), ("a\nb\x07", "Leave out"), ("x" * 61, "at most 60"), ("Cat", "There is a class 'cat' already"),
    ("__MACOSX", "__"), ("what?", r"Leave out: \?"),
])
def test_names_that_no_class_can_have(folder: Path, name: str, said: str) -> None:
    panel = label(folder, ["cat"])
    with pytest.raises(DataError, match=said):
        panel.add_label(name)
    assert list(panel.counts) == ["cat"]


def test_a_class_may_be_called_as_a_split_is(folder: Path) -> None:
    """Vehicles: a class "train" must not be taken for the training split."""
    panel = label(folder, ["train", "bus"])
    for name in ("train", "bus"):
        panel.choose(name)
        for seed in range(3):
            panel.upload(f"{seed}.png", png(seed + 10 * (name == "bus")))
    assert panel.data().train.labels == ("bus", "train")


def test_an_empty_class_can_be_taken_away(folder: Path) -> None:
    panel = filled(folder, 3)
    panel.add_label("grey")
    assert panel.chosen == "grey"
    assert "Remove this class" in panel.regions()["examples"]
    panel.remove_label("grey")
    assert panel.chosen == "dark"
    with pytest.raises(DataError, match="has examples"):
        panel.remove_label("dark")
    texts = label(folder.with_name("texts"), ["good"], kind="text")
    texts.remove_label("good")
    assert texts.chosen == ""
    with pytest.raises(DataError, match="Name a class first"):
        texts.type_text("x")


def test_kinds_do_not_mix(folder: Path, tmp_path: Path) -> None:
    filled(folder, 1)
    with pytest.raises(DataError, match="already holds examples of the kind 'image'"):
        label(folder, kind="text")
    with pytest.raises(UserError, match="Make one with kind='text'"):
        label(folder).add_text("dark", "x")
    with pytest.raises(UnknownName, match="Did you mean 'image'"):
        label(tmp_path / "other", kind="images")
    with pytest.raises(UserError, match="labels is a list"):
        label(tmp_path / "other", labels="cat")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        label(tmp_path / "file")
    texts = label(tmp_path / "texts", ["good"], kind="text")
    with pytest.raises(DataError, match="collects texts: type them"):
        texts.upload("a.png", png(1))


def test_a_photo_that_lies_on_its_side_is_stored_upright(folder: Path) -> None:
    file, tags = io.BytesIO(), Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=tags)
    panel = label(folder, ["cat"])
    panel.upload("photo.jpg", file.getvalue())
    with Image.open(panel.collection.items("cat")[0].content) as stored:
        assert stored.size == (30, 40)
    with pytest.raises(DataError, match="already"):
        panel.upload("photo.jpg", file.getvalue())


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = label(folder, ["good"], kind="text")
    panel.add_text("good", "one")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftkit.disk.os.replace", full)
    with pytest.raises(DiskError, match="disk is full"):
        panel.add_text("good", "two")
    monkeypatch.undo()
    assert [item.content for item in panel.collection.items("good")] == ["one"]
    assert [path.name for path in folder.iterdir()] == ["texts.csv"]


def test_a_table_that_was_edited_meanwhile_is_read_anew(folder: Path) -> None:
    panel = label(folder, ["good", "bad"], kind="text")
    panel.add_text("good", "one")
    with (folder / "texts.csv").open("a", newline="", encoding="utf8") as file:
        csv.writer(file).writerow(["by hand", "bad"])
    panel.add_text("good", "two")
    assert panel.counts == {"bad": 1, "good": 2}
    (folder / "texts.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="needs the columns text and label"):
        panel.add_text("good", "three")


def test_foreign_files_are_passed_over(folder: Path) -> None:
    panel = filled(folder, 3)
    (folder / "dark" / "broken.png").write_bytes(b"x")
    (folder / "dark" / "notes.txt").write_text("x")
    (folder / "dark" / ".saving-x").write_bytes(b"x")
    (folder / ".ipynb_checkpoints").mkdir()
    assert panel.counts == {"dark": 4, "light": 3}
    assert 'alt="broken.png"' in panel.regions()["examples"]
    assert len(panel.data().report.broken) == 1


# --- the panel --------------------------------------------------------------------------------------------------------


def test_thumbnails_are_small_and_only_the_newest_are_shown_at_first(folder: Path) -> None:
    panel = label(folder, ["cat"])
    for seed in range(30):
        panel.upload(f"{seed}.png", png(seed, size=(60, 60)))
    html = panel.regions()["examples"]
    assert html.count("<img") == 24
    assert "Show all 30" in html
    assert len(html) < 24 * 4000
    panel.command("show_all", label="cat")
    assert panel.regions()["examples"].count("<img") == 30


def test_the_place_for_new_examples_is_never_redrawn(folder: Path) -> None:
    panel = label(folder, ["cat"])
    before = panel.regions()["input"]
    assert 'data-camera="upload"' in before
    panel.upload("a.png", png(1))
    panel.add_label("dog")
    assert panel.regions()["input"] == before
    assert "ft-recorder" not in before


def test_sounds_can_be_recorded(folder: Path) -> None:
    panel = label(folder, ["clap"], kind="audio")
    given = panel.regions()["input"]
    assert "<ft-recorder>" in given
    assert "data-camera" not in given
    assert panel._make_panel().scripts == SoundView.scripts
    panel.upload("recording-1.wav", wav(1))
    panel.upload("recording-1.wav", wav(2))  # the page counts anew after it was loaded again
    assert panel.counts == {"clap": 2}
    assert panel.regions()["input"] == given


def test_what_a_user_typed_is_never_taken_for_html(folder: Path) -> None:
    panel = label(folder, ["good & <b>"[:4]], kind="text")
    panel.add_text("good", "<script>alert(1)</script>")
    panel.collection._named.add("<i>")  # type: ignore[union-attr]
    everything = "".join(panel.regions().values()) + panel.static_bundle()["text/html"]
    assert "<script>" not in everything
    assert "<i>" not in everything


def test_static_forms_hold_numbers_and_no_pictures(folder: Path) -> None:
    panel = filled(folder, 3)
    bundle = panel.static_bundle()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "<img" not in bundle["text/html"]
    assert bundle["text/plain"].splitlines()[-2:] == ["dark   3", "light  3"]
    assert str(folder.parent) not in bundle["text/plain"]
    assert label(folder.with_name("none")).static_bundle()["text/plain"].endswith("no class yet")
