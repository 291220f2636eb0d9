# Every target sets up what it needs: a virtual environment in .venv, with the pinned packages of requirements/.
# `make` alone lists the targets.

# The interpreter that .venv is made with, e.g. `make test PYTHON=python3.12`; another .venv is then made again.
PYTHON ?=
INTERPRETER = $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
MADE := $(VENV)/.made
RUN := $(VENV)/.run-ready
DEV := $(VENV)/.dev-ready

.PHONY: help demo run test test-long test-deps smoke check format speakers bench chaos lock clean FORCE
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Always looked at, since PYTHON may name another interpreter; what depends on it is made again only if it changed.
$(MADE): FORCE
	@sh requirements/venv.sh $(VENV) $(INTERPRETER)

$(RUN): $(MADE) requirements/run.txt requirements/build.txt pyproject.toml
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

test: $(DEV)  ## all tests but the long ones: parallel, random order
	@sh requirements/test-deps.sh
	@$(BIN)/python -m pytest -m "not long"

test-long: $(DEV)  ## the long tests: hundreds of kills, panels, browsers
	@sh requirements/test-deps.sh
	@$(BIN)/python -m pytest -m long

test-deps:  ## install the Debian packages that some tests use (as root)
	@sh requirements/test-deps.sh install

# Here, PYTHON names the interpreter to try, not the one of .venv.
smoke: INTERPRETER =
smoke: $(DEV)  ## install the wheel with each Python that is found (or PYTHON=…), and use it
	@$(BIN)/python -m tests.smoke $(PYTHON) $(ARGS)

check: $(DEV)  ## formatting, lint, types (per platform), import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform darwin
	@$(BIN)/mypy --platform win32
	@$(BIN)/lint-imports

format: $(DEV)  ## format the code and fix what lint can fix
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

# One file per purpose, for every platform and Python that we support; one version of a package for all, if there is.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-annotate --no-emit-index-url --upgrade --custom-compile-command "make lock"

lock:  ## pin the newest versions that fit pyproject.toml (for maintainers; needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@$(COMPILE) pyproject.toml -o requirements/run.txt
	@$(COMPILE) pyproject.toml --extra cluster --group dev -c requirements/run.txt -o requirements/dev.txt
	@$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
