"""The playground as an HTML table: inline styles only, readable without them, in light and in dark."""

from __future__ import annotations

import base64
from typing import Any

from ftkit.viz.style import BLUE, ORANGE
from ftkit.viz.words import count
from ftkit.widgets.markup import tag
from ftkit.widgets.render_curves import curves_height
from ftkit.widgets.render_picture import curves_picture
from ftkit.widgets.words import (
    BACKWARD,
    FLOW_NOTE,
    MEASURES,
    Snapshot,
    curve_words,
    event_words,
    facts,
    measure,
    question_words,
    state_words,
    title,
)

# The page's own ink and paper: colours are only in the bars, where both black and white are around them.
_CELL = "padding:2px 8px;text-align:left;vertical-align:middle;border-bottom:1px solid rgba(128,128,128,.4)"
_NUMBER = f"{_CELL};white-space:nowrap;font-variant-numeric:tabular-nums"
_FILL = {"trains": BLUE, "partly": f"repeating-linear-gradient(-45deg,{ORANGE} 0 4px,transparent 4px 7px)",
         "frozen": "repeating-linear-gradient(45deg,#888 0 2px,transparent 2px 6px)"}
_LINE = {"stored": f"4px solid {BLUE}", "passes": f"4px dotted {BLUE}", "none": "4px solid transparent"}
_BAR = 70  # pixels of the longest bar of a column


def as_html(snapshot: Snapshot) -> str:
    """The whole state: header, table, curves with a text alternative; see `render`."""
    header = [f"{tag('span', name)}: {tag('strong', value)}" for name, value in facts(snapshot)]
    below = [tag("span", text) for text in (*map(curve_words, snapshot["curves"]), *event_words(snapshot),
                                            question_words(snapshot)) if text]
    parts = [_paragraph(tag("strong", title(snapshot))), _paragraph("<br>".join(header)),
             _paragraph(tag("strong", snapshot["message"])) if snapshot["message"] else "",
             f'<div style="overflow-x:auto" role="region" tabindex="0" aria-label="Layers">{_table(snapshot)}</div>',
             _paragraph(tag("span", FLOW_NOTE)), _curves(snapshot), _paragraph("<br>".join(below))]
    return f'<div style="font-size:14px;line-height:1.45;color:inherit">{"".join(parts)}</div>'


def _paragraph(html: str) -> str:
    return f'<p style="margin:4px 0">{html}</p>'


def _table(snapshot: Snapshot) -> str:
    heads = [("layer group", None), ("state", None), ("parameters", None), *((name, why) for _, name, why in MEASURES),
             (BACKWARD, FLOW_NOTE)]
    head = "".join(tag("th", name, scope="col", title=why, style=f"{_CELL};font-weight:bold") for name, why in heads)
    longest = {key: max([group[key] or 0 for group in snapshot["groups"]], default=0) for key, _, _ in MEASURES}
    rows = "".join(_row(group, longest) for group in snapshot["groups"])
    caption = tag("caption", "Layer groups, input at the top", style="text-align:left;caption-side:top;padding:2px 0")
    return (f'<table style="border-collapse:collapse;font-size:14px;margin:0">{caption}'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")


def _row(group: dict[str, Any], longest: dict[str, float]) -> str:
    chip = (f'<span aria-hidden="true" style="display:inline-block;width:22px;height:11px;margin-right:6px;'
            f'border:1px solid;background:{_FILL[group["state"]]}"></span>')
    cells = [tag("th", group["name"], scope="row", style=f"{_NUMBER};font-weight:bold"),
             f'<td style="{_NUMBER}">{chip}{tag("span", state_words(group))}</td>',
             tag("td", count(group["parameters"]), style=_NUMBER)]
    cells += [f'<td style="{_NUMBER}">{tag("span", measure(group, key))}{_bar(group, key, longest[key])}</td>'
              for key, _, _ in MEASURES]
    warned = "".join(f'<tr><td colspan="{len(cells)}" style="{_CELL}">{tag("strong", f"Warning! {text}")}</td>'
                     f'<td style="{_flow(group)}"></td></tr>' for text in group["warnings"])
    cells.append(tag("td", group["gradient"], style=_flow(group)))
    return f"<tr>{''.join(cells)}</tr>{warned}"


def _flow(group: dict[str, Any]) -> str:
    return f"{_NUMBER};border-left:{_LINE[group['gradient']]}"


def _bar(group: dict[str, Any], key: str, longest: float) -> str:
    if not longest or not group[key]:
        return ""
    width = max(2, round(_BAR * group[key] / longest))
    return (f'<span aria-hidden="true" style="display:block;width:{width}px;height:7px;border:1px solid;'
            f'background:{_FILL[group["state"]]}"></span>')


def _curves(snapshot: Snapshot) -> str:
    """The curves as an image inside the page; nothing before the first step."""
    if not curves_height(snapshot):
        return ""
    picture = curves_picture(snapshot)
    image = base64.b64encode(picture.png()).decode("ascii")
    return (f'<img alt="{tag("i", picture.alt)[3:-4]}" style="max-width:100%;width:1000px" '
            f'src="data:image/png;base64,{image}">')
