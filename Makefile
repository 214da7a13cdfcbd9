# Two commands are enough: `make lab` for the lessons, `make demo` for the whole story without a browser.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Some containers forbid Python to keep compiled modules: each start would then compile torch anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: lab demo test lessons style notebooks book badges bench transfer clean

lab: $(READY)            ## open JupyterLab on the first lesson
	$(BIN)/ftkit lab

demo: $(READY)           ## from scratch, frozen, fine-tuned: compared in about a minute
	$(BIN)/ftkit demo

# Each test uses one thread, so two at a time fill two cores; four gigabytes of memory are enough for both.
test: $(READY)           ## every test: unit, contract, and the lessons with short trainings, the first in full
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

lessons: $(READY)        ## every lesson in full: results, minutes and memory as a student has them
	FTKIT_LESSONS=full $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal tests/notebooks

style: $(READY)          ## ruff and types
	$(BIN)/ruff check ftkit tests book
	$(BIN)/mypy

notebooks: $(READY)      ## run all lessons anew and strip timestamps, widget state and paths
	$(BIN)/python -m ftkit.lessons.execute notebooks/*.ipynb

book: $(VENV)/.book      ## the lessons, a glossary and the API's reference as web pages, in build/book/html
	$(BIN)/python book/build_book.py

badges: $(READY)         ## links to Binder and Colab, from the address under [project.urls] in pyproject.toml
	$(BIN)/python -m ftkit.lessons.badges

bench: $(READY)          ## against a hand-written loop, the Hugging Face Trainer and Lightning
	$(BIN)/python -m pip install --quiet "lightning>=2.5"
	$(BIN)/python tests/benchmarks/run.py

transfer: $(READY)       ## what pretraining buys: from scratch, probe, fine-tuned; writes it into the README
	$(BIN)/python tests/benchmarks/transfer.py --write

clean:                   ## remove the environment (about 7 GB)
	rm -rf $(VENV)

# What the book needs beside ftkit; asked for once, so that the book can then be built without a network.
$(VENV)/.book: $(READY)
	$(BIN)/python -m pip install --quiet --editable ".[book]"
	@touch $@

# Python 3.11 or newer is needed; the first that is found is taken.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ftkit needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 lab"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing ftkit and what it needs: some minutes, several gigabytes with torch."
	$(BIN)/python -m pip install --quiet --no-compile --editable ".[dev]"
	@touch $(READY)
