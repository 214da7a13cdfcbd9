"""Playground: freeze and thaw layers while a real model trains, and see at once what each choice costs and brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ftkit.disk import write_whole
from ftkit.errors import UserError
from ftkit.strategies import Plan, Strategy
from ftkit.widgets.base import Shown
from ftkit.widgets.render import Rendered, render
from ftkit.widgets.words import Snapshot, title


class Playground(Shown):
    """A training run to play with. In a notebook it is a panel of switches, elsewhere a table.

    Args:
        model: From `load_backbone`. It is trained in place.
        data: From `load_data`.
        strategy: What trains at first, such as "probe" or "last_k:k=2".
        epochs: Length of the whole run.
        seed: Of the order of batches and of dropout.
        settings: As for `fit`: lr, batch_size, …

    Attributes:
        experiment: The logic behind it, an Experiment (of a loaded run: a Recording).

    Raises:
        UserError: An unknown strategy or setting, or data that do not suit the model.

    Lesson 04.
    """

    def __init__(self, model: Any, data: Any, strategy: str | Strategy = "probe", *, epochs: int = 10, seed: int = 0,
                 **settings: Any) -> None:
        from ftkit.widgets.experiment import Experiment

        self.experiment: Any = Experiment(model, data, strategy, epochs=epochs, seed=seed, **settings)

    @classmethod
    def load(cls, path: str | Path) -> Playground:
        """A run that `export` saved, to look back at: its model is not needed and nothing can be trained.

        Raises:
            UserError: No such file, or not an exported run.
        """
        from ftkit.widgets.recording import Recording

        try:
            run = json.loads(Path(path).read_text(encoding="utf8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"'{path}' cannot be read as an exported run: {error}. "
                            'Playground.export("run.json") writes one.') from error
        play = cls.__new__(cls)
        play.experiment = Recording.from_export(run)
        return play

    def run(self, plan: str | Strategy | Plan | None = None, steps: int | None = None) -> Snapshot:
        """Train here and now, without a panel or a thread; the panel would give the same losses bit for bit.

        Args:
            plan: A preset or strategy, or scales by group such as {"head": 1, "block 5": 0.1}; None keeps what is.
            steps: Optimizer steps; None for all that are left.

        Returns:
            The snapshot afterwards.

        Raises:
            UserError: An unknown plan, the run is at its end, or this is a recording.
        """
        if not hasattr(self.experiment, "train"):
            raise UserError("This is a recording: it can be looked back at, but not trained. "
                            "Make a new Playground(model, data) to train.")
        snapshot: Snapshot = self.experiment.train(plan, steps)
        return snapshot

    def command(self, name: str, /, **arguments: Any) -> Any:
        """What a switch or button of the panel does, such as command("toggle", group="block 3").

        Raises:
            UserError: An unknown command or value.
        """
        return self.experiment.command(name, **arguments)

    def snapshot(self) -> Snapshot:
        """Everything that the panel shows, as plain numbers and words."""
        snapshot: Snapshot = self.experiment.snapshot()
        return snapshot

    def export(self, path: str | Path | None = None) -> dict[str, Any]:
        """The whole run as plain data, to load again or to hand in.

        Args:
            path: Where to write it too: "run.json" for `Playground.load`, "run.html" for a page that replays it in any
                browser, without Python.

        Raises:
            UserError: Another ending.
            DiskError: It could not be written.
        """
        run: dict[str, Any] = self.experiment.export()
        if path is not None:
            file = Path(path)
            if file.suffix not in (".json", ".html"):
                raise UserError(f"export writes .json or .html, not '{file.name}'.")
            write_whole(file, _as_file(run, file.suffix).encode())
        return run

    # --- how it shows itself ----------------------------------------------------------------------------------------

    def rendered(self) -> Rendered:
        """The static forms of now: `.text`, `.html`, `.picture`, `.png`."""
        return render(self.snapshot())

    def _text(self) -> str:
        return self.rendered().steady_text

    def static_bundle(self) -> dict[str, str]:
        """text/html, image/png and text/plain of one and the same moment."""
        now = self.rendered()
        return self._bundle(now.steady_text, now.html, now.png)

    def _make_panel(self) -> Any:
        from ftkit.widgets.view import PlaygroundView

        return PlaygroundView(self.experiment, self._answer, self.refresh_static)

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        """Obey the page. Everything here is quick: training has a thread of its own."""
        if name == "code":
            return self.experiment.code()
        if name in ("export", "export_page"):
            suffix = ".json" if name == "export" else ".html"
            kind = "application/json" if name == "export" else "text/html"
            return {"name": f"ftkit-run{suffix}", "type": kind, "text": _as_file(self.experiment.export(), suffix)}
        self.experiment.command(name, **arguments)
        return True

    def __repr__(self) -> str:
        return f"Playground({title(self.snapshot())})"


def _as_file(run: dict[str, Any], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(run, ensure_ascii=False)
    from ftkit.widgets.replay_page import replay_page

    return replay_page(run)
