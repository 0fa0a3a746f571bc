# `make demo` and `make test` work from a fresh clone: Python 3.11, g++, make, git, a package index.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
# tools that `make bench` compares with, apart from the environment of the package
PEERS  := .venv-bench
# pytest workers; the RTL simulators are built once and shared through the cache
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:
	@echo "make demo    set everything up and run the shipped network on the RTL"
	@echo "make test    set everything up and run the whole suite"
	@echo "make setup   create $(VENV) with the npu command in $(BIN)"
	@echo "make lint    formatting, lint, types, import directions"
	@echo "make bench   speed and cycles, beside the numbers to beat"
	@echo "make clean   remove $(VENV); compiled simulators stay in the cache"

$(VENV)/setup.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@mkdir -p build
	@touch $@

$(VENV)/test.stamp: $(VENV)/setup.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

setup: $(VENV)/setup.stamp

demo: setup
	$(BIN)/npu demo

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check npu sim kernels rtl tests
	$(BIN)/ruff check npu sim kernels rtl tests
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n $(JOBS)

$(PEERS)/vela.stamp:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check ethos-u-vela==5.2.0
	@touch $@

$(PEERS)/litert.stamp: $(PEERS)/vela.stamp
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check ai-edge-litert==2.3.0
	@touch $@

# only `python -m tests.bench area` needs yosys
$(PEERS)/yosys.stamp: $(PEERS)/vela.stamp
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check pyosys==0.70
	@touch $@

# without a peer its columns stay empty
bench: $(VENV)/test.stamp
	-@$(MAKE) --no-print-directory $(PEERS)/litert.stamp
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
