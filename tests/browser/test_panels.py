"""The small panels in a browser: the page alone, with the real panel in Python behind it, and once in JupyterLab."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
from nets import data_for, tiny
from PIL import Image
from playwright.sync_api import expect

import ftkit as ft
from ftkit.training import TrainSession
from ftkit.widgets.progress import RunPanel
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.small_view import SmallView

# In place of the kernel: messages are kept until Python has answered them.
SHOW = """window.sent = [];
const heard = [];
const plain = (buffers) => buffers.map((buffer) => [...new Uint8Array(buffer)]);
window.model = { get: (name) => (name === "state" ? window.state : ""), on: (_, call) => heard.push(call),
                 off: () => {}, send: (message, _, buffers) => window.sent.push([message, plain(buffers)]) };
window.state = data;
window.answer = (state) => { window.state = state; heard.forEach((call) => call()); };
render({ model: window.model, el: root });"""


class Shown:
    """A panel on a page of its own; `answer()` lets Python obey what was pressed since."""

    def __init__(self, visit: Visit, panel: SmallPanel, width: int = 900, dark: bool = False) -> None:
        self.panel, self.view, self.page = panel, SmallView(panel), visit.page()
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        standalone(self.page, SmallView.scripts, SmallView.styles, SHOW, self.view.state)

    def answer(self) -> list[str]:
        """The commands that were sent."""
        sent = self.page.evaluate("() => window.sent.splice(0)")
        for message, buffers in sent:
            self.view._on_message(None, message, [bytes(buffer) for buffer in buffers])
        self.page.evaluate("(state) => window.answer(state)", self.view.state)
        return [message["cmd"] for message, _ in sent]


def grid(_: Path) -> SmallPanel:
    panel = ft.widgets.freeze_map(tiny("resnet18"), "gradual", epochs=4)
    panel.set_scale("block 7", 4, 0.1)
    panel.start_from("bn_only")
    panel.toggle("block 3", 2)
    panel.set_scale("block 5", 3, 0.1)
    return panel


def ask(_: Path) -> SmallPanel:
    before, after = tiny("bert"), tiny("bert", seed=3)
    panel = ft.widgets.predictor(before, after)
    panel.ask("The food was really great, and we found it warm and kind. " * 12)
    return panel


def runs(_: Path) -> SmallPanel:
    made = {name: ft.fit(tiny("bert"), data_for("text"), name, epochs=3, batch_size=4, precision="fp32", progress=False)
            for name in ("probe", "gradual", "full")}
    return ft.widgets.compare(made)


def examples(folder: Path) -> SmallPanel:
    panel = ft.widgets.label(folder / "mine", ["dark", "light", "a class with a long name, as people write them"])
    for name, level in (("dark", 60), ("light", 190)):
        panel.choose(name)
        for seed in range(7):
            panel.upload(f"{name}-{seed}.png", picture(seed, level))
    return panel


def texts(folder: Path) -> SmallPanel:
    panel = ft.widgets.label(folder / "texts", ["good", "bad"], kind="text")
    panel.add_text("good", "A warm and kind film.", "The food was great. " * 20)
    return panel


def progress(_: Path) -> SmallPanel:
    session = TrainSession(tiny("bert"), data_for("text"), "full", epochs=4, batch_size=2, precision="fp32")
    panel = RunPanel(session)
    session.on_step, session.on_epoch = panel.step, panel.epoch
    session.run(30)
    return panel


def picture(seed: int, level: int) -> bytes:
    noise = np.random.default_rng(seed).normal(level, 30, (90, 120, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


PANELS = [grid, ask, runs, examples, texts, progress]


@pytest.mark.parametrize("make", PANELS, ids=lambda make: make.__name__)
def test_renders_in_light_and_dark_wide_and_narrow_without_violations(
    make: Callable[[Path], SmallPanel], visit: Visit, tmp_path: Path
) -> None:
    panel = make(tmp_path)
    for width, dark in ((900, False), (900, True), (420, False)):
        shown = Shown(visit, panel, width, dark)
        check_accessible(shown.page, ".ftkit")
        shoot(shown.page, f"{make.__name__}-{width}-{'dark' if dark else 'light'}")
        if make not in (grid, runs) or width > 500:  # wide tables scroll in a narrow window
            check_nothing_clipped(shown.page.locator(".ftkit"))
        assert shown.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert visit.errors == []


# --- what is pressed reaches Python, and what Python says is shown ---------------------------------------------------


def test_the_grid_by_mouse_and_by_keys(visit: Visit) -> None:
    panel = ft.widgets.freeze_map(tiny("bert"), "probe", epochs=3)
    shown = Shown(visit, panel)
    page = shown.page

    def cell(name: str) -> Any:
        return page.get_by_role("switch", name=re.compile(f": {name}$"))

    cell("block 2, epoch 2").click()
    assert shown.answer() == ["toggle"]
    expect(cell("block 2, epoch 2")).to_have_attribute("aria-checked", "true")
    expect(cell("block 2, epoch 2")).to_be_focused()  # redrawing does not take the focus away
    expect(page.get_by_role("status")).to_contain_text("block 2 trains in epoch 2.")
    page.keyboard.press("ArrowRight")
    expect(cell("block 2, epoch 3")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")  # at the edge: stays
    expect(cell("block 1, epoch 3")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Home")
    expect(cell("block 1, epoch 1")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("-")
    page.keyboard.press("=")
    assert shown.answer() == ["toggle", "toggle", "rescale", "repeat"]
    assert [cell.text for cell in panel.plan.cells[2]] == ["×0.5"] * 3
    expect(cell("block 1, epoch 1")).to_be_focused()
    assert page.evaluate("() => document.querySelectorAll('[role=grid] [tabindex=\"0\"]').length") == 1


def test_a_mistake_is_shown_and_what_is_typed_stays(visit: Visit) -> None:
    panel = ft.widgets.predictor(tiny("bert"))
    shown = Shown(visit, panel)
    shown.page.get_by_role("textbox").fill("   ")
    shown.page.get_by_role("button", name="Ask").click()
    assert shown.answer() == ["ask"]
    expect(shown.page.get_by_role("status")).to_have_text("The text is empty: type a sentence first.")
    expect(shown.page.get_by_role("status")).to_have_class(re.compile("ft-warning"))
    shown.page.get_by_role("textbox").fill("a <b>warm</b> room")
    shown.page.get_by_role("button", name="Ask").click()
    shown.answer()
    expect(shown.page.get_by_role("table")).to_contain_text("a <b>warm</b> room")
    expect(shown.page.get_by_role("textbox")).to_have_value("a <b>warm</b> room")
    expect(shown.page.get_by_role("status")).not_to_have_class(re.compile("ft-warning"))
    shown.page.set_viewport_size({"width": 700, "height": 500})
    shoot(shown.page, "ask-one-model")


def test_images_are_uploaded_looked_at_and_removed(visit: Visit, tmp_path: Path) -> None:
    panel = ft.widgets.label(tmp_path / "mine", ["dark"])
    shown = Shown(visit, panel)
    page = shown.page
    page.get_by_label("New class").fill("light")
    page.get_by_label("New class").press("Enter")
    shown.answer()
    assert panel.chosen == "light"
    files = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": picture(i, 190)} for i in range(3)]
    page.locator("input[type=file]").set_input_files([*files, {"name": "letter.pdf", "mimeType": "application/pdf",
                                                               "buffer": b"%PDF"}])
    page.wait_for_function("() => window.sent.length === 4")
    assert shown.answer() == ["upload"] * 4
    assert panel.counts == {"dark": 0, "light": 3}
    page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 0)")
    assert page.get_by_role("img").count() == 3
    page.get_by_role("button", name=re.compile("^Remove 1-.* from light")).click()
    assert shown.answer() == ["remove"]
    assert page.get_by_role("img").count() == 2
    page.get_by_label("New examples go to").select_option("dark")
    shown.answer()
    assert panel.chosen == "dark"


def test_a_camera_that_is_refused_or_missing_is_explained(visit: Visit, tmp_path: Path) -> None:
    """This browser has none, and about:blank may not have one."""
    shown = Shown(visit, ft.widgets.label(tmp_path / "mine", ["dark"]))
    shown.page.get_by_role("button", name="Open the camera").click()
    expect(shown.page.get_by_role("status")).to_have_text(
        re.compile("only to pages under https|no camera on this machine|not allowed for this page"))
    shown.page.evaluate("""() => Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: {
        getUserMedia: async () => { throw new DOMException('no', 'NotAllowedError'); } } })""")
    shown.page.get_by_role("button", name="Open the camera").click()
    expect(shown.page.get_by_role("status")).to_contain_text("not allowed for this page")


def test_the_camera_takes_a_picture_and_is_closed_again(visit: Visit, tmp_path: Path) -> None:
    """A camera made of a drawing: what it shows arrives as a file, and closing ends its track."""
    panel = ft.widgets.label(tmp_path / "mine", ["dark"])
    shown = Shown(visit, panel)
    page = shown.page
    page.evaluate("""() => {
        const canvas = document.createElement('canvas');
        canvas.width = 64; canvas.height = 48;
        setInterval(() => canvas.getContext('2d').fillRect(0, 0, 64, 48), 20);
        window.stream = canvas.captureStream(30);
        Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: {
            getUserMedia: async () => window.stream } });
    }""")
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Take a picture").click()
    page.wait_for_function("() => window.sent.length === 1")
    assert shown.answer() == ["upload"]
    with Image.open(panel.collection.items("dark")[0].content) as taken:
        assert taken.size == (64, 48)
    expect(page.locator("video")).to_be_visible()  # storing it did not redraw the camera away
    page.get_by_role("button", name="Close the camera").click()
    assert page.evaluate("() => window.stream.getTracks().every((track) => track.readyState === 'ended')")


def test_runs_are_ticked_off_and_on(visit: Visit) -> None:
    panel = runs(Path())
    shown = Shown(visit, panel)
    shown.page.get_by_label("gradual").press("Space")
    assert shown.answer() == ["toggle"]
    assert panel.shown == ["probe", "full"]  # type: ignore[attr-defined]
    expect(shown.page.get_by_label("gradual")).to_be_focused()
    expect(shown.page.get_by_label("gradual")).not_to_be_checked()


def test_a_kernel_that_does_not_answer_is_said_to_be_busy(visit: Visit) -> None:
    shown = Shown(visit, ft.widgets.freeze_map(tiny("bert")))
    shown.page.get_by_role("switch").first.click()
    expect(shown.page.get_by_role("status")).to_contain_text("The kernel is busy", timeout=8000)
    shown.answer()
    expect(shown.page.get_by_role("status")).to_contain_text("stem trains")


@pytest.mark.parametrize("front_end", ["passes it on", "cannot"])
def test_a_stop_that_is_not_heard_interrupts_the_kernel(visit: Visit, front_end: str) -> None:
    shown = Shown(visit, progress(Path()))
    if front_end == "passes it on":
        shown.page.evaluate("() => { window.model.widget_manager = { kernel: { interrupt() { window.cut = 1; } } } }")
    shown.page.get_by_role("button", name="Stop").click()
    if front_end == "passes it on":
        shown.page.wait_for_function("() => window.cut === 1", timeout=8000)
    else:
        expect(shown.page.get_by_role("status")).to_contain_text("press its own stop button", timeout=8000)


def test_no_motion_is_left_for_those_who_want_none(visit: Visit) -> None:
    shown = Shown(visit, ft.widgets.freeze_map(tiny("bert")))
    shown.page.emulate_media(reduced_motion="reduce")
    moving = shown.page.evaluate("""() => [...document.querySelectorAll('.ftkit *')].filter((node) => {
        const style = getComputedStyle(node);
        return style.transitionDuration !== '0s' || style.animationName !== 'none'; }).length""")
    assert moving == 0


# --- JupyterLab -------------------------------------------------------------------------------------------------------

_CELLS = ("""from nets import data_for, tiny
import ftkit as ft
grid = ft.widgets.freeze_map(tiny("bert"), epochs=2)
grid""", """history = ft.fit(tiny("bert"), data_for("text"), "full", epochs=1000, batch_size=2, precision="fp32")
print("status:", history.status, "of", len(history.steps) < 12_000, "checkpoint:", bool(history.checkpoint))""",
          """short = ft.fit(tiny("bert"), data_for("text"), grid, epochs=2, precision="fp32")
print("trained:", len(short.steps))""")


@pytest.mark.timeout(300)
def test_in_jupyterlab_a_run_is_stopped_and_what_was_clicked_meanwhile_counts(visit: Visit, lab: Lab) -> None:
    lab.notebook("panels.ipynb", *_CELLS)
    page = visit.open(lab, "panels.ipynb")
    lab_command(page, "notebook:run-all-cells")
    run = page.get_by_role("group", name="Training")
    expect(run.locator(".ft-facts")).to_have_text(re.compile(r"step \d\d+ of 12000 .* left"), timeout=PATIENCE)
    page.get_by_role("switch", name="frozen: block 2, epoch 2").click()
    shoot(page, "lab-running")
    check_accessible(page, ".ftkit")
    run.get_by_role("button", name="Stop").click()
    for words in ("status: (stopped|interrupted) of True checkpoint: True", "trained: 4",
                  r"(Stopped|Interrupted): \d+ of 12000 steps in", "Trained 2 epochs, 4 steps in"):
        expect(page.get_by_text(re.compile(words))).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("switch", name="train: block 2, epoch 2")).to_be_visible()
    expect(run).to_have_count(0)  # the panels have given way to sentences and pictures
    shoot(page, "lab-ended")
    assert visit.errors == []
