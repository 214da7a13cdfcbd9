"""Between a small panel and its page: commands come in, regions go out, and whatever goes wrong is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from panel_helpers import tiny_map

import ftkit as ft
from ftkit.errors import UserError
from ftkit.strategies import make_strategy
from ftkit.widgets.small_panel import SmallPanel
from ftkit.widgets.small_view import SmallView


class Counter(SmallPanel):
    """A panel that counts, and fails when it is told to."""

    title = "Counter"
    commands = ("add", "fail")

    def __init__(self) -> None:
        super().__init__()
        self.count, self.files, self.refreshed = 0, [], 0  # type: ignore[var-annotated]

    def add(self, by: int, content: bytes = b"") -> None:
        self.count += by
        self.files.append(content)
        self.changed(f"Now {self.count}.")

    def fail(self) -> None:
        raise RuntimeError("a bug")

    def regions(self) -> dict[str, str]:
        return {"count": f"<p>{self.count}</p>"}

    def _text(self) -> str:
        return f"Counter: {self.count}"

    def _html(self) -> str:
        return f"<p>{self.count}</p>"

    def refresh_static(self) -> None:
        self.refreshed += 1


def send(view: SmallView, content: Any, *buffers: bytes) -> dict[str, Any]:
    view._on_message(view, content, [memoryview(buffer) for buffer in buffers])
    return view.state


def test_a_command_changes_the_panel_and_the_page() -> None:
    panel = Counter()
    view = panel.panel
    assert view.state == {"title": "Counter", "regions": {"count": "<p>0</p>"}, "say": "", "trouble": False,
                          "answered": 0}
    state = send(view, {"cmd": "add", "args": {"by": 2}}, b"file")
    assert state == {"title": "Counter", "regions": {"count": "<p>2</p>"}, "say": "Now 2.", "trouble": False,
                     "answered": 1}
    assert panel.files == [b"file"]
    assert panel.refreshed == 1  # the static form of a saved notebook follows


@pytest.mark.parametrize(("content", "said"), [
    ({"cmd": "ad", "args": {"by": 1}}, "Did you mean 'add'"),
    ({"cmd": "refresh_static"}, "Unknown command"),
    ({"cmd": "__init__"}, "Unknown command"),
    ({"cmd": "add", "args": {"to": 1}}, "add: .*'to'"),
    ({"cmd": "add", "args": {"by": "x"}}, "add: unsupported"),
    ({"cmd": "fail"}, "This went wrong: RuntimeError, a bug."),
    ({}, "KeyError"),
    (None, "TypeError"),
])
def test_what_goes_wrong_is_shown_and_answered(content: Any, said: str) -> None:
    view = Counter().panel
    state = send(view, content)
    assert re.search(said, state["say"]), state["say"]
    assert state["trouble"]
    assert state["answered"] == 1
    state = send(view, {"cmd": "add", "args": {"by": 1}})  # and the next command works
    assert (state["say"], state["trouble"]) == ("Now 1.", False)


def test_changes_from_python_reach_the_page_too() -> None:
    panel = Counter()
    view = panel.panel
    panel.add(5)
    assert view.state["regions"] == {"count": "<p>5</p>"}
    assert view.state["answered"] == 0


def test_one_view_for_all_places() -> None:
    panel = Counter()
    assert panel.panel is panel.panel
    assert panel.panel.static_id in panel.static_bundle()["text/html"]


def test_the_public_names_stay_functions_after_their_modules_are_imported() -> None:
    import ftkit.widgets.compare
    import ftkit.widgets.label
    import ftkit.widgets.predictor  # noqa: F401

    for name in ("compare", "freeze_map", "label", "predictor"):
        for _ in range(2):
            assert callable(getattr(ft.widgets, name))
        assert name in dir(ft.widgets)


def test_a_grid_is_a_strategy_wherever_one_is_asked_for() -> None:
    grid = ft.widgets.freeze_map(tiny_map(), "last_k:k=1", epochs=2)
    assert make_strategy(grid) == grid.strategy
    assert "block 2 to head: trains throughout" in ft.viz.freeze_map(tiny_map(), grid, epochs=2).alt

    class Other:
        strategy = "probe"

    with pytest.raises(UserError, match="A strategy is a name"):
        make_strategy(Other())
