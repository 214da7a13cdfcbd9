"""What recognisers heard in one sound: rows, as text and as a table with differences marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.tasks.spelling import spell
from ftkit.widgets.difference import KEY, bracketed, differences, errors, marked
from ftkit.widgets.markup import tag, text_table


@dataclass(frozen=True)
class Heard(Sequence[dict[str, Any]]):
    """What was heard in one sound: a row {"model": …, "text": …, "cer": …} for each model.

    Args:
        shown: The sound in words: the file's name and its length.
        texts: By the name of the model.
        reference: What was said; "" if that is not known. Then no row has a "cer".
        notes: What the reader should know, such as that the sound was resampled.
    """

    shown: str
    texts: dict[str, str]
    reference: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Model, text, and the share of wrong letters where what was said is known."""
        return [{"model": name, "text": text, **({"cer": self._rate(text)} if self.reference else {})}
                for name, text in self.texts.items()]

    def _rate(self, text: str) -> float:
        wrong, n = errors(self.reference, text)
        return wrong / n

    @property
    def summary(self) -> str:
        """What the models heard, in one sentence each."""
        return " ".join(f"{row['model']}: “{row['text']}”" + (f", {row['cer']:.0%} of the letters wrong"
                                                               if self.reference else "") + "." for row in self)

    def text(self) -> str:
        """As text; differences in brackets."""
        if not self.reference:
            body = text_table(["model", "heard"], [[name, text] for name, text in self.texts.items()])
            return "\n".join([self.shown, body, *self.notes])
        rows = [[name, bracketed(differences(self.reference, text)), _rate_words(self.reference, text)]
                for name, text in self.texts.items()]
        return "\n".join([self.shown, f"said: {spell(self.reference)}",
                          text_table(["model", "heard", "character error rate"], rows),
                          "[-was said, not heard-] [+heard, not said+]", *self.notes])

    def html(self) -> str:
        """As a table; styles in place, so that it needs no style sheet."""
        cell = "padding:3px 14px 3px 0;text-align:left;border:0;vertical-align:top"
        known = bool(self.reference)
        names = ["model", "heard", *(["character error rate"] if known else [])]
        head = "".join(tag("th", name, scope="col", style=cell) for name in names)
        body = ""
        for name, text in self.texts.items():
            heard = marked(differences(self.reference, text)) if known else tag("span", text or "(nothing)")
            rate = tag("td", _rate_words(self.reference, text), style=cell) if known else ""
            body += (f"<tr>{tag('th', name, scope='row', style=cell)}"
                     f'<td style="{cell};overflow-wrap:anywhere">{heard}</td>{rate}</tr>')
        caption = tag("caption", self.shown, style="text-align:left;caption-side:top;padding:2px 0;font-weight:600")
        notes = [f"Said: {spell(self.reference)}", KEY] if known else []
        below = "".join(tag("p", note, style="margin:2px 0") for note in [*notes, *self.notes])
        return (f'<table style="border-collapse:collapse;margin:4px 0;width:100%;max-width:620px">{caption}'
                f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": f"<div>{self.html()}</div>"}

    def __repr__(self) -> str:
        return self.text()


def _rate_words(reference: str, text: str) -> str:
    wrong, n = errors(reference, text)
    return f"{wrong / n:.0%} ({wrong} of {n})"
