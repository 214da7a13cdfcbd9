"""Playground: what a notebook gets of it, its messages, and runs that are saved and loaded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from nets import data_for, tiny

import ftkit as ft
from ftkit.errors import DiskError, TrainingDiverged, UserError
from ftkit.widgets.panel import Panel, Throttle
from ftkit.widgets.playground import Playground

LIVE = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def play() -> Playground:
    return Playground(tiny("bert"), data_for("text"), epochs=4, lr=1e-3, batch_size=8)


def listen(play: Playground) -> tuple[list[Any], Any]:
    """What the panel sends to the page, and a function that lets the page send a message."""
    sent: list[Any] = []
    play.panel.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]
    return sent, lambda cmd, **args: play.panel._handle_custom_msg({"cmd": cmd, "args": args}, [])


def wait_until(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- forms ----------------------------------------------------------------------------------------------------------


def test_a_bundle_holds_all_forms(play: Playground) -> None:
    bundle = play._repr_mimebundle_()
    assert sorted(bundle) == [LIVE, "image/png", "text/html", "text/plain"]
    assert bundle[LIVE]["model_id"] == play.panel.model_id
    assert f'class="ftkit-static-{play.panel.static_id}"' in bundle["text/html"]
    assert "tiny-bert: ready, step 0 of 12" in bundle["text/plain"]


def test_words_are_the_same_whenever_a_run_is_repeated(play: Playground) -> None:
    again = Playground(tiny("bert"), data_for("text"), epochs=4, lr=1e-3, batch_size=8)
    for one in (play, again):
        one.run("last_k:k=1", 5)
    assert repr(play) == repr(again) == "Playground(tiny-bert: paused, step 5 of 12, epoch 2 of 4)"
    assert play._text() == again._text()


def test_a_notebook_gets_the_panel_and_after_it_the_static_form(play: Playground, monkeypatch: Any) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: type("Shell", (), {"kernel": 1})())
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((sorted(data), options)))
    monkeypatch.setattr("IPython.display.update_display", lambda data, **options: shown.append((sorted(data), options)))
    play.refresh_static()
    assert shown == []  # never shown: there is nothing to refresh
    play._ipython_display_()
    play.refresh_static()
    assert [kinds for kinds, _ in shown] == [[LIVE, "text/plain"], *2 * [["image/png", "text/html", "text/plain"]]]
    assert shown[1][1]["display_id"] == shown[2][1]["display_id"] == play.panel.static_id


def test_a_terminal_gets_the_text_once(play: Playground, capsys: Any) -> None:
    play._ipython_display_()
    assert capsys.readouterr().out.count("tiny-bert: ready") == 1


# --- messages -------------------------------------------------------------------------------------------------------


def test_the_page_steers_the_run_and_sees_what_became_of_it(play: Playground) -> None:
    sent, say = listen(play)
    say("set_group", group="block 2", state="trains")
    say("step")
    assert sent == [{"reply": "set_group", "value": True}, {"reply": "step", "value": True}]
    wait_until(lambda: play.panel.state["step"] == 1)
    assert play.experiment.wait(20)
    rows = {row["name"]: row["state"] for row in play.snapshot()["groups"]}
    assert rows["block 2"] == "trains"
    assert json.loads(json.dumps(play.panel.state)) == play.panel.state


@pytest.mark.parametrize(("cmd", "args", "why"), [
    ("togle", {"group": "head"}, "Did you mean 'toggle'"), ("toggle", {"group": "blok 1"}, "block 1"),
    ("toggle", {}, "group"), ("set_group", {"group": "head", "state": "frozen"}, "nothing would train"),
    ("scale", {"group": "head", "value": "much"}, "much")])
def test_a_mistake_goes_back_to_the_page_in_words(play: Playground, cmd: str, args: Any, why: str) -> None:
    sent, say = listen(play)
    say(cmd, **args)
    assert len(sent) == 1
    assert why in sent[0]["error"]
    assert sent[0]["cmd"] == cmd


@pytest.mark.parametrize("message", [None, "run", {}, {"cmd": None}, {"cmd": "step", "args": 3}])
def test_nonsense_from_the_page_is_answered_and_breaks_nothing(play: Playground, message: Any) -> None:
    sent, _ = listen(play)
    play.panel._handle_custom_msg(message, [])
    assert "error" in sent[-1]
    assert play.snapshot()["status"] == "ready"


def test_a_callback_answers_at_once_and_trains_in_another_thread(play: Playground) -> None:
    _, say = listen(play)
    threads = []
    play.experiment.session.on_step = lambda row: threads.append(threading.current_thread())
    started = time.perf_counter()
    say("run")
    assert time.perf_counter() - started < 0.5
    say("pause")
    assert play.experiment.wait(20)
    say("step")
    assert play.experiment.wait(20)
    assert threads
    assert threading.main_thread() not in threads


def test_messages_may_come_from_any_thread(play: Playground) -> None:
    sent, say = listen(play)
    threads = [threading.Thread(target=say, args=("toggle",), kwargs={"group": f"block {i}"}) for i in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message["value"] for message in sent] == [True, True]
    play.run(None, 1)
    states = {row["name"]: row["state"] for row in play.snapshot()["groups"]}
    assert (states["block 1"], states["block 2"]) == ("trains", "trains")


def test_the_page_is_told_at_most_five_times_a_second() -> None:
    play = Playground(tiny("bert"), data_for("text"), epochs=2000, lr=1e-3, batch_size=8)
    _, say = listen(play)
    times: list[float] = []
    play.panel.observe(lambda change: times.append(time.monotonic()), "state")
    began = time.monotonic()
    say("run")
    time.sleep(1.5)
    say("stop")
    assert play.experiment.wait(20)
    wait_until(lambda: play.panel.state["status"] == "stopped")  # the last state always arrives
    assert len(times) >= 3
    assert all(sent - began >= 0.2 * before for before, sent in enumerate(times))


def test_code_and_files_are_sent_to_the_page(play: Playground) -> None:
    sent, say = listen(play)
    say("code")
    assert set(sent[-1]["value"]) == {"torch", "ftkit"}
    say("export")
    assert json.loads(sent[-1]["value"]["text"])["final"]["model"]["name"] == "tiny-bert"
    say("export_page")
    assert sent[-1]["value"]["name"].endswith(".html")
    assert sent[-1]["value"]["text"].startswith("<!doctype html>")


def test_a_run_that_broke_off_is_still_shown() -> None:
    """Weights that are no longer finite must not make a state that no browser can read."""
    play = Playground(tiny("bert"), data_for("text"), "full", epochs=4, lr=1e30, batch_size=8)
    with pytest.raises(TrainingDiverged):
        play.run(None, 8)
    json.dumps(play.snapshot(), allow_nan=False)
    json.dumps(play.export(), allow_nan=False)
    assert "tiny-bert: failed, step 1 of 12" in play.static_bundle()["text/plain"]
    assert "learning rate" in play.static_bundle()["text/html"]


# --- runs that are saved --------------------------------------------------------------------------------------------


def test_a_saved_run_is_looked_back_at_without_its_model(play: Playground, tmp_path: Path) -> None:
    play.run("all", 6)
    play.export(tmp_path / "run.json")
    loaded = Playground.load(tmp_path / "run.json")
    assert loaded.snapshot()["curves"] == play.snapshot()["curves"]
    loaded.command("scrub", step=0)
    assert "looking back, step 0" in loaded._text()
    with pytest.raises(UserError, match="recording"):
        loaded.run("all", 1)
    with pytest.raises(UserError, match="recording"):
        loaded.command("toggle", group="head")
    sent, say = listen(loaded)
    step = play.snapshot()["recorded"][1]
    say("scrub", step=step)
    wait_until(lambda: loaded.panel.state["showing"] == step)
    assert sent == [{"reply": "scrub", "value": True}]
    assert loaded.export() == json.loads((tmp_path / "run.json").read_text(encoding="utf8"))


def test_a_replay_page_needs_nothing_else_and_no_text_breaks_out_of_it(play: Playground, tmp_path: Path) -> None:
    play.command("checkpoint", label="</script><script>alert(1)</script>")
    assert play.experiment.wait(20)
    play.export(tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text(encoding="utf8")
    assert "alert(1)" in page
    assert page.count("</script>") == 2
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[\w./]+", page) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "something"}', '{"kind": "ftkit run", "version": 9}'])
def test_what_is_no_run_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match="export"):
        Playground.load(tmp_path / "run.json")


def test_files_that_cannot_be_read_or_written(play: Playground, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json"):
        Playground.load(tmp_path / "none.json")
    with pytest.raises(UserError, match=r"\.json or \.html"):
        play.export(tmp_path / "run.txt")
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="could not be written"):
        play.export(tmp_path / "file" / "run.json")
    play.export(tmp_path / "missing" / "run.json")  # a folder that is not there yet is made
    assert Playground.load(tmp_path / "missing" / "run.json")


def test_an_export_that_breaks_off_leaves_the_older_one(play: Playground, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    play.export(tmp_path / "run.json")
    before = (tmp_path / "run.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftkit.disk.os.replace", full)
    with pytest.raises(DiskError, match="disk is full"):
        play.export(tmp_path / "run.json")
    assert (tmp_path / "run.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


# --- parts ----------------------------------------------------------------------------------------------------------


def test_a_throttle_never_loses_the_last_poke_and_never_sends_twice_at_once() -> None:
    times, inside, together = [], [], []

    def send() -> None:
        inside.append(1)
        together.append(len(inside))
        times.append(time.monotonic())
        time.sleep(0.01)
        inside.pop()

    throttle, began = Throttle(send, per_second=20), time.monotonic()
    for _ in range(30):
        time.sleep(0.005)
        last = time.monotonic()
        throttle.poke()
    wait_until(lambda: times and times[-1] >= last)
    assert set(together) == {1}
    assert all(sent - began >= 0.05 * before for before, sent in enumerate(times))  # each a pause after the one before


def test_a_throttle_sends_in_a_thread_of_its_own() -> None:
    threads: list[threading.Thread] = []
    Throttle(lambda: threads.append(threading.current_thread())).poke()
    wait_until(lambda: threads)
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


def test_an_unforeseen_error_reaches_the_page() -> None:
    panel = Panel(lambda name, arguments: {}[name])
    sent: list[Any] = []
    panel.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]
    panel._handle_custom_msg({"cmd": "x"}, [])
    assert sent == [{"error": "KeyError: 'x'", "cmd": "x"}]


def test_importing_the_package_imports_nothing_large() -> None:
    code = ("import ftkit.widgets, sys; names = {m.split('.')[0] for m in sys.modules};"
            "print(sorted(names & {'torch', 'ipywidgets', 'anywidget', 'matplotlib', 'IPython'}))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_logic_works_without_any_notebook_library() -> None:
    code = """import sys
for name in ("IPython", "ipywidgets", "anywidget"):
    sys.modules[name] = None
import ftkit as ft
from nets import data_for, tiny
play = ft.widgets.Playground(tiny("bert"), data_for("text", n=8), epochs=1)
play.run("all", 1)
print(play.rendered().text[:9])"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert run.stdout == "tiny-bert\n", run.stderr


def test_names_are_found_and_functions_win_over_their_modules() -> None:
    import_module("ftkit.widgets.render")  # the module of that name must not hide the function
    assert callable(ft.widgets.render)
    assert ft.widgets.Playground is Playground
    for name in ft.widgets.__all__:
        assert callable(getattr(ft.widgets, name)), name
    with pytest.raises(AttributeError, match=r"Did you mean 'ftkit\.widgets\.Playground'"):
        _ = ft.widgets.Playgrund
