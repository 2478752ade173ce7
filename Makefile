# All that a machine needs is git, make and Python 3.11 or newer with venv: `make demo` and `make test` set up the rest in
# .venv. Say `make PYTHON=/path/to/python test` for another interpreter, after `make clean`.

VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# PySpark comes as sources with jars in them: a wheel is made of it, which need not be small.
STORED := --config-settings-package pyspark:--build-option=--compression=stored
# The first interpreter that runs and is new enough; a name on PATH may be a shim that only says no.
CANDIDATES := python3 python3.13 python3.12 python3.11 python
NEW_ENOUGH := -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p $(NEW_ENOUGH) 2>/dev/null && echo $$p && break; done)
# Scripts that write a tracked file, and say with --check whether it is still what they would write.
GENERATORS := scripts/fields_page.py scripts/rule_schema.py
PEERS ?= ../shared/peers
DATA ?= bench-data

# Tests start hundreds of commands; byte code that is kept saves each a fifth of a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test still lint check drift unit docs bench clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## Set up .venv with keytrip (editable) and what its tests need

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed: install it, or say PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv is five times as quick; where it does not run, or cannot reach the index that pip is set up for, pip goes on.
	$(PIP) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python $(STORED) -e '.[dev]' \
		|| { echo "uv could not install it; pip tries now" >&2; $(PIP) -e '.[dev]'; }
	@touch $@

demo: $(READY) ## Make a month of logs with four thefts in it, find them, and write demo/report.html
	$(BIN)/keytrip demo

test: $(READY) ## Everything that has to hold before a change lands (CI runs this)
	@$(MAKE) --no-print-directory --jobs=2 unit still

# All but the tests, which run beside it: type checks take one processor, and the tests wait for servers now and then.
still: lint check drift

lint: $(READY) ## ruff (all rules) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

check: $(READY) ## Every problem of the content, and the rules' own cases
	$(BIN)/keytrip check
	$(BIN)/keytrip test

drift: $(READY) ## Whether generated files are what their generators would write
	@for script in $(GENERATORS); do echo "$$script --check"; $(BIN)/python $$script --check || exit 1; done

unit: $(READY) ## The tests with coverage; without a JDK and Maven the engine tests are left out, and said so
	$(BIN)/pytest -n 3 --dist loadgroup --cov --cov-report=term --durations=25

docs: $(READY) ## Write the generated files anew
	@for script in $(GENERATORS); do echo "$$script"; $(BIN)/python $$script || exit 1; done

bench: $(READY) ## Measure against the peers in PEERS, with data made once in DATA
	$(BIN)/python benchmarks/run.py --peers $(PEERS) --data $(DATA)

clean: ## Remove .venv and what runs left behind
	rm -rf $(VENV) .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
