"""Panels with sounds in a browser: they play, record, and hide what is to be hidden."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser_helpers import (
    PATIENCE,
    Lab,
    Visit,
    check_accessible,
    check_nothing_clipped,
    lab_command,
    shoot,
    standalone,
)
from nets import tiny
from playwright.sync_api import Browser, Page, expect
from test_panels import SHOW
from windows import FLAGS

import ftkit as ft
from ftkit.widgets.base import static_files
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.sound_view import SoundView

RATE = 16_000
# A microphone made of a tone of 440 Hz; it says when it is closed.
TONE = """() => {
    const context = new AudioContext(), tone = context.createOscillator(), out = context.createMediaStreamDestination();
    tone.connect(out); tone.start();
    window.stream = out.stream;
    Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: {
        getUserMedia: async () => window.stream } });
}"""


class Shown:
    """A panel on a page of its own; `answer()` lets Python obey what was pressed since."""

    def __init__(self, page: Page, panel: SmallPanel, width: int = 900, dark: bool = False) -> None:
        self.panel, self.page = panel, page
        self.view = panel._make_panel()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        standalone(page, SoundView.scripts, SoundView.styles, SHOW, self.view.state)

    def answer(self) -> list[str]:
        """The commands that were sent."""
        sent = self.page.evaluate("() => window.sent.splice(0)")
        for message, buffers in sent:
            self.view._on_message(None, message, [bytes(buffer) for buffer in buffers])
        self.page.evaluate("(state) => window.answer(state)", self.view.state)
        return [message["cmd"] for message, _ in sent]


def tone(hertz: float, seconds: float = 1.0, size: float = 0.3) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (size * np.sin(2 * np.pi * hertz * time) * np.linspace(0.2, 1, len(time))).astype(np.float32)


def sounds() -> SmallPanel:
    return ft.widgets.listen({"before": tone(300, 1.5), "after": tone(600, 1.0, 0.05)})


def blind() -> SmallPanel:
    return ft.widgets.listen({"before": tone(300), "after": tone(600)}, blind=True)


def revealed() -> SmallPanel:
    panel = ft.widgets.listen({"before": tone(300), "after": tone(600)}, blind=True)
    panel.choose("B")
    return panel


def recognised() -> SmallPanel:
    panel = ft.widgets.recogniser(lambda audio: "the od man wact slooly ofber the bridge",
                                  lambda audio: "the old man walked slowly over a bridge")
    panel.ask(tone(440, 2.0), "The old man walked slowly over the bridge.")
    return panel


def asked() -> SmallPanel:
    panel = ft.widgets.predictor(tiny("wav2vec2"), tiny("wav2vec2", seed=3))
    panel.ask(tone(440))
    return panel


PANELS = [sounds, blind, revealed, recognised, asked]


@pytest.mark.parametrize("make", PANELS, ids=lambda make: make.__name__)
def test_sound_panels_in_light_and_dark_wide_and_narrow(make: Callable[[], SmallPanel], visit: Visit) -> None:
    panel = make()
    for width, dark in ((900, False), (900, True), (420, False)):
        shown = Shown(visit.page(), panel, width, dark)
        shown.page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 0)")
        check_accessible(shown.page, ".ftkit")
        shoot(shown.page, f"sound-{make.__name__}-{width}-{'dark' if dark else 'light'}")
        check_nothing_clipped(shown.page.locator(".ftkit"))
        assert shown.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert visit.errors == []


def test_a_sound_plays_by_keyboard_and_lasts_as_long_as_it_should(visit: Visit) -> None:
    shown = Shown(visit.page(), sounds())
    page = shown.page
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((one) => one.readyState >= 1)")
    lasts = page.evaluate("() => [...document.querySelectorAll('audio')].map((one) => one.duration)")
    assert lasts == pytest.approx([1.5, 1.0], abs=0.12)  # MP3 comes in pieces of 36 ms
    page.evaluate("() => { window.first = document.querySelector('audio'); }")
    page.locator("audio").first.focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => window.first.currentTime > 0.1 && !window.first.paused")


def test_the_static_form_plays_without_any_script(visit: Visit) -> None:
    page = visit.page()
    page.goto("about:blank")
    for panel in (sounds(), blind(), recognised()):
        html = panel.static_bundle()["text/html"]
        assert "<script" not in html
        page.set_content(f'<!doctype html><html lang="en"><title>x</title><main>{html}</main></html>')
        page.wait_for_function("() => [...document.querySelectorAll('audio')].every((one) => one.duration > 0.9)")
        page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 0)")
        check_accessible(page, "main")
    shoot(page, "sound-static")


def test_a_blind_choice_by_keyboard(visit: Visit) -> None:
    panel = blind()
    shown = Shown(visit.page(), panel)
    page = shown.page
    hidden = page.content()
    assert "before" not in hidden.split("</style>")[-1].split("<script")[0]
    assert "after" not in hidden.split("</style>")[-1].split("<script")[0]
    page.evaluate("() => { window.first = document.querySelector('audio'); }")
    page.get_by_role("button", name="B is better").press("Enter")
    assert shown.answer() == ["choose"]
    expect(page.get_by_role("status")).to_contain_text(re.compile("You chose B, which is “(before|after)”"))
    assert page.get_by_role("img", name="spectrogram").count() == 2
    assert page.evaluate("() => window.first.isConnected")  # what plays goes on playing
    page.get_by_role("button", name="Shuffle and listen again").click()
    assert shown.answer() == ["again"]
    page.get_by_role("button", name="no difference").click()
    shown.answer()
    assert panel.choices[1:] == ["no difference"]  # type: ignore[attr-defined]


@pytest.fixture
def with_microphone(chromium: Browser, tmp_path: Path) -> Iterator[tuple[Visit, str]]:
    """A window of a browser that has a microphone, which beeps; and the address of a server on this machine."""
    page = ('<!doctype html><html lang="en"><head><meta charset="utf-8"><title>x</title></head><body><main id="root">'
            f'</main><script type="module">{static_files(*SoundView.scripts)}\nwindow.render = render;'
            "</script></body></html>")
    (tmp_path / "index.html").write_text(page, encoding="utf8")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    flags = [*FLAGS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=found, args=flags)
    visit = Visit(browser)
    yield visit, f"http://127.0.0.1:{server.server_address[1]}/"
    visit.close()
    browser.close()
    server.shutdown()
    assert visit.asked == []


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_what_the_microphone_hears_reaches_the_model(with_microphone: tuple[Visit, str]) -> None:
    """With the real `getUserMedia`: the browser's test device beeps once a second."""
    visit, url = with_microphone
    heard: list[np.ndarray] = []
    panel = ft.widgets.recogniser(lambda audio: heard.append(audio) or "beep")
    view = panel._make_panel()
    page = visit.page()
    page.goto(url)
    page.wait_for_function("() => window.render")
    page.evaluate("(data) => { const root = document.getElementById('root'), render = window.render; " + SHOW + " }",
                  view.state)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Recording, at most 20 seconds")).to_be_visible()
    shoot(page, "sound-recording")
    page.wait_for_timeout(1800)
    page.get_by_role("button", name="Stop recording").click()
    page.wait_for_function("() => window.sent.length === 1")
    (message, buffers), = page.evaluate("() => window.sent.splice(0)")
    assert message == {"cmd": "upload", "args": {"name": "recording-1.wav"}}
    view._on_message(None, message, [bytes(buffers[0])])
    assert not view.state["trouble"], view.state["say"]
    assert 1.2 * RATE < len(heard[0]) < 4 * RATE
    assert np.abs(heard[0]).max() > 0.05  # not silence
    expect(page.get_by_text(re.compile(r"Recorded \d\.\d seconds"))).to_be_visible()
    assert visit.errors == []


