"""The published book: built once, without a network, from what is committed; then read as a reader's browser does."""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Page, expect
from windows import asked_elsewhere

import ftkit

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
sys.path.insert(0, str(BOOK))
from lesson_words import read_glossary  # noqa: E402

TERMS = read_glossary(BOOK / "glossary.md")
# What lessons have in bold to stress it, and not because it is a term. Anything else in bold needs a glossary entry.
NOT_TERMS = {"as trained", "drawn road signs", "in five minutes", "negation", "once", "one rate", "optimizer's trap",
             "shift + enter", "so", "try it", "two blocks", "while it trains"}


@dataclass
class Built:
    """A build: its folder, what it printed, the connections it tried, and its pages and their anchors, read once."""

    html: Path
    run: subprocess.CompletedProcess[str]
    tried: str

    def __post_init__(self) -> None:
        self.pages = {file.relative_to(self.html).as_posix(): BeautifulSoup(file.read_bytes(), "html.parser")
                      for file in sorted(self.html.rglob("*.html")) if "_static" not in file.parts}
        self.anchors = {name: {str(node["id"]): node for node in page.find_all(id=True)}  # to search anew takes long
                        for name, page in self.pages.items()}

    def lesson(self, lesson: Path) -> BeautifulSoup:
        return self.pages[f"notebooks/{lesson.stem}.html"]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The book as `make book` builds it, in a process that has no network."""
    out = tmp_path_factory.mktemp("book")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "netblock"), "NETBLOCK_LOG": str(out / "tried.txt")}
    env.pop("BOOK_REPOSITORY", None)
    run = subprocess.run([sys.executable, str(BOOK / "build_book.py"), "--out", str(out)], env=env, cwd=out,
                         capture_output=True, text=True, timeout=570)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    tried = out / "tried.txt"
    return Built(out / "html", run, tried.read_text() if tried.exists() else "")


def test_it_is_built_without_a_network_and_without_warnings(book: Built) -> None:
    assert book.tried == ""
    assert "WARNING" not in book.run.stderr
    assert {f"notebooks/{lesson.stem}.html" for lesson in LESSONS} < set(book.pages)


# --- the API's reference: what Python says of ftkit, against what the pages say ---------------------------------------


def public() -> list[tuple[str, str]]:
    """(module, name) of everything public, from the imported package: the pages are made from its source."""
    found = []
    for module in ftkit._MODULES:
        loaded = import_module(f"ftkit.{module}")
        own = [name for name, value in vars(loaded).items() if not name.startswith("_") and callable(value)
               and getattr(value, "__module__", "") == loaded.__name__]
        found += [(module, name) for name in getattr(loaded, "__all__", own)]
    return found


def entry(book: Built, module: str, path: str) -> tuple[Tag, Tag]:
    """The signature and the text of a name."""
    signature = book.anchors[f"api/{module}.html"].get(f"ftkit.{module}.{path}")
    assert isinstance(signature, Tag), f"{module}.{path} is on no page"
    assert signature.name == "dt"
    text = signature.find_next_sibling("dd")
    assert isinstance(text, Tag)
    return signature, text


def words(text: str) -> set[str]:
    """The words of a docstring or of a page; the headings of sections are Sphinx's business."""
    sections = r"^\s*(Args|Attributes|Returns|Raises|Yields|Example|Examples|Note):\s*$"
    return set(re.findall(r"\w+", re.sub(sections, "", text, flags=re.MULTILINE)))


def missing(book: Built, module: str, path: str, value: object) -> set[str]:
    doc = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    name = path.rpartition(".")[2]
    assert not doc.startswith(f"{name}("), f"{module}.{path} has only the docstring that dataclasses are given"
    assert doc, f"{module}.{path} has no docstring"
    return words(doc) - words(entry(book, module, path)[1].get_text(" "))


