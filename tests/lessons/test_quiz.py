"""The quiz of each lesson: right and wrong answers, with and without scripts, and nothing from another host."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from kernels import executed

import ftkit as ft
from ftkit.errors import UnknownName
from ftkit.lessons.execute import clean
from ftkit.lessons.questions import QUESTIONS
from ftkit.lessons.quiz import Question

LESSONS = sorted(file.name[:2] for file in (Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
EACH = [(lesson, question) for lesson, questions in QUESTIONS.items() for question in questions]


def test_every_lesson_has_a_quiz() -> None:
    assert sorted(QUESTIONS) == LESSONS
    assert all(3 <= len(questions) <= 6 for questions in QUESTIONS.values())


@pytest.mark.parametrize(("lesson", "question"), EACH)
def test_one_answer_is_right_and_each_wrong_one_says_why(lesson: str, question: Question) -> None:
    answers = question.entry()["answers"]
    assert [a["answer"] for a in answers if a["correct"]] == [question.right]
    assert len({a["answer"] for a in answers}) == len(answers) >= 3
    assert len({a["feedback"] for a in answers}) == len(answers)
    assert all(a["feedback"].endswith((".", "!")) for a in answers)
    said = dict(question.answers())
    assert said[question.right].startswith("Right. ")
    assert sum(text.startswith("No. ") for text in said.values()) == len(answers) - 1


def test_the_right_answer_is_not_always_in_the_same_place() -> None:
    places = [[answer for answer, _ in question.answers()].index(question.right) for _, question in EACH]
    assert len(set(places)) == 3
    longest = sum(len(question.right) > max(map(len, question.wrong)) for _, question in EACH)
    assert longest <= 0.5 * len(EACH)  # else one could guess it by its length


def test_an_unknown_lesson() -> None:
    with pytest.raises(UnknownName, match=r"'4'.*04"):
        ft.lessons.quiz("4")


def test_the_form_without_scripts() -> None:
    text = ft.lessons.quiz("00").to_html()
    assert text.count("<summary>") == sum(1 + len(question.wrong) for question in QUESTIONS["00"])
    assert "<script" not in text
    assert "Right. " in text


SOURCE = """
import random, ftkit as ft
random.seed(5)
shown = ft.lessons.quiz("00")
display(shown)
print("next number:", random.random())
"""


def run(source: str) -> list[dict]:
    return executed(source).cells[0].outputs


def test_in_a_kernel_jupyterquiz_shows_it_and_asks_no_other_host() -> None:
    static, page, code, printed = run(SOURCE)
    script = code["data"]["application/javascript"]
    assert "jsdelivr" not in script
    assert not re.search(r"src\\s*=\\s*['\"]https?:", page["data"]["text/html"] + script)
    assert all(question.right in script for question in QUESTIONS["00"])
    assert "ftkit-quiz-00" in static["data"]["text/html"]  # the form without scripts, which the script takes away
    assert ".ftkit-quiz-00" in script
    random.seed(5)
    assert printed["text"] == f"next number: {random.random()}\n"  # a student's own seed is not touched


def test_a_committed_notebook_keeps_the_form_without_scripts() -> None:
    notebook = executed(SOURCE)
    clean(notebook)
    kept = notebook.cells[0].outputs
    assert not any("application/javascript" in out.get("data", {}) for out in kept)
    assert [out["output_type"] for out in kept] == ["display_data", "stream"]
    assert "<details>" in kept[0]["data"]["text/html"]


def test_without_jupyterquiz_the_answers_unfold() -> None:
    page, printed = run("import sys; sys.modules['jupyterquiz'] = None\n" + SOURCE)
    assert "<details>" in page["data"]["text/html"]
    assert printed["name"] == "stdout"
