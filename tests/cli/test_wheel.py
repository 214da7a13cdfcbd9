"""The built wheel, alone in a clean environment: all that the README promises without a checkout works from it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clean_environment import clean_environment
from cli_helpers import Ran, shell

ROOT = Path(__file__).parents[2]
CEILING = 120e6  # bytes; students have slow networks. With three backbones it has 49.5 MB
SOURCES = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "ftkit", "data", "notebooks")
# What lies about in a folder where people work. None of it may reach a student.
LITTER = ("notebooks/ftkit-progress.json", "notebooks/questions.csv", "notebooks/.ipynb_checkpoints/00.ipynb",
          "ftkit/__pycache__/cli.cpython-311.pyc", "runs/checkpoint.pt", "tests/test_something.py", "demo.png")
CACHES = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
Install = Callable[..., Ran]

# All that needs torch, in one process: to import it takes longer than the rest. Each part ends with END and its code.
END = "=== end of a part:"
EVERYTHING = """
import json, sys
import ftkit as ft
from ftkit.bundle import bundled_root
from ftkit.cli import main
from ftkit.commands import demo

def end(code=0):
    print(sys.argv[1], code)
    if code:
        sys.exit(code)

data = {name: ft.load_data(name, limit=60) for name in ("reviews", "signs", "commands")}
models = {name: ft.load_backbone(name, data[of].task)
          for name, of in {"bert-mini": "reviews", "gpt2-mini": "reviews", "resnet-mini": "signs"}.items()}
print(json.dumps({
    "package": ft.__file__, "bundled": str(bundled_root()), "scenes": len(ft.data.load_scenes()),
    "labels": {name: len(data[name].task.labels) for name in ("reviews", "signs")},
    "examples": {name: [len(found.train), len(found.valid), len(found.test)] for name, found in data.items()},
    "origins": {name: model.origin for name, model in models.items()}}))
end()
end(main(["list", "--json"]))
end(main(["list"]))
demo.QUICK, demo.EPOCHS = 60, 1  # whether it teaches anything is asked elsewhere
end(main(["demo", "--quick"]))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources with litter in it, without a network."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=CACHES)
        else:
            shutil.copy(ROOT / name, copy / name)
    for name in LITTER:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("litter")
    built = shell(sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation",
                  "--wheel-dir", out, copy, timeout=600)
    assert built.code == 0, built.err[-3000:]
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """installed("ftkit", "list"): a program of the clean environment, in a folder outside the checkout."""
    place = tmp_path_factory.mktemp("clean")
    programs = clean_environment(place / "venv")
    done = shell(sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-index", "--no-deps",
                 "--ignore-installed", wheel)  # an editable ftkit in the shared folder stays as it is
    assert done.code == 0, done.err

    def run(program: str, *words: object, cwd: Path = place) -> Ran:
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FTKIT_HOME")}
        command = [programs / program, *words]
        ran = subprocess.run([str(word) for word in command], env={**env, "HF_HUB_OFFLINE": "1"}, cwd=cwd, check=False,
                             capture_output=True, text=True, timeout=800, stdin=subprocess.DEVNULL)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_it_is_small_enough(wheel: Path) -> None:
    assert wheel.stat().st_size < CEILING, f"{wheel.stat().st_size / 1e6:.1f} MB"


def test_it_holds_what_is_needed_and_no_litter(wheel: Path) -> None:
    held = names(wheel)
    assert {re.sub(r"-[\d.]+\d", "", name.split("/")[0]) for name in held} == {"ftkit", "ftkit.dist-info"}
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in held if archive.read(name) == b"litter"]
    assert not [name for name in held if re.search(r"__pycache__|checkpoints|/tests/|\.(pyc|log|ckpt|pt)$", name)]
    for wanted in ("ftkit/widgets/static/playground.js", "ftkit/_bundled/reviews/reviews.csv",
                   "ftkit/_bundled/backbones/bert-mini/model.safetensors", "ftkit/_notebooks/00_start_here.ipynb",
                   *(f"ftkit/packing/stick/install.{kind}" for kind in ("py", "sh", "bat"))):
        assert wanted in held


def test_every_source_file_of_ftkit_is_in_it(wheel: Path) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ftkit").rglob("*.py")}
    assert sources <= set(names(wheel))


