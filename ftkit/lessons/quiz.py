"""A short quiz per lesson: click an answer and read at once why it is right or wrong. Nothing is noted down.

In a notebook jupyterquiz shows it. Where no script runs (in a published book, say) the same questions stand there as
answers to unfold, which needs nothing but HTML.
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.errors import check_name

# jupyterquiz writes in #fafafa: contrast 9.7, 7.6 and 6.1.
_COLOURS = {"--jq-multiple-choice-bg": "#264653", "--jq-incorrect-color": "#9b2226", "--jq-correct-color": "#2d6a4f"}

# jupyterquiz knows the mouse only: its radio buttons are put back, unseen, so that the Tab key and Space find them, and
# what is said of an answer is spoken. Its colours are for light themes: the background makes them hold in dark ones.
_STYLE = """<style>
.Quiz .Feedback { background: #fafafa; border-radius: 6px; padding: 0.2em }
.Quiz .MCButton { position: relative }
.Quiz .MCButton input { display: inline !important; position: absolute; opacity: 0 }
.Quiz .MCButton:focus-within { outline: 3px solid #e9a23b; outline-offset: 1px }
</style>"""
_AFTER = """
document.querySelectorAll('.ftkit-quiz-%s').forEach((list) => list.remove());
document.querySelectorAll('.Quiz .Feedback').forEach((said) => said.setAttribute('aria-live', 'polite'));"""


@dataclass(frozen=True)
class Question:
    """One question with one right answer.

    Args:
        text: The question.
        right: The right answer.
        because: What is said of it.
        wrong: Of each plausible wrong answer, what is wrong with it.
    """

    text: str
    right: str
    because: str
    wrong: Mapping[str, str]

    def entry(self) -> dict[str, Any]:
        """As jupyterquiz takes it."""
        answers = [{"answer": self.right, "correct": True, "feedback": self.because}]
        answers += [{"answer": answer, "correct": False, "feedback": why} for answer, why in self.wrong.items()]
        return {"question": self.text, "type": "multiple_choice", "answers": answers}

    def answers(self) -> list[tuple[str, str]]:
        """(answer, what is said of it) in alphabetical order: the right one is not always the first."""
        said = {self.right: f"Right. {self.because}"} | {answer: f"No. {why}" for answer, why in self.wrong.items()}
        return sorted(said.items())


@dataclass(frozen=True)
class Quiz:
    """The questions of a lesson; shows itself when it is the last line of a cell."""

    lesson: str
    questions: Sequence[Question]

    def __repr__(self) -> str:
        lines = []
        for number, question in enumerate(self.questions, 1):
            lines += [f"{number}. {question.text}", *(f"   - {answer}" for answer, _ in question.answers())]
        return "\n".join(lines)

    def to_html(self) -> str:
        """The questions, with answers to unfold: works without scripts."""
        parts = []
        for question in self.questions:
            answers = "".join(f"<li><details><summary>{html.escape(answer)}</summary>{html.escape(said)}</details></li>"
                              for answer, said in question.answers())
            parts.append(f"<li><p>{html.escape(question.text)}</p><ul>{answers}</ul></li>")
        return f'<ol class="ftkit-quiz-{self.lesson}">{"".join(parts)}</ol>'

    def script(self) -> tuple[str, str]:
        """jupyterquiz's HTML and JavaScript; the latter then takes away the form without scripts. In a kernel only.

        Raises:
            ImportError: jupyterquiz is not installed.
        """
        from IPython.utils.capture import capture_output
        from jupyterquiz import display_quiz

        state = random.getstate()
        random.seed(f"quiz {self.lesson}")  # it names its parts by chance: the same in each run, and no seed is touched
        try:
            with capture_output() as caught:
                display_quiz([question.entry() for question in self.questions], colors=_COLOURS, border_radius=6)
        finally:
            random.setstate(state)
        found = {kind: text for output in caught.outputs for kind, text in output.data.items()}
        # For formulas it would fetch MathJax from another host. There are none here.
        code = re.sub(r"script\.src = '[^']*';", "return;", found["application/javascript"])
        return found["text/html"] + _STYLE, f"{code}\n{_AFTER % self.lesson}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        static = {"text/html": self.to_html(), "text/plain": repr(self)}
        try:
            page, code = self.script()
        except ImportError:
            display(static, raw=True)  # type: ignore[no-untyped-call]
            return
        for data in (static, {"text/html": page, "text/plain": ""}, {"application/javascript": code, "text/plain": ""}):
            display(data, raw=True)  # type: ignore[no-untyped-call]


def quiz(lesson: str) -> Quiz:
    """The quiz of a lesson, such as quiz("04").

    Raises:
        UnknownName: No such lesson.
    """
    from ftkit.lessons.questions import QUESTIONS  # it takes Question from here

    return Quiz(lesson, QUESTIONS[check_name("lesson", lesson, QUESTIONS)])