def test_the_microphone_is_closed_after_recording_and_when_the_panel_goes(visit: Visit) -> None:
    heard: list[np.ndarray] = []
    shown = Shown(visit.page(), ft.widgets.recogniser(lambda audio: heard.append(audio) or "a tone"))
    page = shown.page
    page.evaluate(TONE)
    ended = "() => window.stream.getTracks().every((track) => track.readyState === 'ended')"
    page.get_by_role("button", name="Record").press("Enter")
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Stop recording").press("Enter")
    page.wait_for_function("() => window.sent.length === 1")
    assert page.evaluate(ended)
    assert shown.answer() == ["upload"]
    spectrum = np.abs(np.fft.rfft(heard[0]))
    assert abs(spectrum.argmax() * RATE / len(heard[0]) - 440) < 10  # the rate is right: a tone keeps its pitch
    page.evaluate(TONE)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop recording")).to_be_visible()
    page.evaluate("() => document.querySelector('.ftkit').remove()")
    page.wait_for_function(ended)
    page.wait_for_timeout(200)
    assert shown.answer() == []  # nothing of it was sent


def test_recordings_become_examples_of_a_class(visit: Visit, tmp_path: Path) -> None:
    panel = ft.widgets.label(tmp_path / "mine", ["left", "right"], kind="audio")
    shown = Shown(visit.page(), panel)
    page = shown.page
    for count in (1, 2):
        page.evaluate(TONE)
        page.get_by_role("button", name="Record", exact=True).click()
        page.wait_for_timeout(500 + 200 * count)
        page.get_by_role("button", name="Stop recording").click()
        page.wait_for_function("() => window.sent.length === 1")
        assert shown.answer() == ["upload"]
        expect(page.get_by_text(re.compile(rf"left: {count}"))).to_be_visible()
    assert panel.counts == {"left": 2, "right": 0}
    files = sorted((tmp_path / "mine" / "left").iterdir())
    assert [soundfile.info(str(file)).samplerate for file in files] == [RATE, RATE]
    check_accessible(page, ".ftkit")
    shoot(page, "sound-label")
    assert visit.errors == []


