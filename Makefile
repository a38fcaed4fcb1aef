# Each target does its own set-up, on a machine with Python 3.11 to 3.14, make and Git, and nothing else.
# `make demo` and `make test` are the two commands of the README.
SHELL := /bin/sh
.DEFAULT_GOAL := help
UV_VERSION := 0.9.30
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# The tests start hundreds of Python processes: each would compile the program anew where bytecode is not kept.
unexport PYTHONDONTWRITEBYTECODE
SYNC = "$$(cat .stamps/uv)" sync --quiet --locked --inexact --python "$$(cat .stamps/python)"
INPUTS := pyproject.toml uv.lock

.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint bench fuzz soak real differential schemas clean

help:
	@echo "make demo      the whole story on the embedded devstack, each step checked"
	@echo "make test      the default test suite"
	@echo "make test-all  also the slow tests, and those on real programs once 'make real' has built them"
	@echo "make lint      formatting, lint, types, import contracts"
	@echo "make bench     the figures of docs/performance.md"
	@echo "make fuzz      every parser that people's bytes reach, for bounded seconds (ARGS=\"--seconds 60\")"
	@echo "make soak      half an hour of commits, hand edits and faults (ARGS=\"--minutes 5\")"
	@echo "make differential  what is rendered here and by kustomize, helm and jsonnet, counted (ARGS=\"--examples 1000\")"
	@echo "make real      builds the real control plane and the oracles for tests (needs Go)"
	@echo "make schemas   makes the compact Kubernetes schemas of the package again"

# The newest Python that can make a virtual environment, and uv from PATH (one that knows groups: 0.5 or later) or pinned
# into .tools (never inside .venv).
.stamps/uv:
	@mkdir -p .stamps
	@tools/find-python > .stamps/python.new && mv .stamps/python.new .stamps/python
	@if uv sync --help 2>/dev/null | grep -q -e --group; then command -v uv > $@; else \
	  test -x .tools/bin/uv || { echo "setting up uv $(UV_VERSION) in .tools"; \
	    "$$(cat .stamps/python)" -m venv .tools && \
	    .tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); } || exit 1; \
	  echo "$(CURDIR)/.tools/bin/uv" > $@; fi

.stamps/run: .stamps/uv $(INPUTS)
	@echo "setting up the environment (.venv)"
	@$(SYNC)
	@touch $@

.stamps/%: .stamps/uv $(INPUTS)
	@echo "setting up the environment (.venv, $*)"
	@$(SYNC) --group $*
	@touch $@

demo: .stamps/run
	@$(BIN)/windlass demo $(ARGS)

# More workers than cores: the tests of several processes wait for most of their time. On real control planes, which
# `test-all` also runs, each worker has one of its own to feed: there it is one a core.
test: .stamps/test
	@$(BIN)/python -m pytest -m "not slow and not real" -n 4 --dist worksteal $(ARGS)

test-all: .stamps/test .stamps/clients
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: .stamps/lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fuzz: .stamps/test .stamps/fuzz
	@cd tests && ../$(BIN)/python -m fuzz $(ARGS)

differential: .stamps/test
	@cd tests && ../$(BIN)/python -m differential $(ARGS)

soak: .stamps/test
	@cd tests && ../$(BIN)/python -m faults.soak $(ARGS)

bench: .stamps/test
	@$(BIN)/python -m bench $(ARGS)

bench-%: .stamps/test
	@$(BIN)/python -m bench $* $(ARGS)

real: .stamps/test
	@tests/real/build

schemas: .stamps/schemas
	@$(BIN)/python tools/make_schemas.py

clean:
	rm -rf .venv .tools .stamps dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
