# Two commands do all the set-up on a fresh machine:
#   make train ARGS="--env PongNoFrameskip-v4"
#   make test
PYTHON ?= python3
ARGS ?= --env PongNoFrameskip-v4
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
NATIVE := $(wildcard rims_rl/core/scan/native/*)

.PHONY: help train test lint format check docs
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

help:            ## this list
	@grep -E '^[a-z.]+: .*##|^[a-z.]+:  *##' Makefile | sed 's/:.*##/\t/' | expand -t 12

train: .venv/installed  ## train an agent; ARGS="--env ID ..."
	$(BIN)/python -m rims_rl.train $(ARGS)

test: .venv/installed-dev  ## run the tests on all cores; ARGS_TEST="tests/core -k ..."
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS_TEST)

lint: .venv/installed-dev  ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev  ## put all code into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(NATIVE)

check: lint test  ## what a change must pass

docs: .venv/installed-docs  ## build the site: docs/_build/index.html
	$(BIN)/sphinx-build -W --keep-going --quiet docs docs/_build

.venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"constraints.txt needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(INSTALL) --editable '.[docs]'
	touch $@
