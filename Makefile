# flowlord's workbench. `make` alone lists the targets.
#
#   PYTHON=python3.12   the interpreter that makes the virtual environment (default: the first one >= 3.11)
#   VENV=/my/env        an environment of your own; flowlord is installed into it, it is never thrown away
#   ARGS, PYTEST_ARGS   handed on to the quick start and to pytest

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
UV ?= $(firstword $(wildcard $(VENV)/bin/uv) uv)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALLED := pyproject.toml

ARGS ?=
PYTEST_ARGS ?=
# One more than cores: tests of whole processes wait for half of their time.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)))
KILLS ?= 1000
BUS ?= sqlite redis
INTERPRETERS ?= python3.11 python3.12 python3.13 python3.14

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14 | sed 's/^/  make /'

# --- run and try ------------------------------------------------------------------------------------------------

.PHONY: run
run: $(VENV)/.run.stamp ## run the quick start on the embedded bus until Ctrl-C (ARGS=--once: until its chain is done)
	@exec $(BIN)/python examples/quickstart/start.py $(ARGS)

# --- test and check ---------------------------------------------------------------------------------------------

# What is compiled once is not compiled by each of a thousand processes, nor by each worker.
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.dev.stamp ## run the tests, warnings as errors (PYTEST_ARGS='-k lease' for some of them)
	@$(BIN)/python -m compileall -q src tests/support tests/fault
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not full" $(PYTEST_ARGS)

.PHONY: format-check lint types format
format-check: $(VENV)/.dev.stamp
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends this"; exit 1; }

lint: $(VENV)/.dev.stamp
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.dev.stamp
	@$(BIN)/mypy --strict src

format: $(VENV)/.dev.stamp ## put the code into its form and mend what the linter can mend
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

.PHONY: check
check: ## all that CI does: format, lint, strict types, tests
	@$(MAKE) --no-print-directory format-check
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory test

.PHONY: check-all
check-all: check ## make check, then the tests on every newer interpreter found (INTERPRETERS)
	@for name in $(INTERPRETERS); do \
		if "$$name" --version >/dev/null 2>&1; then \
			echo "== $$name"; \
			$(MAKE) --no-print-directory test PYTHON="$$name" VENV=".venv-$$name"; \
		else \
			echo "== $$name: not on this machine, left out"; \
		fi; \
	done

.PHONY: kill
kill: $(VENV)/.dev.stamp ## kill workers, taskmasters and Redis at random and count what is lost or doubled (KILLS=1000 BUS=redis)
	@for bus in $(BUS); do \
		echo "== $$bus"; \
		$(BIN)/python tests/fault/kill.py --bus $$bus --kills $(KILLS) \
			$$([ $(KILLS) -lt 1000 ] || echo --write docs/proof.md); \
		$(BIN)/python tests/fault/trigger_kill.py --bus $$bus --kills $$(( $(KILLS) / 5 + 1 )); \
	done

.PHONY: fuzz
fuzz: $(VENV)/.dev.stamp ## try a million mutated inputs on each parser of phase files (ARGS='cron --seed 7')
	@$(BIN)/python tests/fuzz/fuzz.py $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev.stamp ## measure speed and start-up, and compare with the floors
	@$(BIN)/python bench/run.py $(ARGS)

.PHONY: full
full: check-all ## everything: check-all, the long tests, 1,000 kills, the bench
	@$(BIN)/python -m pytest -m full $(PYTEST_ARGS) || [ $$? -eq 5 ]
	@FLOWLORD_TEST_FORKS=no $(BIN)/python -m pytest -m "not full" tests/end_to_end $(PYTEST_ARGS)
	@FLOWLORD_TEST_EXAMPLES=full $(BIN)/python -m pytest -n $(JOBS) -m "not full" tests/property tests/unit $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory kill
	@$(MAKE) --no-print-directory bench

# --- environment ------------------------------------------------------------------------------------------------
# Plain pip, every package checked against its hash, our own package built by the hatchling of the lock. The stamps
# say which lock an environment holds; a changed lock installs again.

define install
@[ -n "$(PYTHON)" ] || { echo "flowlord needs Python 3.11 or later; say where it is: make PYTHON=..." >&2; exit 1; }
@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	if [ "$(origin VENV)" != file ] && [ -e "$(VENV)" ]; then \
		echo "$(VENV) exists and has no pip: put pip into it or name another VENV" >&2; exit 1; fi; \
	echo "making $(VENV) with $$($(PYTHON) --version)" >&2; \
	$(PYTHON) -m venv --clear $(VENV) || { echo "no virtual environment: on Debian, install python3-venv" >&2; exit 1; }; \
fi
@echo "installing $< into $(VENV)" >&2
@$(PIP) install --require-hashes --no-deps -r $<
@$(PIP) install --no-deps --no-build-isolation --editable .
@$(BIN)/python -m compileall -q src
@touch $@
endef

$(VENV)/.run.stamp: requirements/run.lock $(INSTALLED)
	$(install)

# The tests need all that a run needs, in the same versions, so one installation serves both.
$(VENV)/.dev.stamp: requirements/dev.lock $(INSTALLED)
	$(install)
	@touch $(VENV)/.run.stamp

COMPILE = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--no-header --no-annotate --generate-hashes $(UPGRADE)

.PHONY: lock
lock: ## pin the dependencies again after a change in pyproject.toml (UPGRADE=--upgrade: to their newest)
	@$(COMPILE) --all-extras $(addprefix --group ,dev bench docs api browser proto) -o requirements/all.lock
	@$(COMPILE) --constraint requirements/all.lock --group build -o requirements/run.lock
	@$(COMPILE) --constraint requirements/all.lock --group dev -o requirements/dev.lock

.PHONY: clean
clean: ## throw away the virtual environments, caches and what the quick start left
	@rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov build dist .flowlord examples/quickstart/.flowlord examples/quickstart/out
	@find src tests examples bench workflows -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
