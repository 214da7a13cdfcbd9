"""The workflow for GitHub runs what the Makefile runs, on the versions and systems that ftkit speaks of."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def read(name: str) -> dict[Any, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf8"))


CI = read("ci.yml")
MATRIX = CI["jobs"]["test"]["strategy"]["matrix"]


def commands(*jobs: str) -> list[str]:
    """The shell lines of some jobs."""
    steps = [step for job in jobs for step in CI["jobs"][job]["steps"]]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines()]


def recipe(target: str) -> list[str]:
    """What the Makefile runs for a target, without the folder of the environment."""
    text = (ROOT / "Makefile").read_text(encoding="utf8")
    lines = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1].splitlines()  # type: ignore[index]
    return [line.strip().removeprefix("$(BIN)/") for line in lines]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rights_are_few_and_actions_are_githubs_own(file: Path) -> None:
    workflow = read(file.name)
    rights = [workflow["permissions"]] + [job.get("permissions", {}) for job in workflow["jobs"].values()]
    written = {name for some in rights for name, right in some.items() if right != "read"}
    assert written <= {"pages", "id-token"}, "what a workflow that publishes the book needs, and no more"
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), step["uses"]


def test_it_runs_what_ci_run_runs() -> None:
    local = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    targets = re.findall(r"^make (\w+)", local, re.MULTILINE)
    assert set(targets) == {"style", "test"}, "another command there? Then it belongs into ci.yml too"
    for target in targets:
        assert set(recipe(target)) <= set(commands(target)), target
    (tested,) = [step for step in CI["jobs"]["test"]["steps"] if step.get("run") == recipe("test")[0]]
    assert tested["env"]["HF_HUB_OFFLINE"] == "1"
    lessons = (ROOT / "tests" / "notebooks" / "test_lessons.py").read_text(encoding="utf8")
    assert 'os.environ.get("FTKIT_LESSONS") == "full"' in lessons
    assert "github.event_name == 'schedule' && 'full'" in tested["env"]["FTKIT_LESSONS"], "in full once a week"
    assert "FTKIT_LESSONS=full" in recipe("lessons")[0]


def test_three_systems_and_both_ends_of_the_versions() -> None:
    assert {name.split("-")[0] for name in MATRIX["os"]} == {"ubuntu", "macos", "windows"}
    rows = {row["versions"]: row for row in MATRIX["include"]}
    assert set(rows) == set(MATRIX["versions"])
    least = next(iter(Requirement(f"python{PROJECT['requires-python']}").specifier)).version
    assert (rows["oldest"]["python"], rows["oldest"]["resolution"]) == (least, "lowest-direct")
    assert rows["newest"]["resolution"] == "highest"
    newest = tuple(map(int, rows["newest"]["python"].split(".")))
    assert newest > tuple(map(int, least.split(".")))
    assert CI["jobs"]["test"]["strategy"]["fail-fast"] is False


def test_everything_that_is_installed_is_an_extra_that_exists() -> None:
    lines = [line for line in commands("style", "test") if line.startswith("uv pip install")]
    assert len(lines) == 2
    for line in lines:
        extras = re.search(r"\.\[([\w,]+)\]", line)[1].split(",")  # type: ignore[index]
        assert set(extras) <= set(PROJECT["optional-dependencies"])
        assert "--editable" in line, "the lessons and the data of the checkout are tested"
    assert "${{ matrix.resolution }}" in lines[1]


def test_windows_has_a_shell_and_the_panels_a_browser() -> None:
    assert CI["jobs"]["test"]["defaults"]["run"]["shell"] == "bash"
    script = "\n".join(commands("test"))
    assert "playwright install --with-deps chromium" in script
    browsers = (ROOT / "tests" / "conftest.py").read_text(encoding="utf8")
    assert '"chromium"' in re.search(r"^BROWSERS = .*$", browsers, re.MULTILINE)[0]  # type: ignore[index]
    python = re.search(r"<<'PYTHON'\n(.*?)\n\s*PYTHON$", next(
        step["run"] for step in CI["jobs"]["test"]["steps"] if "playwright" in step.get("run", "")), re.DOTALL)
    compile(python[1], "ci.yml", "exec")  # type: ignore[index]
