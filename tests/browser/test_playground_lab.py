"""The playground in a real JupyterLab, on a tiny random model: switched, run, stopped, restarted, reopened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import nbformat
import pytest
from browser_helpers import IDLE, Lab, Visit, check_accessible, check_nothing_clipped, lab_command, run_all, shoot
from playwright.sync_api import Browser, Locator, Page, expect

MAKE = """import ftkit as ft
from nets import data_for, tiny
play = ft.widgets.Playground(tiny("bert"), data_for("text", n=48), epochs=2000, lr=1e-3, batch_size=8)
play"""
SECOND = """other = ft.widgets.Playground(tiny("resnet"), data_for("image", n=16), "full", epochs=50, batch_size=8)
other"""


@pytest.fixture(scope="module")
def window(chromium: Browser, lab: Lab) -> Iterator[Visit]:
    """One window for the whole file: a kernel takes long to start."""
    visit = Visit(chromium)
    yield visit
    visit.close()
    assert visit.asked == [], "the page asked other machines"
    assert not lab.asked.exists(), f"the kernel asked other machines: {lab.asked.read_text()}"


@pytest.fixture(scope="module")
def notebook(window: Visit, lab: Lab) -> Page:
    """A notebook with two playgrounds, run once."""
    lab.notebook("play.ipynb", MAKE, SECOND)
    page = window.open(lab, "play.ipynb")
    run_all(page)
    expect(page.locator(".ft-playground")).to_have_count(2)
    return page  # not named so: pytest-playwright, where it is installed, has a fixture of that name


@pytest.fixture
def panel(notebook: Page) -> Locator:
    """The first playground, not training."""
    panel = notebook.locator(".ft-playground").first
    press(panel, "Stop")
    expect(panel).not_to_have_attribute("data-status", "running")
    return panel


def press(panel: Locator, name: str) -> None:
    panel.get_by_role("button", name=name, exact=True).click(force=True)  # also what may not be pressed now


def step(panel: Locator) -> int:
    return int(panel.get_attribute("data-step") or -1)


def wait_for_step(panel: Locator, least: int) -> None:
    end = time.monotonic() + 60
    while step(panel) < least:
        assert time.monotonic() < end, f"still at step {step(panel)}"
        time.sleep(0.05)


def test_the_panel_is_there_and_hides_its_static_form(notebook: Page, panel: Locator) -> None:
    expect(panel.get_by_role("heading").first).to_contain_text("tiny-bert: ready, step 0 of 12000")
    expect(panel.get_by_role("switch")).to_have_count(5)
    for static in notebook.locator('[class^="ftkit-static"]').all():
        expect(static).to_be_hidden()
    check_nothing_clipped(panel)
    shoot(panel, "lab-ready")


def test_switching_by_mouse_and_by_keyboard(panel: Locator, notebook: Page) -> None:
    block = panel.get_by_role("switch", name="block 1")
    expect(block).to_have_attribute("aria-checked", "false")
    block.click()
    expect(block).to_have_attribute("aria-checked", "true")
    press(panel, "Step")
    expect(block).to_have_text("block 1: trains")
    expect(panel).to_have_attribute("data-step", "1")
    block.focus()
    notebook.keyboard.press("ArrowUp")
    expect(panel.get_by_role("switch", name="block 0")).to_be_focused()
    notebook.keyboard.press("Space")
    press(panel, "Step")
    expect(panel.get_by_role("switch", name="block 0")).to_have_text("block 0: trains")
    assert notebook.locator(".jp-Cell").count() == 2, "JupyterLab must not take the keys for its own commands"


def test_freezing_everything_is_refused_with_a_reason(panel: Locator) -> None:
    press(panel, "head only")
    head = panel.get_by_role("switch", name="head")
    expect(head).to_have_attribute("aria-checked", "true")
    expect(panel.get_by_role("switch", name="block 0")).to_have_attribute("aria-checked", "false")
    head.click()
    expect(panel.get_by_role("alert")).to_contain_text("nothing would train")
    expect(head).to_have_attribute("aria-checked", "true")


def test_run_thaw_while_running_pause_and_stop(panel: Locator) -> None:
    begun = step(panel)
    press(panel, "Run")
    expect(panel).to_have_attribute("data-status", "running")
    wait_for_step(panel, begun + 10)
    block = panel.get_by_role("switch", name="block 2")
    block.click()
    expect(block).to_have_text("block 2: trains")
    press(panel, "Pause")
    expect(panel).to_have_attribute("data-status", "paused")
    held = step(panel)
    expect(panel.locator(".ft-events")).to_contain_text("block 2")
    time.sleep(0.5)
    assert step(panel) == held
    press(panel, "Run")
    wait_for_step(panel, held + 5)
    started = time.monotonic()
    press(panel, "Stop")
    expect(panel).to_have_attribute("data-status", "stopped", timeout=2000)
    assert time.monotonic() - started < 2
    shoot(panel, "lab-stopped")


def test_two_playgrounds_do_not_disturb_each_other(notebook: Page, panel: Locator) -> None:
    other = notebook.locator(".ft-playground").nth(1)
    before = step(panel)
    press(other, "Step")
    expect(other).to_have_attribute("data-step", "1")
    assert step(panel) == before
    expect(other.get_by_role("heading").first).to_contain_text("tiny-resnet")


def test_predict_look_back_branch_code_and_export(notebook: Page, panel: Locator) -> None:
    panel.get_by_label("What to predict").select_option("trainable")
    press(panel, "Ask me")
    panel.get_by_label("My guess").fill("50")
    press(panel, "That is my guess")
    expect(panel.locator(".ft-result")).to_contain_text("points of 100")
    panel.get_by_label("Look back at a step").focus()
    notebook.keyboard.press("Home")
    expect(panel.get_by_role("heading").first).to_contain_text("looking back, step 0")
    press(panel, "Back to now")
    expect(panel.get_by_role("heading").first).to_contain_text("stopped")
    press(panel, "Branch")
    expect(panel).to_have_attribute("data-step", "0")
    panel.get_by_text("Show this run as code").click()
    expect(panel.locator("pre")).to_contain_text("import ftkit as ft")
    panel.get_by_label("Which code").select_option("torch")
    expect(panel.locator("pre")).to_contain_text("import torch")
    with notebook.expect_download() as download:
        press(panel, "Save the run (JSON)")
    run = json.loads(download.value.path().read_text(encoding="utf8"))
    assert run["final"]["model"]["name"] == "tiny-bert"
    shoot(panel, "lab-branched")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_accessible_in_both_themes(notebook: Page, panel: Locator, theme: str) -> None:
    lab_command(notebook, "apputils:change-theme", theme=theme)
    expect(notebook.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    dark = theme.endswith("Dark")
    expect(notebook.locator("body")).to_have_attribute("data-jp-theme-light", "false" if dark else "true")
    red = panel.evaluate("(panel) => Number(getComputedStyle(panel).backgroundColor.match(/\\d+/)[0])")
    assert red < 60 if dark else red > 200
    check_accessible(notebook, ".ft-playground")
    shoot(panel, f"lab-{theme.split()[-1].lower()}")


def test_a_saved_notebook_shows_the_table_without_a_kernel(notebook: Page, panel: Locator, lab: Lab,
                                                           window: Visit) -> None:
    press(panel, "Step")
    now = step(panel) + 1
    expect(panel).to_have_attribute("data-step", str(now))
    expect(notebook.locator('[class^="ftkit-static"]').first).to_contain_text(f"step {now} of")  # it keeps up, unseen
    notebook.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    outputs = nbformat.read(lab.folder / "play.ipynb", 4).cells[0].outputs
    assert [sorted(out.data) for out in outputs] == [["application/vnd.jupyter.widget-view+json", "text/plain"],
                                                     ["image/png", "text/html", "text/plain"]]
    reader = window.page()
    reader.goto(f"{lab.url}/lab?reset")
    reader.wait_for_function("() => window.jupyterapp?.shell.currentWidget")
    lab.notebook("copy.ipynb")
    (lab.folder / "copy.ipynb").write_bytes((lab.folder / "play.ipynb").read_bytes())
    lab_command(reader, "docmanager:open", path="copy.ipynb",
                kernelPreference={"shouldStart": False, "canStart": False, "autoStartDefault": False})
    static = reader.locator('[class^="ftkit-static"]').first
    expect(static).to_be_visible()
    expect(static.get_by_role("row").nth(1)).to_contain_text("stem")
    expect(reader.locator(".ft-playground")).to_have_count(0)
    shoot(reader, "lab-without-kernel")
    reader.close()


def test_after_a_restart_the_cells_run_again(notebook: Page, panel: Locator) -> None:
    notebook.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    notebook.wait_for_function(IDLE)
    press(panel, "Step")  # the old panel has no Python behind it any more
    expect(panel.get_by_role("alert")).to_contain_text("run")
    run_all(notebook)
    expect(panel.get_by_role("heading").first).to_contain_text("ready, step 0")
    press(panel, "Step")
    expect(panel).to_have_attribute("data-step", "1")
