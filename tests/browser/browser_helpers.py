"""What browser tests share: windows that see only this machine, notebooks in JupyterLab, accessibility, screenshots."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page
from windows import asked_elsewhere

from ftkit.widgets.base import static_files

PATIENCE = 60_000  # milliseconds: kernels start slowly on a busy machine
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@dataclass
class Lab:
    """A running JupyterLab: its address, the folder it serves, and the log of refused connections."""

    url: str
    folder: Path
    asked: Path

    def notebook(self, name: str, *cells: str) -> Path:
        """Write a notebook of code cells."""
        file = self.folder / name
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        code = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), file)
        return file


class Visit:
    """A window of its own; `asked` lists what pages wanted from other machines, `errors` what went wrong in scripts."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True, **options)
        self.context.set_default_timeout(PATIENCE)
        self.asked = asked_elsewhere(self.context)
        self.errors: list[str] = []

    def page(self) -> Page:
        """A new tab; it fails the test later if a script in it failed."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def open(self, lab: Lab, name: str) -> Page:
        """A notebook in JupyterLab, when its kernel is ready."""
        page = self.page()
        page.goto(f"{lab.url}/doc/tree/{name}")
        page.wait_for_function(IDLE)
        return page

    def close(self) -> None:
        """Close the window."""
        self.context.close()


def run_all(page: Page) -> None:
    """Run all cells of the open notebook, and wait until the last one is done."""
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")


def lab_command(page: Page, name: str, **arguments: Any) -> None:
    """A command of JupyterLab, as its menus run it."""
    page.evaluate("([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, arguments])


def standalone(page: Page, scripts: tuple[str, ...], styles: tuple[str, ...], code: str, data: Any = None) -> None:
    """A page with a panel's own scripts and styles and nothing else; `code` may use `data` and `root`."""
    page.goto("about:blank")
    page.set_content(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A panel</title><style>body {{ margin: 0; '
        f'color-scheme: light dark }}\n{static_files(*styles)}</style></head><body><main id="root"></main>'
        f'<script type="module">{static_files(*scripts)}\nconst root = document.getElementById("root");\n'
        f'const data = {json.dumps(data)};\n{code}\nwindow.ready = true;</script></body></html>')
    page.wait_for_function("() => window.ready")


def check_accessible(page: Page, inside: str) -> None:
    """axe finds no violation inside this element (a CSS selector)."""
    found = Axe().run(page, context=inside).response["violations"]
    told = [f"{v['id']}: {v['help']} — {[node['html'][:200] for node in v['nodes'][:3]]}" for v in found]
    assert not found, "\n".join(told)


def check_nothing_clipped(panel: Locator) -> None:
    """No element's words stick out of it, of the panel, or of the picture they are in."""
    clipped = panel.evaluate("""(panel) => {
        const found = [], outer = panel.getBoundingClientRect();
        for (const node of panel.querySelectorAll('*')) {
            const words = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
            const unseen = '.ft-unseen, [hidden], option, style, details:not([open]) > :not(summary)';
            if ((!words && !node.matches('td, th, button, dt, dd')) || node.closest(unseen)) continue;
            const box = node.getBoundingClientRect();
            if (!box.width) continue;
            const frame = (node.closest('svg') ?? panel).getBoundingClientRect();
            if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.right > outer.right + 1 ||
                (node.closest('svg') && (box.top < frame.top - 1 || box.bottom > frame.bottom + 1))) {
                found.push(`out of its frame: ${node.textContent.trim().slice(0, 60)}`);
            }
            const style = getComputedStyle(node);
            const block = !(node instanceof SVGElement) && style.display !== 'inline';
            const scrolls = ['auto', 'scroll'].includes(style.overflowX);
            if (block && !scrolls && node.scrollWidth > node.clientWidth + 1) {
                found.push(`too long for its place: ${node.tagName} ${node.textContent.trim().slice(0, 60)}`);
            }
        }
        return found;
    }""")
    assert not clipped, "\n".join(clipped)


def shoot(target: Page | Locator, name: str) -> None:
    """A screenshot into the folder that FTKIT_SHOTS names, for people to look at; nothing without it."""
    folder = os.environ.get("FTKIT_SHOTS")
    if not folder:
        return
    path = str(Path(folder) / f"{name}.png")
    if isinstance(target, Page):
        target.screenshot(path=path, full_page=True)
        return
    small = target.page.viewport_size
    target.page.set_viewport_size({"width": 1400, "height": 2400})  # a notebook scrolls: the panel must fit into it
    target.screenshot(path=path)
    if small:
        target.page.set_viewport_size(small)