def test_every_public_name_has_a_docstring_that_reached_its_page(book: Built) -> None:
    assert len(public()) > 60
    for module, name in public():
        value = getattr(import_module(f"ftkit.{module}"), name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert not missing(book, module, name, value), (module, name)
        else:  # a constant: Python does not keep the text below it
            assert entry(book, module, name)[1].get_text(strip=True), f"{module}.{name} has no docstring"


def test_methods_reached_their_page(book: Built) -> None:
    seen = 0
    for module, name in public():
        kind = getattr(import_module(f"ftkit.{module}"), name)
        for own, member in vars(kind).items() if inspect.isclass(kind) else ():
            member = getattr(member, "__func__", member)
            function = member.fget if isinstance(member, property) else member
            written = inspect.isfunction(function) and function.__module__.startswith("ftkit.")
            if written and member.__doc__ and not own.startswith("_"):
                assert not missing(book, module, f"{name}.{own}", member), (module, name, own)
                seen += 1
    assert seen > 60


def test_signatures_are_those_of_python(book: Built) -> None:
    for module, name in public():
        value = getattr(import_module(f"ftkit.{module}"), name)
        if inspect.isfunction(value) or (inspect.isclass(value) and "__init__" in vars(value)):
            parameters = inspect.signature(value).parameters
            shown = words(entry(book, module, name)[0].get_text(" "))
            assert set(parameters) <= shown, (module, name)
            assert "self" not in shown


def test_top_level_names_are_listed(book: Built) -> None:
    listed = {link.get_text(strip=True) for link in book.pages["api/index.html"].find_all("a")}
    assert {f"ft.{name}" for name in ftkit._WHERE} <= listed


def test_lessons_that_docstrings_name_are_links(book: Built) -> None:
    seen = 0
    there = {lesson.name[:2]: lesson.stem for lesson in LESSONS}
    for module, name in public():
        value = getattr(import_module(f"ftkit.{module}"), name)
        doc = (value.__doc__ or "") if inspect.isclass(value) or inspect.isroutine(value) else ""
        links = {str(link["href"]) for link in entry(book, module, name)[1].find_all("a", href=True)}
        for number in set(re.findall(r"[Ll]essons? (\d\d)", doc)) & set(there):
            assert f"../notebooks/{there[number]}.html" in links, (module, name)
            seen += 1
    assert seen > 20


def test_sources_are_linked_when_the_repository_is_known(book: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    places = json.loads((book.html.parent / "places.json").read_text(encoding="utf8"))
    assert {f"ftkit.{module}.{name}" for module, name in public()} <= set(places)
    for path, place in places.items():
        file, first = re.fullmatch(r"(.+)#L(\d+)-L\d+", place).groups()  # type: ignore[union-attr]
        lines = (ROOT / file).read_text(encoding="utf8").splitlines()[int(first) - 1:][:4]  # decorators stand above
        assert path.rpartition(".")[2] in " ".join(lines), (path, place)
    assert "linkcode" not in str(runpy.run_path(str(BOOK / "conf.py"))["extensions"])
    monkeypatch.setenv("BOOK_REPOSITORY", "https://example.org/ftkit/")
    settings = runpy.run_path(str(BOOK / "conf.py"))
    settings["PLACES"].update(places)
    assert "sphinx.ext.linkcode" in settings["extensions"]
    link = settings["linkcode_resolve"]("py", {"module": "ftkit.training", "fullname": "fit"})
    assert link == f"https://example.org/ftkit/blob/main/{places['ftkit.training.fit']}"


# --- the glossary -----------------------------------------------------------------------------------------------------


def markdown(lesson: Path) -> str:
    """The prose of a lesson: its Markdown cells, without code."""
    cells = json.loads(lesson.read_text(encoding="utf8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def terms_of(lesson: Path) -> set[str]:
    """What a lesson introduces: short phrases in bold, and the left columns of its tables of words."""
    text = markdown(lesson)
    bold = {" ".join(phrase.split()).lower() for phrase in re.findall(r"\*\*(.+?)\*\*", text, re.DOTALL)}
    found = {phrase for phrase in bold if len(phrase.split()) <= 3 and not re.search(r"[.?!:]$", phrase)
             and not re.match(r"(exercise|trap|q)\s?\d", phrase)}
    for table in re.findall(r"(?:Words that you need.*\n\n|\| column \|.*\n)((?:\|.*\n)+)", text):
        cells = [line.split("|")[1] for line in table.splitlines() if not re.match(r"[|\s-]+$", line)]
        found |= {part.strip().lower() for cell in cells for part in cell.split(",")} - {""}
    return found - NOT_TERMS


def test_the_glossary_has_every_term_that_a_lesson_introduces() -> None:
    known = {form.strip("*").lower() for term in TERMS for form in (*term.names, *term.also, *term.only, *term.forms)}
    for lesson in LESSONS:
        unknown = terms_of(lesson) - known
        assert not unknown, (f"{lesson.name} has {sorted(unknown)} in bold or in a table of words. Explain them in "
                             "book/glossary.md; if they are no terms, name them in NOT_TERMS above.")
    assert {"head", "stem", "logits", "learning rate", "drift"} <= set.union(*map(terms_of, LESSONS))


def test_entries_are_in_order_short_and_used(book: Built) -> None:
    names = [term.names[0].lower() for term in TERMS]
    assert names == sorted(set(names))
    everywhere = [form for term in TERMS for form in term.forms]
    assert len(everywhere) == len(set(everywhere)), "a form belongs to one term"
    page = book.pages["glossary.html"]
    for term in TERMS:
        assert 1 <= len(re.findall(r"[.!?](?=\s|$)", term.text)) <= 2, term.names
        back = page.find("a", href=re.compile(rf"#{term.anchor}$"))
        assert isinstance(back, Tag), f"no lesson uses '{term.names[0]}'"
        number = re.search(r"notebooks/(\d\d)", str(back["href"]))[1]  # type: ignore[index]
        assert back.get_text() == f"lesson {number}"
        earlier = [lesson for lesson in LESSONS if lesson.name[:2] < number]
        assert not any(term.anchor in book.anchors[f"notebooks/{lesson.stem}.html"] for lesson in earlier)


def test_terms_in_lessons_are_linked_once(book: Built) -> None:
    for lesson in LESSONS:
        links = book.lesson(lesson).find_all("a", href=re.compile(r"glossary\.html#term-"))
        targets = [str(link["href"]) for link in links]
        assert len(targets) > 20
        assert len(targets) == len(set(targets))
        assert not any(link.find_parent(["code", "pre", "h1", "h2", "h3", "h4"]) for link in links)


def test_the_first_word_outside_of_code_headings_and_links_is_linked(tmp_path: Path) -> None:
    from sphinx.application import Sphinx

    pages = {"glossary.md": "# Glossary\n\n```{glossary}\n.. only: *full*\nfull tuning\n    All.\n\n"
                            ".. also: probing\nlinear probe\nprobe\n    The head alone.\n```\n",
             "index.md": "# Index\n\n```{toctree}\nglossary\nnotebooks/00_a\nnotebooks/01_b\n```\n"}
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf8")
    (tmp_path / "notebooks").mkdir()
    one = ["# A probe\n\n`probe`, [a probe](https://example.org), the full story, lesson 01, lesson 00.",
           "```\nprobe\n```\n\nThe *linear\nprobe*, then probes and probing. A *full* one."]
    for name, cells in {"00_a": one, "01_b": ["# B\n\nLessons 00 and 01. Unprobed, a **linear probe**."]}.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(cell) for cell in cells])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    warnings = io.StringIO()
    settings = {"extensions": ["myst_nb", "lesson_words"], "nb_execution_mode": "off", "html_theme": "basic"}
    app = Sphinx(tmp_path, None, tmp_path / "html", tmp_path / "trees", "html", settings, None, warnings)
    app.build()
    assert app.statuscode == 0
    assert warnings.getvalue() == ""
    read = {name: BeautifulSoup((tmp_path / "html" / f"{name}.html").read_bytes(), "html.parser").find(role="main")
            for name in ("notebooks/00_a", "notebooks/01_b", "glossary")}
    links = {name: [(" ".join(link.get_text().split()), link["href"]) for link in main.select("a.internal")]  # type: ignore[union-attr]
             for name, main in read.items()}
    assert links["notebooks/00_a"] == [("lesson 01", "01_b.html"),
                                       ("linear probe", "../glossary.html#term-linear-probe"),
                                       ("full", "../glossary.html#term-full-tuning")]
    assert links["notebooks/01_b"] == [("Lessons 00", "00_a.html"),
                                       ("linear probe", "../glossary.html#term-linear-probe")]
    assert links["glossary"] == [("lesson 00", "notebooks/00_a.html#first-full-tuning"),
                                 ("lesson 00", "notebooks/00_a.html#first-linear-probe")]


# --- the pages --------------------------------------------------------------------------------------------------------


def outputs(lesson: Path) -> list[dict]:
    cells = json.loads(lesson.read_text(encoding="utf8"))["cells"]
    return [out.get("data", {}) for cell in cells for out in cell.get("outputs", [])]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_outputs_are_in_the_page(book: Built, lesson: Path) -> None:
    page = book.lesson(lesson)
    static = [out for out in outputs(lesson) if "ftkit-static" in "".join(out.get("text/html", ""))]
    shown = page.find_all(class_=re.compile("^ftkit-static"))
    assert len(shown) == len(static)
    for out, panel in zip(static, shown, strict=True):
        assert BeautifulSoup("".join(out["text/html"]), "html.parser").get_text() == panel.get_text()
    pictures = [out for out in outputs(lesson) if "image/png" in out and "text/html" not in out]
    assert len(page.select("div.cell_output img[src*='_images']")) == len(pictures) > 0
    assert "model not found" not in page.get_text().lower()
    assert not page.find("script", type="application/vnd.jupyter.widget-view+json")


def test_every_picture_says_in_words_what_it_shows(book: Built) -> None:
    seen = 0
    for name, page in book.pages.items():
        for image in page.select("article img:not([src*='_static/'])"):  # those are the theme's own signs
            alt = str(image.get("alt", "")).strip()
            assert len(alt.split()) >= 3, f"{name}: {image.get('src', '')[:60]} says {alt!r}"
            assert not re.search(r"^<.*>$|\.(?:png|jpe?g|svg)$", alt), f"{name}: {alt!r}"
            seen += 1
    assert seen > 30


def test_some_lesson_has_a_playground(book: Built) -> None:
    assert any("backward pass" in panel.get_text() for lesson in LESSONS
               for panel in book.lesson(lesson).find_all(class_=re.compile("^ftkit-static")))


def test_solutions_are_not_published(book: Built) -> None:
    published = "".join(file.read_text(encoding="utf8") for file in book.html.rglob("*")
                        if file.suffix in {".html", ".js", ".txt", ".ipynb"} and "_static" not in file.parts)
    for lesson in LESSONS:
        for cell in json.loads(lesson.read_text(encoding="utf8"))["cells"]:
            solution = cell["metadata"].get("ftkit", {}).get("solution", "")
            assert not solution or json.dumps(solution)[1:-1] not in published
    assert not list(book.html.rglob("*.ipynb"))


def plain(text: str) -> str:
    """Words and digits alone: Sphinx makes quotation marks typographic."""
    return " ".join(re.findall(r"\w+", text))


def test_contents_name_every_lesson(book: Built) -> None:
    for name in book.pages:
        side = book.pages[name].find(class_="bd-sidebar-primary")
        assert isinstance(side, Tag)
        titles = {plain(link.get_text()) for link in side.find_all("a")}
        for lesson in LESSONS:
            title = markdown(lesson).splitlines()[0]
            assert plain(title) in titles, (name, title)


def test_links_lead_somewhere(book: Built) -> None:
    seen = 0
    for name, page in book.pages.items():
        for node in (*page.find_all(href=True), *page.find_all(src=True)):
            link = urlsplit(str(node.get("href") or node.get("src")))
            if link.scheme or link.netloc:
                assert node.name == "a" or link.scheme == "data", f"{name} fetches {link.geturl()[:80]}"
                continue
            target = (book.html / name).parent / unquote(link.path) if link.path else book.html / name
            assert target.is_file(), f"{name}: {link.geturl()}"
            own = target.resolve().relative_to(book.html.resolve()).as_posix()
            if link.fragment and own in book.pages:
                assert unquote(link.fragment) in book.anchors[own], f"{name}: {link.geturl()}"
            seen += 1
    assert seen > 1000


def test_no_path_of_this_machine(book: Built) -> None:
    for file in book.html.rglob("*"):
        if file.suffix in {".html", ".js", ".json", ".txt"} and "_static" not in file.parts:
            text = file.read_text(encoding="utf8")
            found = re.search(r"(?<![\w.])/(?:home|root|tmp|Users|work|private)/[\w./-]*", text)
            assert found is None, (file.name, found)
            assert str(book.html.parent) not in text


# --- in a browser -----------------------------------------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(book: Built) -> Iterator[str]:
    """Where the book is served, as GitHub Pages would: below a folder of the host."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(book.html.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/html"
        server.shutdown()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A window that reaches nothing but this machine; the test fails if a page tried, or if a script of it failed."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    asked = asked_elsewhere(context)
    errors: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert asked == [], "the book asked other machines"
    assert errors == []


def test_no_page_asks_another_machine(book: Built, address: str, page: Page) -> None:
    for name in book.pages:
        page.goto(f"{address}/{name}")
        images = "[...document.images].filter((image) => image.loading !== 'lazy')"
        assert page.evaluate(f"{images}.filter((image) => !image.naturalWidth).map((image) => image.src)") == [], name


def test_it_opens_from_a_folder_too(book: Built, page: Page) -> None:
    page.goto((book.html / "index.html").as_uri())
    page.locator("article").get_by_role("link", name="Start here").click()
    page.wait_for_url("**/00_start_here.html")


# axe looks at every element of a page before it judges a few: the words of a lesson would cost it ten times the time.
PANELS_ALONE = """() => {
    const panel = '[class^=ftkit-static]';
    for (const node of document.querySelectorAll('article *, .bd-sidebar-primary *, .bd-sidebar-secondary *')) {
        if (node.isConnected && !node.closest(panel) && !node.querySelector(panel)) node.remove();
    }
}"""


def test_static_panels_are_visible_and_readable(address: str, page: Page) -> None:
    with_panels = 0
    for lesson in LESSONS:
        page.emulate_media(color_scheme="light")
        page.goto(f"{address}/notebooks/{lesson.stem}.html")
        check_panels(page, "light")
        if page.locator("[class^=ftkit-static]").count():  # not every lesson has one
            with_panels += 1
            page.evaluate(PANELS_ALONE)
            check_contrast(page)
        page.emulate_media(color_scheme="dark")
        check_panels(page, "dark")
        if page.locator("[class^=ftkit-static]").count():
            check_contrast(page)
    assert with_panels >= 5


def check_panels(page: Page, scheme: str) -> None:
    """The page has the theme of this scheme, and each panel can be seen."""
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    for panel in page.locator("[class^=ftkit-static]").all():
        assert panel.is_visible()
        assert panel.bounding_box()["height"] > 20  # type: ignore[index]


def check_contrast(page: Page) -> None:
    """The words of each panel stand out from what is behind them."""
    found = Axe().run(page, context="[class^=ftkit-static]", options={"runOnly": ["color-contrast"]}).response
    assert found["passes"]
    assert not found["violations"], [node["html"][:200] for v in found["violations"] for node in v["nodes"][:5]]


def test_search_finds_a_lesson_and_a_name(address: str, page: Page) -> None:
    for asked, expected in (("batchnorm", "notebooks/04_layer_freezing_lab"), ("GradualUnfreeze", "api/strategies")):
        page.goto(f"{address}/search.html?q={asked}")
        page.locator(f"#search-results a[href*='{expected}']").first.wait_for()


def test_a_term_opens_its_entry(address: str, page: Page) -> None:
    page.goto(f"{address}/notebooks/{LESSONS[0].stem}.html")
    page.locator("article a[href$='#term-epoch']").click()
    page.wait_for_url("**/glossary.html#term-epoch")
    assert page.locator("#term-epoch").is_visible()
