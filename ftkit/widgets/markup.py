"""Small pieces of HTML for the panels. Whatever a user wrote is escaped here, and only here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

# A table that nobody has styled (GitHub, a book) is readable as it is; a notebook adds its own theme.
_TABLE = "border-collapse:collapse;margin:.4em 0"
_CELL = "text-align:left;padding:.15em .8em .15em 0"


def attributes(**values: Any) -> str:
    """HTML attributes: `data_key` becomes data-key, True stands alone, None and False are left out."""
    parts = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{escape(str(value))}"')
    return "".join(parts)


def tag(name: str, text: object = "", /, **values: Any) -> str:
    """An element around a text, which is escaped."""
    return f"<{name}{attributes(**values)}>{escape(str(text))}</{name}>"


def button(text: str, command: str, key: str, arguments: Mapping[str, Any] | None = None, /, **values: Any) -> str:
    """A button that sends a command; `key` is how the page finds it again after its surroundings were drawn anew."""
    return tag("button", text, type="button", data_cmd=command, data_args=json.dumps(dict(arguments or {})),
               data_key=key, **values)


def select(name: str, options: Iterable[str], chosen: str | None, /, **values: Any) -> str:
    """A list to choose one from."""
    inner = "".join(tag("option", option, value=option, selected=option == chosen) for option in options)
    return f"<select{attributes(name=name, **values)}>{inner}</select>"


def field(name: str, value: object, /, **values: Any) -> str:
    """A field to fill in."""
    return f"<input{attributes(name=name, value=value, **values)}>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """A plain table for a page without our style sheet; the first cell of a row is its heading."""
    head = "".join(tag("th", name, scope="col", style=_CELL) for name in header)
    body = "".join(f"<tr>{tag('th', first, scope='row', style=_CELL)}"
                   f"{''.join(tag('td', cell, style=_CELL) for cell in rest)}</tr>" for first, *rest in rows)
    return (f'<table style="{_TABLE}">{tag("caption", caption, style="text-align:left;padding:.3em 0")}'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The same as text, in columns."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines)
