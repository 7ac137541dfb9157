# Two commands do all the set-up on a fresh machine:
#   make train ARGS="--env PongNoFrameskip-v4"
#   make test
PYTHON ?= python3
ARGS ?= --env PongNoFrameskip-v4
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: train test check
.DELETE_ON_ERROR:

train: .venv/installed
	$(BIN)/python -m rims_rl.train $(ARGS)

test: .venv/installed-dev
	$(BIN)/python -m pytest $(ARGS_TEST)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror rims_rl/core/scan/native/*
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

.venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt $(wildcard rims_rl/core/scan/native/*)
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable '.[dev]'
	touch $@
