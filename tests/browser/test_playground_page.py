"""The playground's page alone, with made-up snapshots in place of Python: how it looks, and what it sends."""

from __future__ import annotations

from typing import Any

import pytest
from browser_helpers import Visit, check_accessible, check_nothing_clipped, shoot, standalone
from playwright.sync_api import Page, expect
from widgets.snapshots import branched, fresh, running

from ftkit.widgets import words
from ftkit.widgets.replay_page import replay_page
from ftkit.widgets.view import SCRIPTS, STYLES

SHOW = """window.sent = [];
window.panel = playground((cmd, args) => window.sent.push([cmd, args]));
root.append(window.panel.node);
window.panel.show(data);"""


def show(visit: Visit, state: dict[str, Any], width: int = 1000, dark: bool = False) -> Page:
    page = visit.page()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if dark else "light")
    standalone(page, SCRIPTS, STYLES, SHOW, state)
    return page


def sent(page: Page) -> list[Any]:
    return page.evaluate("() => window.sent.splice(0)")


@pytest.mark.parametrize("state", [fresh, running, branched], ids=lambda make: make.__name__)
@pytest.mark.parametrize("width", [700, 1000, 1240, 1400])
def test_nothing_is_clipped(visit: Visit, state: Any, width: int) -> None:
    page = show(visit, state(), width)
    check_nothing_clipped(page.locator(".ftkit"))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    shoot(page, f"page-{state.__name__}-{width}")
    assert visit.errors == []


