"""Whatever shows a run neither changes nor breaks it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from nets import data_for, tiny

from ftkit.errors import UnknownName
from ftkit.training import TrainSession, fit, progress

_OPTIONS: dict[str, Any] = {"epochs": 2, "precision": "fp32", "batch_size": 4}


class Fails:
    """A display that fails in one of its methods, once it has been called a few times."""

    def __init__(self, where: str, after: int = 0) -> None:
        self.where, self.after = where, after
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def called(*_: Any) -> None:
            self.calls.append(name)
            if name == self.where and self.calls.count(name) > self.after:
                raise RuntimeError("no front end")

        return called


def losses(**options: Any) -> list[float]:
    return [row["loss"] for row in fit(tiny("bert"), data_for("text"), "full", **_OPTIONS, **options).steps]


@pytest.mark.parametrize(("where", "after"), [("step", 0), ("step", 5), ("epoch", 1), ("close", 0)])
def test_a_panel_that_fails_gives_way_to_the_bar_and_the_run_is_the_same(
    where: str, after: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = losses(progress=False)
    display = Fails(where, after)
    monkeypatch.setattr(progress, "notebook_panel", lambda session: display)
    rows: list[Any] = []
    with pytest.warns(UserWarning, match=r"progress failed \(RuntimeError: no front end\)"):
        assert losses(progress=True, on_step=rows.append) == plain
    assert len(rows) == len(plain)  # the caller's own observer misses nothing
    assert ("step" in capsys.readouterr().err) == (where != "close")  # the bar took over


def test_warnings_that_are_errors_do_not_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setattr(progress, "notebook_panel", lambda session: Fails("step"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert len(losses(progress=True)) == 12


def test_a_bar_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.Bar, "step", lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        assert len(losses(progress=True)) == 12


def test_an_error_of_the_callers_own_observer_is_still_the_callers() -> None:
    with pytest.raises(KeyError, match="mine"):
        losses(progress=True, on_step=lambda row: {}["mine"])


def test_a_terminal_gets_the_bar_and_a_pipe_gets_nothing(capsys: pytest.CaptureFixture[str],
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    losses()
    assert capsys.readouterr().err == ""
    losses(progress=True)
    assert "training" in capsys.readouterr().err


def test_no_panel_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    session = TrainSession(tiny("bert"), data_for("text"), "probe", **_OPTIONS)
    for shell in (None, SimpleNamespace(kernel=None), SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert progress.notebook_panel(session) is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert progress.notebook_panel(session) is None


def test_a_kernel_without_anywidget_gets_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython",
                        SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel="a kernel")))
    monkeypatch.setitem(sys.modules, "ftkit.widgets.progress", None)  # what an import then does: ImportError
    session = TrainSession(tiny("bert"), data_for("text"), "probe", **_OPTIONS)
    with pytest.warns(UserWarning, match="ModuleNotFoundError"):
        assert isinstance(progress._choose(session, True), progress.Bar)


def test_bar_asks_for_the_bar_even_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "notebook_panel", lambda session: Fails("step"))
    assert len(losses(progress="bar")) == 12  # no warning: the panel was not asked
    with pytest.raises(UnknownName, match="Did you mean 'bar'"):
        losses(progress="bars")
