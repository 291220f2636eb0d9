# Every target sets up what it needs: a virtual environment in .venv, with the pinned packages of requirements/.
# `make` alone lists the targets.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
RUN := $(VENV)/.run-ready
DEV := $(VENV)/.dev-ready

.PHONY: help demo run test check format speakers bench chaos lock clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Dropscribe needs Python 3.11 or newer; none was found. Name one with: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (once)…"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(RUN): $(BIN)/python requirements/run.txt pyproject.toml
	@echo "Installing the pinned packages (once; 650 MB of disk, a minute or more)…"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@echo "Installing the pinned packages for development (once)…"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(RUN)  ## the main job: real speech dropped into a folder becomes text, offline
	@$(BIN)/python -P -m service.demo

run: $(RUN)  ## watch a folder: make run FOLDER=~/Recordings
	@test -n "$(FOLDER)" || { echo "Which folder? For example: make run FOLDER=~/Recordings"; exit 2; }
	@$(BIN)/dropscribe run "$(FOLDER)"

test: $(DEV)  ## all tests: parallel, random order
	@sh requirements/debian.sh
	@$(BIN)/python -m pytest

check: $(DEV)  ## formatting, lint, types (per platform), import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform darwin
	@$(BIN)/mypy --platform win32
	@$(BIN)/lint-imports

format: $(DEV)  ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

speakers: $(DEV)  ## tests and figures for telling speakers apart (adds PyTorch to .venv)
	@$(PIP) install -e '.[diarization]'
	@$(BIN)/python -m pytest -n 0 tests/integration/batch_server/test_server_who_speaks_for_real.py
	@$(BIN)/python -m benchmarks server_diarization

bench: $(DEV)  ## the figures, side by side in one run (ARGS="daemon server" chooses)
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(DEV)  ## kill the daemon ten thousand times (ARGS="--kills 500 --seed 1"); half an hour or more
	@$(BIN)/python -m tests.acceptance.chaos $(ARGS)

lock: $(DEV)  ## pin the newest versions that fit pyproject.toml
	@$(BIN)/python requirements/lock.py

clean:  ## remove everything the other targets made
	rm -rf $(VENV) demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
