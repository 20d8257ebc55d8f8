# make help lists the targets. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
PRESET ?= quick
ARGS ?=
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help validate test lint lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

validate: .venv/.runtime ## bounds against errors (PRESET=quick|full, ARGS='…')
	$(BIN)/ptft validate --preset $(PRESET) $(ARGS)

test: .venv/.test ## the default tests (ARGS='-k name' selects)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.test ## style of the code, no change
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lock: ## pin the newest dependencies (needs uv: python3 -m pip install uv)
	printf '%s\n' hatchling editables | $(LOCK) --upgrade pyproject.toml - \
		--output-file requirements.lock
	$(LOCK) --upgrade --constraints requirements.lock --group dev pyproject.toml \
		--output-file requirements-test.lock

clean: ## remove the environment and caches, keep results
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
	find ptft_jax theory benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; run make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# Wheels only: nothing is compiled, so no compiler is needed.
.venv/.runtime: .venv/.python requirements.lock pyproject.toml
	@echo 'Installing the pinned dependencies: a minute or two, once.'
	$(INSTALL) --only-binary :all: --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: .venv/.runtime requirements-test.lock
	$(INSTALL) --only-binary :all: --requirement requirements-test.lock
	@touch $@