@pytest.mark.timeout(1000)
def test_data_and_backbones_open_from_it_and_lists_and_the_demo_work(installed: Install, tmp_path: Path) -> None:
    ran = installed("python", "-c", EVERYTHING, END, cwd=tmp_path)
    assert ran.code == 0, ran.err[-3000:]
    opened, as_json, as_text, demo, nothing = ran.out.split(f"{END} 0\n")
    assert not nothing
    check_opened(json.loads(opened.splitlines()[-1]))
    check_lists(json.loads(as_json.splitlines()[-1]), as_text)
    assert len(re.findall(r"test accuracy \d\.\d+", demo)) == 3
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def check_opened(found: dict[str, Any]) -> None:
    """The data and the backbones are those of the wheel."""
    assert not Path(found["package"]).is_relative_to(ROOT), "the checkout was imported, not the wheel"
    assert Path(found["bundled"]).is_relative_to(Path(found["package"]).parent)
    assert found["labels"] == {"reviews": 2, "signs": 20}
    assert all(train == 60 and min(valid, test) > 100 for train, valid, test in found["examples"].values())
    assert found["scenes"] > 100
    assert found["origins"] == dict.fromkeys(("bert-mini", "gpt2-mini", "resnet-mini"), "pretrained, from ftkit itself")


def check_lists(found: dict[str, Any], text: str) -> None:
    """`ftkit list`, with --json and without, names what the wheel holds."""
    offline = {row["name"] for row in found["backbones"] if row["offline"]}
    assert {"bert-mini", "gpt2-mini", "resnet-mini", "minilm"} <= offline
    assert {"reviews", "signs", "commands"} <= {row["name"] for row in found["data"]}
    assert "bert-mini" in text


def test_it_lays_the_lessons_out_with_their_pictures(installed: Install, tmp_path: Path) -> None:
    ran = installed("ftkit", "course", "get", "lessons", cwd=tmp_path)
    assert ran.code == 0, ran.err
    source = {path.name: path.read_bytes() for path in (ROOT / "notebooks").iterdir()
              if path.suffix in (".ipynb", ".png", ".jpg", ".svg")}
    laid = {path.name: path.read_bytes() for path in (tmp_path / "lessons").iterdir() if not path.name.startswith(".")}
    assert laid == source
    assert f"{sum(name.endswith('.ipynb') for name in source)} lessons are in lessons" in ran.out
    for name in filter(lambda name: name.endswith(".ipynb"), laid):
        text = "".join(line for cell in json.loads(laid[name])["cells"] if cell["cell_type"] == "markdown"
                       for line in cell["source"])
        for link in re.findall(r"\]\(([^)#:]+)\)", text):  # pictures and neighbours; no addresses
            assert (tmp_path / "lessons" / link).exists(), f"{name} points to {link}, which is not there"


def test_the_forms_are_built_from_it(installed: Install, tmp_path: Path) -> None:
    assert installed("ftkit", "course", "build", "--student", "--out", "class", cwd=tmp_path).code == 0
    assert "solution" not in (tmp_path / "class" / "00_start_here.ipynb").read_text(encoding="utf8")


def test_it_can_be_packed_for_a_class_again(installed: Install, wheel: Path, tmp_path: Path) -> None:
    """Who installed the wheel has neither it nor a checkout any more: `ftkit course pack` puts it together again."""
    code = "import sys; from pathlib import Path; from ftkit.packing.own import own_wheel; own_wheel(Path(sys.argv[1]))"
    ran = installed("python", "-c", code, tmp_path)
    assert ran.code == 0, ran.err[-3000:]
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(tmp_path / wheel.name) as other:
        held = {name for name in one.namelist() if not name.endswith("/RECORD")}
        assert held == {name for name in other.namelist() if not name.endswith("/RECORD")}
        assert all(one.read(name) == other.read(name) for name in held)


def test_files_of_the_same_name_are_left_alone_and_named(installed: Install, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "00_start_here.ipynb").write_text("my own notes")
    ran = installed("ftkit", "course", "get", mine)
    assert ran.code == 0
    assert "00_start_here.ipynb" in ran.err
    assert (mine / "00_start_here.ipynb").read_text() == "my own notes"
    assert (mine / "01_bert_text_classification.ipynb").is_file(), "the others are there"


@pytest.mark.parametrize("way", ["file", "folder"])
def test_a_name_that_is_taken_is_one_line_of_explanation(installed: Install, tmp_path: Path, way: str) -> None:
    """A file where the folder should be; a folder where a lesson should be."""
    target = tmp_path / "taken"
    if way == "file":
        target.write_text("a file")
    else:
        (target / "00_start_here.ipynb").mkdir(parents=True)
    ran = installed("ftkit", "course", "get", target)
    assert ran.code in (1, 2)
    assert ran.err.startswith("ftkit: ")
    assert ran.err.count("\n") == 1, ran.err
    assert str(target / "00_start_here.ipynb") in ran.err, "which file it was"
