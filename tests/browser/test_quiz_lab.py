"""The quiz in a real JupyterLab: wrong and right answers say why, and the form without scripts gives way."""

from __future__ import annotations

from browser_helpers import Lab, Visit, check_accessible, lab_command, run_all, shoot
from playwright.sync_api import expect

from ftkit.lessons.questions import QUESTIONS

# A formula makes JupyterLab load its MathJax: only then does jupyterquiz think of fetching its own from another host.
CELLS = ("from IPython.display import Math\nMath('x^2')", "import ftkit as ft\nft.lessons.quiz('00')")


def test_answers_say_why(lab: Lab, visit: Visit) -> None:
    lab.notebook("quiz.ipynb", *CELLS)
    page = visit.open(lab, "quiz.ipynb")
    run_all(page)
    question = QUESTIONS["00"][0]
    asked = page.locator(".Quiz").filter(has_text=question.text)
    wrong, why = next(iter(question.wrong.items()))
    asked.get_by_text(wrong, exact=True).click()
    expect(asked.locator(".Feedback")).to_have_text(why)
    asked.locator(".MCButton").filter(has_text=question.right).locator("input").focus()
    page.keyboard.press("Space")
    expect(asked.locator(".Feedback")).to_have_text(question.because)
    expect(page.locator(".ftkit-quiz-00")).to_have_count(0)
    page.wait_for_timeout(1500)  # jupyterquiz looks for formulas half a second later; `visit` sees what it asks for
    lab_command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_timeout(500)
    check_accessible(page, ".Quiz")
    shoot(page, "quiz")


def test_without_scripts_the_answers_unfold_by_keyboard(visit: Visit) -> None:
    import ftkit as ft

    page = visit.page()
    page.set_content(f'<html lang="en"><title>Quiz</title><main>{ft.lessons.quiz("00").to_html()}</main></html>')
    question = QUESTIONS["00"][0]
    summary = page.get_by_text(question.right, exact=True).first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Right. {question.because}")).to_be_visible()
    check_accessible(page, "main")
    shoot(page, "quiz-static")
