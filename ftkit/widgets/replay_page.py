"""An exported run as one web page that replays it: no kernel, no network, the same JavaScript as the live panel."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from ftkit.widgets.base import static_files
from ftkit.widgets.render import render
from ftkit.widgets.view import SCRIPTS, STYLES


def replay_page(run: dict[str, Any]) -> str:
    """The page, complete in itself; without JavaScript it shows the static table.

    Args:
        run: What `Playground.export()` returned.
    """
    data = json.dumps(run).replace("</", "<\\/")  # no text of the run can end the script element
    script = static_files(*SCRIPTS)
    name = escape(run["final"]["model"]["name"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A run of {name}, replayed</title>
<style>
body {{ margin: 0; color-scheme: light dark; }}
{static_files(*STYLES)}
</style>
</head>
<body>
<main id="panel"></main>
<noscript>{render(run["final"]).html}</noscript>
<script type="application/json" id="run">{data}</script>
<script type="module">
{script}
replay(document.getElementById("panel"), JSON.parse(document.getElementById("run").textContent));
</script>
</body>
</html>
"""
