"""What every panel has in common: it is live where there is a kernel, and has a static form everywhere else.

Nothing here imports ipywidgets: a plain terminal, and a test without a browser, need only the static forms.
"""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.widgets.panel import Panel

STATIC = Path(__file__).parent / "static"


def static_files(*names: str) -> str:
    """The files of ftkit/widgets/static, one after another: what a panel's script or style is made of."""
    return "\n".join((STATIC / name).read_text(encoding="utf8") for name in names)


class Shown:
    """Something that a notebook shows as a panel. A child writes `_text`, `_html`, `_png` and `_make_panel`.

    A notebook gets two outputs: the live panel, and after it the static form, which the panel hides while it lives.
    With one output that holds both, JupyterLab shows "model not found" when a saved notebook is opened without a
    kernel, and a published book shows nothing at all.
    """

    _panel: Panel | None = None
    _static_id: str = ""

    def _text(self) -> str:
        """The plain form: deterministic, without times or addresses."""
        raise NotImplementedError

    def _html(self) -> str:
        """The accessible form: HTML with inline styles only."""
        raise NotImplementedError

    def _png(self) -> bytes:
        """The picture, for what cannot show HTML."""
        raise NotImplementedError

    def _make_panel(self) -> Panel:
        """The live form, made at most once."""
        raise NotImplementedError

    @property
    def panel(self) -> Panel:
        """The live panel (an anywidget)."""
        if self._panel is None:
            self._panel = self._make_panel()
            self._static_id = self._panel.static_id = uuid.uuid4().hex[:12]
        return self._panel

    def static_bundle(self) -> dict[str, str]:
        """text/html, image/png (base64) and text/plain of now."""
        return self._bundle(self._text(), self._html(), self._png())

    def _bundle(self, text: str, html: str, png: bytes) -> dict[str, str]:
        """Forms as Jupyter takes them; the class is how the panel finds what to hide."""
        return {"text/html": f'<div class="ftkit-static-{self._static_id or "only"}">{html}</div>',
                "image/png": base64.b64encode(png).decode("ascii"), "text/plain": text}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Everything in one bundle, for viewers that choose among forms."""
        return {**self._live_bundle()[0], **self.static_bundle()}

    def _live_bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What Jupyter needs to show the live panel, and what else Colab needs."""
        live: Any = self.panel._repr_mimebundle_()
        return live if isinstance(live, tuple) else (live or {}, {})

    def _ipython_display_(self) -> None:
        """For notebooks: the live panel, then the static form as an output of its own."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if getattr(get_ipython(), "kernel", None) is None:  # a terminal: it would print both
            print(self._text())
            return
        data, metadata = self._live_bundle()
        display({**data, "text/plain": repr(self)}, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        display(self.static_bundle(), raw=True, display_id=self._static_id)  # type: ignore[no-untyped-call]

    def refresh_static(self) -> None:
        """Bring the static form up to date in the notebook, so that a saved notebook shows how it ended."""
        from IPython.core.getipython import get_ipython
        from IPython.display import update_display

        if self._static_id and getattr(get_ipython(), "kernel", None) is not None:
            update_display(self.static_bundle(), raw=True, display_id=self._static_id)  # type: ignore[no-untyped-call]
