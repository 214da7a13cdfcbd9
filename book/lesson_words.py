"""A Sphinx extension: words of the lessons become links. The notebooks themselves are not touched.

In each lesson the first occurrence of a glossary term leads to the glossary, and there each term leads back to the very
first one. "Lesson 04" leads to lesson 04, on every page. Code, headings and links stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

LESSONS = "notebooks/"
_KEPT = (nodes.literal, nodes.literal_block, nodes.title, nodes.reference, nodes.raw, nodes.image, nodes.comment,
         addnodes.pending_xref, addnodes.download_reference, addnodes.desc_signature, addnodes.toctree)
_LESSON = re.compile(r"\b[Ll]essons?\s(?P<one>\d\d)\b|(?<=[Ll]essons \d\d and )(?P<other>\d\d)\b")


@dataclass
class Term:
    """An entry of the glossary.

    Args:
        names: The term, then its synonyms.
        also: Other forms that are linked, such as "thawed".
        only: If given, the only forms that are linked, as they are: for words that mean something else as well. A form
            between asterisks is linked only where the lesson has it in bold or italics.
        text: The definition.
    """

    names: list[str]
    also: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def forms(self) -> dict[str, bool]:
        """Every form that is linked, in lower case, with the plain plurals; True: only in bold or italics."""
        if self.only:
            return {form.strip("*").lower(): form.startswith("*") for form in self.only}
        forms = [form.lower() for form in (*self.names, *self.also)]
        return dict.fromkeys([*forms, *(f"{form}s" for form in forms if not form.endswith("s"))], False)

    @property
    def anchor(self) -> str:
        """The name of its first occurrence in a lesson."""
        return "first-" + re.sub(r"\W+", "-", self.names[0].lower()).strip("-")


def read_glossary(file: Path) -> list[Term]:
    """The terms of glossary.md, in its order.

    Sphinx takes lines that begin with two dots for comments. One that begins with ".. also:" or ".. only:", before a
    term, gives other forms of it: see `Term`.
    """
    inside = re.search(r"^```\{glossary\}\n(.*?)^```", file.read_text(encoding="utf8"), re.DOTALL | re.MULTILINE)
    terms = []
    for block in re.split(r"\n\s*\n", inside[1].strip() if inside else ""):
        lines = block.splitlines()
        forms = {kind: [form.strip() for line in lines if line.startswith(f".. {kind}:")
                        for form in line.split(":", 1)[1].split(",")] for kind in ("also", "only")}
        names = [line for line in lines if not line.startswith((" ", ".. "))]
        terms.append(Term(names, **forms, text=" ".join(line.strip() for line in lines if line.startswith(" "))))
    return terms


def matcher(terms: list[Term]) -> tuple[re.Pattern[str], dict[str, Term]]:
    """What finds every form in a text, the longest first, and the term of each form in lower case."""
    owners = {form: term for term in terms for form in term.forms}
    longest = sorted(owners, key=len, reverse=True)
    spaced = (r"\s+".join(map(re.escape, form.split())) for form in longest)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(spaced) or '(?!)'})(?![\w-])", re.IGNORECASE), owners


class LinkWords(SphinxTransform):
    """Runs on each page when it has been read."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Link lessons everywhere, and terms in lessons."""
        self.seen: set[str] = set()
        if self.env.docname.startswith(LESSONS):
            self.pattern, self.owners = matcher(read_glossary(Path(self.env.srcdir) / "glossary.md"))
            self._replace(self.pattern, self._term)
        self._replace(_LESSON, self._lesson)

    def _replace(self, pattern: re.Pattern[str], link: Any) -> None:
        for parent, text in list(_texts(self.document)):
            made: list[nodes.Node] = []
            done = 0
            for match in pattern.finditer(text):
                if (node := link(match, parent)) is not None:
                    made += [nodes.Text(text[done:match.start()]), node]
                    done = match.end()
            if made:
                parent.replace(text, [*made, nodes.Text(text[done:])])

    def _term(self, match: re.Match[str], parent: nodes.Node) -> nodes.Node | None:
        form = " ".join(match[0].lower().split())
        term = self.owners[form]
        if term.names[0] in self.seen or (term.forms[form] and not isinstance(parent, nodes.strong | nodes.emphasis)):
            return None
        self.seen.add(term.names[0])
        first: dict[str, dict[str, str]] = self.env.__dict__.setdefault("ftkit_first", {})
        first.setdefault(term.names[0], {})[self.env.docname] = term.anchor
        link = addnodes.pending_xref("", nodes.inline("", match[0], classes=["std", "std-term"]), refdomain="std",
                                     reftype="term", reftarget=term.names[0], refexplicit=True, refwarn=True,
                                     refdoc=self.env.docname)
        return nodes.inline("", "", link, ids=[term.anchor])

    def _lesson(self, match: re.Match[str], _: nodes.Node) -> nodes.Node | None:
        pages = [page for page in self.env.found_docs if page.startswith(f"{LESSONS}{match['one'] or match['other']}_")]
        if not pages or pages == [self.env.docname]:
            return None
        return addnodes.pending_xref("", nodes.inline("", match[0]), refdomain="std", reftype="doc", refwarn=True,
                                     reftarget=f"/{pages[0]}", refexplicit=True, refdoc=self.env.docname)


def _texts(document: nodes.document) -> Iterator[tuple[Any, nodes.Text]]:
    """Every text that may hold links, in the order of reading, with the node that it stands in."""
    for parent in list(document.findall(nodes.TextElement)):
        _join(parent)
    for text in document.findall(nodes.Text):
        node = text.parent
        while node is not None and not isinstance(node, _KEPT):
            node = node.parent
        if node is None:
            yield text.parent, text


def _join(parent: Any) -> None:
    """Make one text of the lines of a paragraph: a term may go over the end of a line."""
    joined: list[nodes.Node] = []
    for child in parent.children:
        if joined and isinstance(child, nodes.Text) and isinstance(joined[-1], nodes.Text):
            joined[-1] = nodes.Text(joined[-1] + child)
        else:
            joined.append(child)
    parent.children = []
    parent.extend(joined)


def lead_back(app: Sphinx, document: nodes.document, page: str) -> None:
    """In the glossary, say of each term in which lesson it comes first."""
    if page != "glossary":
        return
    for item in document.findall(nodes.definition_list_item):
        places = app.env.__dict__.get("ftkit_first", {}).get(item[0].astext(), {})
        if places:
            lesson = min(places)
            to = f"{app.builder.get_relative_uri(page, lesson)}#{places[lesson]}"  # type: ignore[union-attr]
            number = lesson.removeprefix(LESSONS)[:2]
            link = nodes.reference("", f"lesson {number}", refuri=to, internal=True)
            item[-1] += nodes.paragraph("", "First in ", link, nodes.Text("."), classes=["first-in"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_transform(LinkWords)
    app.connect("doctree-resolved", lead_back)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
