"""Listening: equally loud, hidden until one has chosen, and small enough for a notebook."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

import ftkit as ft
from ftkit.errors import DataError, UnknownName, UserError
from ftkit.viz.audio import Sound
from ftkit.widgets.listen import NO_DIFFERENCE, Listener
from ftkit.widgets.sound_html import encode, equally_loud, strip

RATE = 16_000
VOID = {"img", "input", "br", "path", "rect", "image"}


class Outline(HTMLParser):
    """Elements of a page; fails where one is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.seen if name == tag]


def speech(seconds: float = 1.0, size: float = 0.3, seed: int = 0) -> np.ndarray:
    """Something as hard to compress as a voice: tones that come and go, and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE * seconds)) / RATE
    voice = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 25)) * (0.6 + 0.4 * np.sin(9 * time))
    return (size * (0.3 * voice + rng.normal(0, 0.01, len(time)))).astype(np.float32)


def both(**options: Any) -> Listener:
    return ft.widgets.listen({"before": speech(1.0, 0.3), "after": speech(1.5, 0.03, 1)}, **options)


def played(html: str) -> list[tuple[np.ndarray, int]]:
    """The sounds of the players in a page."""
    found = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', html)
    return [soundfile.read(io.BytesIO(base64.b64decode(one)), dtype="float32") for one in found]


# --- loudness -----------------------------------------------------------------------------------------------------


def test_sounds_are_played_equally_loud_and_the_change_is_said() -> None:
    panel = both()
    first, second = (np.sqrt((sound.samples**2).mean()) for sound in panel.sounds.values())
    assert first == pytest.approx(second, rel=0.01)
    tenth = ft.widgets.listen({"whole": speech(), "tenth": 0.1 * speech()})
    gains = [float(gain.replace("−", "-")) for gain in re.findall(r"([+−][\d.]+) dB", repr(tenth))]
    assert gains[1] - gains[0] == pytest.approx(20, abs=0.11)
    as_given = both(same_loudness=False)
    assert np.array_equal(as_given.sounds["after"].samples, speech(1.5, 0.03, 1))
    assert "Each as loud as it was given." in repr(as_given)


def test_pauses_do_not_count_peaks_are_not_cut_and_silence_stays() -> None:
    pause = np.concatenate([speech(), np.zeros(3 * RATE, np.float32)])
    spiky = np.zeros(RATE, np.float32)
    spiky[::4000] = 1.0
    changed, gains = equally_loud({name: Sound(np.asarray(samples), RATE) for name, samples in {
        "plain": speech(), "pause": pause, "spiky": spiky, "silent": np.zeros(RATE, np.float32)}.items()})
    assert gains["plain"] == pytest.approx(gains["pause"], abs=0.01)
    assert max(np.abs(sound.samples).max() for sound in changed.values()) <= 0.98
    assert gains["silent"] == 0
    assert equally_loud({"silent": Sound(np.zeros(9, np.float32), RATE)})[1] == {"silent": 0}


# --- what is in the page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 10_000, 16_000, 22_050, 96_000])
def test_the_player_holds_the_sound(rate: int) -> None:
    given = Sound(np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) * 0.5, rate)
    heard, found = soundfile.read(io.BytesIO(encode(given)), dtype="float32")
    assert found == {10_000: 11_025, 96_000: 48_000}.get(rate, rate)
    assert len(heard) / found == pytest.approx(1, abs=0.08)
    peak = np.abs(np.fft.rfft(heard)).argmax() * found / len(heard)
    assert peak == pytest.approx(440, abs=3)


def test_the_static_form_plays_without_a_script() -> None:
    bundle = both().static_bundle()
    outline = Outline(bundle["text/html"])
    assert not outline.all("script")
    assert not outline.all("button")
    assert [audio["aria-label"] for audio in outline.all("audio")] == ["Play: before", "Play: after"]
    assert all("controls" in audio for audio in outline.all("audio"))
    assert [image["alt"] for image in outline.all("img")] == [
        "Waveform and spectrogram of before: 1.0 seconds", "Waveform and spectrogram of after: 1.5 seconds"]
    assert [len(samples) / rate for samples, rate in played(bundle["text/html"])] == pytest.approx([1, 1.5], abs=0.08)
    assert "http" not in re.sub(r"data:[^\"]+", "", bundle["text/html"])
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).width == 1000
    assert bundle["text/plain"] == repr(both())


def test_three_seconds_of_speech_take_less_than_sixty_kilobytes_of_a_notebook() -> None:
    spoken = ft.load_data("commands").train.inputs
    voice = np.concatenate([spoken[i] for i in range(0, len(spoken), 100)])[: 3 * RATE]
    bundle = ft.widgets.listen({"a voice": voice}).static_bundle()
    assert sum(map(len, bundle.values())) < 60_000
    said = int(re.search(r"take (\d+) kB", bundle["text/plain"])[1])  # type: ignore[index]
    player = re.search(r'src="data:audio[^"]+"', bundle["text/html"])
    assert abs(said - len(player[0]) / 1000) <= 1  # type: ignore[index]


def test_the_small_picture_is_a_whole_svg_file_and_shares_its_time() -> None:
    for seconds in (0.05, 1.0, 20.0):
        sound = Sound(speech(seconds), RATE)
        source = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', strip(sound, "x", 2 * seconds))
        svg = base64.b64decode(source[1]).decode()  # type: ignore[index]
        outline = Outline(svg.replace("/>", ">"))
        (image,) = outline.all("image")
        assert image["width"] == "300"  # half as long as the axis
        picture = Image.open(io.BytesIO(base64.b64decode(image["href"].split(",")[1])))
        assert picture.size == (min(600, round(100 * seconds)), 48)
        assert 2 <= svg.count(" s</text>") <= 9


def test_names_are_escaped() -> None:
    html = ft.widgets.listen({'<b>"x"</b>': speech()}).static_bundle()["text/html"]
    assert "<b>" not in html
    assert Outline(html).all("audio")[0]["aria-label"] == 'Play: <b>"x"</b>'


# --- blind --------------------------------------------------------------------------------------------------------


def test_nothing_gives_the_names_away_before_the_choice() -> None:
    panel = both(blind=True)
    shown = "".join(panel.regions().values()) + panel.say + repr(panel)
    visible = re.sub(r"data:[^\"]+", "", shown)
    for word in ("before", "after", "dB", "<img", "1.0 s", "1.5 s"):
        assert word not in visible
    assert "image/png" not in panel.static_bundle()
    static = panel.static_bundle()["text/html"]
    outline = Outline(static)
    assert len(outline.all("details")) == 1  # a fold, for a page without a kernel
    assert "open" not in outline.all("details")[0]
    assert "before" not in static[: static.index("<details")]


def test_a_choice_reveals_what_was_heard() -> None:
    panel = both(blind=True)
    lengths = {"before": 1.0, "after": 1.5}
    played_as = {letter: len(samples) / rate for letter, (samples, rate) in zip(
        "AB", played("".join(panel.regions().values())), strict=True)}
    name = panel.command("choose", which="A")
    assert played_as["A"] == pytest.approx(lengths[name], abs=0.08)  # what A played is what A is said to be
    assert panel.say == f"You chose A, which is “{name}”."
    assert panel.choices == [name]
    choice = panel.regions()["choice"]
    assert f"A is “{name}”" in choice
    assert choice.count("<img") == 2
    assert "image/png" in panel.static_bundle()
    Outline("".join(panel.regions().values()))
    with pytest.raises(UserError, match=r"round is over.*again"):
        panel.choose("B")


def test_rounds_are_shuffled_and_counted() -> None:
    panel = both(blind=True, seed=1)
    orders = []
    for _ in range(12):
        orders.append(panel.choose("A"))
        panel.command("again")
    assert panel.choices == orders
    assert set(orders) == {"before", "after"}  # A is not the same sound each time
    panel.choose(NO_DIFFERENCE)
    assert panel.say == "You heard no difference."
    n = orders.count("before")
    assert f"Chosen in 13 rounds: before {n}, after {12 - n}, no difference 1." in panel.tally()


def test_a_seed_gives_the_same_order_and_different_sounds_different_ones() -> None:
    def first(seed: int | None, *given: np.ndarray) -> str:
        return ft.widgets.listen(dict(zip(("x", "y"), given, strict=True)), blind=True, seed=seed).choose("A")

    pairs = [(speech(0.1, seed=i), speech(0.1, seed=i + 50)) for i in range(12)]
    assert {first(seed, *pairs[0]) for seed in range(12)} == {"x", "y"}
    assert first(5, *pairs[0]) == first(5, *pairs[1])
    assert {first(None, *pair) for pair in pairs} == {"x", "y"}
    assert first(None, *pairs[0]) == first(None, *pairs[0])


# --- mistakes -----------------------------------------------------------------------------------------------------


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="by name"):
        ft.widgets.listen(speech())
    with pytest.raises(UserError, match="by name"):
        ft.widgets.listen({})
    with pytest.raises(UserError, match="at most 6"):
        ft.widgets.listen({str(i): speech(0.1) for i in range(7)})
    with pytest.raises(UserError, match="at least two"):
        ft.widgets.listen({"one": speech()}, blind=True)
    with pytest.raises(UserError, match="The sound 'b' has no samples"):
        ft.widgets.listen({"a": speech(), "b": []})
    with pytest.raises(DataError, match="no sound file"):
        ft.widgets.listen({"a": tmp_path / "none.wav"})
    panel = both()
    for call in (panel.again, lambda: panel.choose("before")):
        with pytest.raises(UserError, match="blind=True"):
            call()
    with pytest.raises(UnknownName, match="Valid: A, B, no difference"):
        both(blind=True).choose("C")


def test_files_and_arrays_of_other_rates(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(), 8000)
    panel = ft.widgets.listen({"file": tmp_path / "a.wav", "array": speech()}, rate=32_000)
    assert {name: sound.seconds for name, sound in panel.sounds.items()} == {"file": 2.0, "array": 0.5}


def test_static_forms_need_no_ipywidgets() -> None:
    code = ("import sys, numpy as np, ftkit as ft\n"
            "panel = ft.widgets.listen({'a': np.ones(4000) * 0.1})\npanel.static_bundle()\n"
            "print('ipywidgets' in sys.modules, 'matplotlib.pyplot' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["False", "False"]
