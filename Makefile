# `make run` and `make test` are all that a newcomer needs; both first make the machine ready (.ci/setup.py).

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
VIRTUAL := $(PY) .ci/screen.py virtual
ARGS ?=
# The tests run side by side, each process on a virtual screen of its own (tests/conftest.py).
SIDE_BY_SIDE ?= -n logical --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test lint soak bench starters tour screenshot setup clean

help:
	@echo "make run       opens the window (without a display: runs the recorded tour)"
	@echo "make test      checks style, types and imports, then runs the tests"
	@echo "make tour      drives the window through every study and saves pictures in out/tour"
	@echo "make screenshot  a longer tour that renews the README's picture"
	@echo "make starters  trains the snapshots that the welcome page opens"
	@echo "make bench     measures: slider to picture, ticks, steps per second, redraws"
	@echo "make soak      ten minutes of random clicking while training"
	@echo "make clean     removes .venv, caches and out"
	@echo "ARGS=\"...\" adds to a command, as in: make test ARGS=tests/test_project.py"

setup:
	@command -v $(PYTHON) >/dev/null || { echo "Mutoscope needs Python 3.11 or newer, and there is no $(PYTHON) here."; exit 1; }
	@$(PYTHON) .ci/setup.py

run: setup
	@$(PY) .ci/screen.py window $(ARGS)

lint: setup
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(PY) -c "from importlinter.cli import lint_imports_command as lint; lint()" --no-logo

test: lint
	@$(VIRTUAL) $(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

soak: setup
	@$(VIRTUAL) $(PY) -m pytest --soak -m soak -o faulthandler_timeout=0 $(ARGS)

bench: setup
	@$(VIRTUAL) $(PY) main.py bench $(ARGS)

starters: setup
	@$(PY) main.py starters $(ARGS)

tour: setup
	@$(VIRTUAL) $(PY) main.py tour --out out/tour $(ARGS)

screenshot: setup
	@$(VIRTUAL) $(PY) main.py tour --out out/tour --seconds 20 --screenshot resources/screenshot.png $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache out
	find app engine widgets tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +
