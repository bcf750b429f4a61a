# `make` alone lists the commands.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test faults check bench

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(READY)

demo: $(READY) ## a running Handrail with sample types, people and a simulated AI service
	$(BIN)/handrail demo

test: $(READY) ## every test, on SQLite and PostgreSQL
	$(BIN)/pytest -n 2

faults: $(READY) ## servers and databases broken on purpose, in full; prints a table (about half an hour)
	HANDRAIL_FAULTS=full $(BIN)/pytest tests/faults -p no:xdist

check: $(READY) ## lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCHES := submit limits waiting memory claims pages exports seal bundle

bench: $(READY) ## every benchmark, as ratios against baselines in the same run (make bench BENCHES=submit: one alone)
	@for one in $(BENCHES); do $(BIN)/python benchmarks/bench_$$one.py || exit 1; done