def test_a_microphone_that_is_refused_or_missing_is_explained(visit: Visit) -> None:
    shown = Shown(visit.page(), ft.widgets.recogniser(lambda audio: ""))
    page = shown.page
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text(re.compile("only to pages under https|no microphone|not allowed"))).to_be_visible()
    page.evaluate("""() => Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: {
        getUserMedia: async () => { throw new DOMException('no', 'NotAllowedError'); } } })""")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("not allowed for this page")).to_be_visible()
    expect(page.get_by_role("button", name="Record")).to_be_visible()


def test_a_file_is_dropped_and_compared_with_what_is_typed(visit: Visit, tmp_path: Path) -> None:
    panel = ft.widgets.recogniser(lambda audio: "the old man")
    shown = Shown(visit.page(), panel)
    page = shown.page
    soundfile.write(tmp_path / "voice.flac", tone(300, 0.8), RATE)
    page.locator("input[type=file]").set_input_files(tmp_path / "voice.flac")
    page.wait_for_function("() => window.sent.length === 1")
    assert shown.answer() == ["upload"]
    expect(page.get_by_role("table")).to_contain_text("voice.flac, 0.8 s")
    page.get_by_label("What is said").fill("the odd man")
    page.get_by_label("What is said").press("Enter")
    assert shown.answer() == ["refer"]
    expect(page.locator("del")).to_have_text("d")
    expect(page.locator("ins")).to_have_text("l")
    page.locator("input[type=file]").set_input_files({"name": "x.m4a", "mimeType": "audio/mp4", "buffer": b"1234"})
    page.wait_for_function("() => window.sent.length === 1")
    shown.answer()
    expect(page.locator(".ft-say")).to_contain_text("Save it as WAV")


# --- JupyterLab -------------------------------------------------------------------------------------------------------

_CELLS = ("""import numpy as np
import ftkit as ft
time = np.arange(16_000) / 16_000
sounds = {"before": 0.3 * np.sin(2000 * time), "after": 0.3 * np.sin(4000 * time)}
ft.widgets.listen(sounds, blind=True)""", """panel = ft.widgets.recogniser(lambda audio: f"{len(audio)} samples")
panel.ask(sounds["before"])
print("asked")
panel""")


@pytest.mark.timeout(300)
def test_in_jupyterlab_sounds_play_and_the_saved_notebook_still_has_them(visit: Visit, lab: Lab) -> None:
    file = lab.notebook("sounds.ipynb", *_CELLS)
    page = visit.open(lab, "sounds.ipynb")
    lab_command(page, "notebook:run-all-cells")
    expect(page.get_by_text("asked", exact=True)).to_be_visible(timeout=PATIENCE)
    blind_panel, recognise = page.get_by_role("group", name="Listen"), page.get_by_role("group", name="What does")
    expect(recognise.get_by_role("table")).to_contain_text("16000 samples")
    expect(recognise.get_by_role("button", name="Record")).to_be_visible()
    blind_panel.get_by_role("button", name="A is better").click()
    expect(blind_panel.get_by_text("Chosen in 1 round")).to_be_visible()
    page.wait_for_function("""() => [...document.querySelectorAll('.ftkit audio')].length === 3 &&
        [...document.querySelectorAll('.ftkit audio')].every((one) => one.duration > 0.9)""")
    check_accessible(page, ".ftkit")
    shoot(page, "sound-lab")
    static = page.locator("[class^=ftkit-static]").filter(has_text="Chosen in 1 round")
    expect(static).to_have_count(1)  # hidden while the panel lives, and up to date
    expect(static).to_be_hidden()
    lab_command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    outputs = [output for cell in json.loads(file.read_text())["cells"] for output in cell["outputs"]]
    html = "".join("".join(output.get("data", {}).get("text/html", "")) for output in outputs)
    assert html.count("<audio") == 3
    assert "Chosen in 1 round" in html  # as it ended
    assert visit.errors == []