def test_the_check_for_clipped_words_can_fail(visit: Visit) -> None:
    page = show(visit, running(), 700)
    page.add_style_tag(content=".ftkit h3 { width: 90px; white-space: nowrap; overflow: hidden; }")
    with pytest.raises(AssertionError, match="too long for its place"):
        check_nothing_clipped(page.locator(".ftkit"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("state", [fresh, branched], ids=lambda make: make.__name__)
def test_no_violation_of_accessibility_rules(visit: Visit, state: Any, dark: bool) -> None:
    page = show(visit, state(), dark=dark)
    for closed in page.locator("summary").all():
        closed.click()
    check_accessible(page, ".ftkit")
    shoot(page, f"page-{state.__name__}-{'dark' if dark else 'light'}-open")


def test_the_check_for_accessibility_can_fail(visit: Visit) -> None:
    page = show(visit, fresh())
    page.evaluate("() => document.querySelector('.ftkit').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        check_accessible(page, ".ftkit")


def test_nothing_is_too_small_for_a_projector(visit: Visit) -> None:
    page = show(visit, branched())
    sizes = page.locator(".ftkit").evaluate("""(panel) => [...panel.querySelectorAll('*')]
        .filter((node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim()))
        .map((node) => parseFloat(getComputedStyle(node).fontSize))""")
    assert min(sizes) >= 13


def test_a_switch_shows_at_once_what_was_asked_and_the_snapshot_confirms_it(visit: Visit) -> None:
    state = running()
    page = show(visit, state)
    switch = page.get_by_role("switch", name="block 5")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_have_attribute("data-pending", "trains")
    assert sent(page) == [["set_group", {"group": "block 5", "state": "trains"}]]
    page.evaluate("(state) => window.panel.show(state)", state)  # of before: it must not take the wish back
    expect(switch).to_have_attribute("data-pending", "trains")
    state["groups"][6]["state"] = "trains"
    page.evaluate("(state) => window.panel.show(state)", state)
    expect(switch).not_to_have_attribute("data-pending", "trains")
    expect(switch).to_have_text("block 5: trains")
    switch.click()
    switch.click()  # changed one's mind
    assert [arguments["state"] for _, arguments in sent(page)] == ["frozen", "trains"]


def test_a_refused_wish_is_taken_back_and_explained(visit: Visit) -> None:
    page = show(visit, fresh())
    switch = page.get_by_role("switch", name="head")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.evaluate("() => window.panel.receive({ error: 'nothing would train', cmd: 'set_group' })")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("alert")).to_have_text("nothing would train")


def test_arrow_keys_move_between_switches_and_space_switches(visit: Visit) -> None:
    page = show(visit, fresh())
    page.get_by_role("switch", name="stem").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "Space"):
        page.keyboard.press(key)
    assert sent(page) == [["set_group", {"group": "block 0", "state": "trains"}]]
    page.keyboard.press("End")
    expect(page.get_by_role("switch", name="head")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("switch", name="head")).to_be_focused()
    page.keyboard.press("Home")
    expect(page.get_by_role("switch", name="stem")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("stem: share of the learning rate")).to_be_focused()


def test_the_focus_stays_while_snapshots_come_in(visit: Visit) -> None:
    page = show(visit, running())
    page.get_by_role("switch", name="block 3").focus()
    for step in range(141, 150):
        page.evaluate("(state) => window.panel.show(state)", running(step=step))
    expect(page.get_by_role("switch", name="block 3")).to_be_focused()
    expect(page.get_by_role("heading").first).to_contain_text("step 149")


def test_buttons_send_commands_with_their_arguments(visit: Visit) -> None:
    page = show(visit, {**branched(), "status": "paused"})
    page.get_by_label("How far Run goes").select_option("epoch")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_label("k, the number of last blocks").fill("3")
    page.get_by_role("button", name="last k blocks").click()
    page.get_by_label("block 0: share of the learning rate").select_option("0.1")
    page.get_by_role("button", name="Branch", exact=True).click()
    page.get_by_label("Plan of the branch").select_option("all")
    page.get_by_role("button", name="Branch", exact=True).click()
    assert sent(page) == [["run", {"steps": 50}], ["step", {}], ["preset", {"name": "last_k", "k": 3}],
                          ["scale", {"group": "block 0", "value": 0.1}], ["branch", {"checkpoint_id": "1"}],
                          ["branch", {"checkpoint_id": "1", "preset_or_plan": "all"}]]


def test_predict_then_see(visit: Visit) -> None:
    page = show(visit, fresh())
    page.get_by_label("What to predict").select_option("cost")
    page.get_by_role("button", name="Ask me").click()
    assert sent(page) == [["ask", {"question": "cost"}]]
    asked = {"kind": "cost", "text": "How long?", "unit": "%", "guess": None, "answer": None, "score": None}
    page.evaluate("(state) => window.panel.show(state)", fresh(question=asked))
    page.get_by_label("My guess").fill("35")
    page.keyboard.press("Enter")
    assert sent(page) == [["guess", {"value": 35}]]
    answered = {**asked, "guess": 35.0, "answer": 61.5, "score": 73}
    page.evaluate("(state) => window.panel.show(state)", fresh(question=answered))
    expect(page.locator(".ft-result")).to_have_text("You guessed 35 %. Measured: 61.5 %. 73 points of 100.")
    expect(page.get_by_label("My guess")).to_be_hidden()


def test_progress_is_spoken_now_and_then_and_not_at_every_step(visit: Visit) -> None:
    page = show(visit, running())
    spoken = page.locator(".ftkit [role=status]").first
    first = spoken.text_content()
    assert first
    page.evaluate("(states) => states.forEach((state) => window.panel.show(state))",
                  [running(step=step) for step in range(141, 200)])  # at once: a busy machine must not count as time
    assert spoken.text_content() == first
    expect(spoken).to_contain_text("step 199")  # the last words are not lost


def test_a_failure_stays_on_the_page_until_python_takes_it_back(visit: Visit) -> None:
    page = show(visit, fresh(status="failed", message="The loss became NaN."))
    page.evaluate("() => window.panel.receive({ reply: 'scale', value: true })")
    expect(page.get_by_role("alert")).to_have_text("The loss became NaN.")
    page.evaluate("(state) => window.panel.show(state)", fresh())
    expect(page.get_by_role("alert")).to_be_hidden()


def test_nothing_moves_for_those_who_want_less_motion(visit: Visit) -> None:
    page = show(visit, running())
    bar = "() => getComputedStyle(document.querySelector('.ft-progress i')).transitionDuration"
    assert page.evaluate(bar) == "0.2s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(bar) == "0s"


def test_two_hundred_layers_are_drawn_five_times_a_second(visit: Visit) -> None:
    state = running()
    state["groups"] = [{**state["groups"][-1 - i % 5], "name": f"block {i}"} for i in range(200)]
    page = show(visit, state)
    spent = page.evaluate("""(state) => {
        const begun = performance.now();
        for (let i = 0; i < 5; i++) { window.panel.show({ ...state, step: i }); document.body.offsetHeight; }
        return (performance.now() - begun) / 5;
    }""", state)
    assert spent < 200


def test_a_silent_python_is_noticed(visit: Visit) -> None:
    page = show(visit, fresh())
    page.get_by_role("button", name="Step", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("No answer from Python yet")
    page.evaluate("(state) => window.panel.show(state)", fresh(step=1))
    expect(page.get_by_role("alert")).to_be_hidden()


def test_short_numbers_are_the_same_in_both_languages(visit: Visit) -> None:
    page = visit.page()
    values = [0, 0.00099, 0.001, 0.0123456, 0.5, 1, 9.999, 99.96, 100, 123.4, 99_999, 123_456, 1e-7, 0.25, 2.345,
              1e7, 0.997, 0.9993, 0.0995]
    code = "window.said = data.map((v) => [short(v), bytes(Math.floor(v)), percent(Math.min(1, v))]);"
    standalone(page, SCRIPTS, STYLES, code, values)
    own = [[words.short(v), words.size(int(v)), words.percent(min(1, v))] for v in values]
    assert page.evaluate("() => window.said") == own


def test_an_exported_run_replays_without_python(visit: Visit, tmp_path: Any) -> None:
    final = branched()
    states = [{key: value for key, value in {**final, "step": step, "loss": step / 1000}.items()
               if key in ("step", "status", "epoch", "lr", "loss", "seconds", "header", "groups")}
              for step in final["recorded"]]
    run = {"version": 1, "kind": "ftkit run", "final": final, "states": states,
           "code": {"torch": "print('</script>')", "ftkit": "import ftkit"}}
    file = tmp_path / "run.html"
    file.write_text(replay_page(run), encoding="utf8")
    page = visit.page()
    page.goto(file.as_uri())
    expect(page.get_by_role("heading").first).to_contain_text("finished, step 400")
    page.get_by_label("Look back at a step").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading").first).to_contain_text("looking back, step 380")
    expect(page.locator(".ft-facts")).to_contain_text("0.380")
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("heading").first).to_contain_text("finished, step 400")
    page.get_by_text("Show this run as code").click()
    page.get_by_label("Which code").select_option("torch")
    expect(page.locator("pre")).to_have_text("print('</script>')")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_hidden()
    check_accessible(page, ".ftkit")
    assert visit.errors == []
