# `make` lists what there is. Every target makes the environment it needs, once, and again when pyproject.toml or
# constraints.txt change. To use another place or Python: make test VENV=/tmp/hfcli PYTHON=python3.12

VENV ?= .venv
PYTHON ?= python3

empty :=
space := $(empty) $(empty)
stamp := $(subst $(space),\ ,$(VENV))/.made
py := "$(VENV)/bin/python"
# A process for each core; every test has its own folder, and every process its own Hub on loopback.
parallel := -n auto --maxprocesses 8

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint fmt check golden bench build builtin

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do \
		printf '%-18s %s\n' "$$target" "$$what"; done

setup: $(stamp) ## make the environment in .venv (a minute or two, about 2 GB; more with CUDA)
	@echo "ready: $(VENV)"

demo: $(stamp) ## see what hfcli does, offline, in a minute or two
	@"$(VENV)/bin/hfcli" demo

test: $(stamp) ## run the tests that are fast and need no GPU
	@$(py) -m pytest $(parallel)

test-slow: $(stamp) ## run every test, the slow ones and those for a GPU too
	@$(py) -m pytest $(parallel) -m ""

lint: $(stamp) ## check style, format and types
	@$(py) -m ruff check
	@$(py) -m ruff format --check
	@$(py) -m mypy

fmt: $(stamp) ## format, and repair what can be repaired
	@$(py) -m ruff format
	@$(py) -m ruff check --fix

check: lint test ## what a change has to pass: lint, then test

golden: $(stamp) ## write the golden help pages anew; read the diff before you commit it
	@$(py) -m pytest tests/test_help.py --update-golden

bench: $(stamp) ## run the comparisons in benchmarks/, one after the other
	@set -e; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(py) "$$file"; done

build: $(stamp) ## make the wheel and the sdist in dist/
	@rm -rf dist
	@$(py) -m build --no-isolation

builtin: $(stamp) ## train anew the models that are shipped (twenty minutes)
	@set -e; for file in builtin/*.py; do $(py) "$$file"; done

$(stamp): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'hfcli needs Python 3.11 or newer; "$(PYTHON) --version" says' \
			"$$($(PYTHON) --version 2>&1 | tail -n 1). Try: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo 'installing what hfcli needs into $(VENV); the first time takes a minute or two'
	@$(PYTHON) -m venv "$(VENV)"
	@$(py) -m pip install -qq -c constraints.txt -e '.[dev]'
	@touch "$(VENV)/.made"
