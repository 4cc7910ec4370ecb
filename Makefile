# Every target sets up what it needs; see deploy/bootstrap.sh. Run `make help` for the list.
PY := .venv/bin/python
WATTBID := .venv/bin/wattbid
TRADES ?= 20
DEMO ?=
CHECK_PATHS := agent aggregator cli drivers etp settlement simulation tests bench fuzz

.PHONY: help demo test check bench fuzz program clean setup setup-demo validator

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort

setup:
	@deploy/bootstrap.sh --all-extras

setup-demo:
	@deploy/bootstrap.sh --extra demo --no-dev --inexact

demo: setup-demo ## simulated batteries, agents and aggregators trading on this machine (DEMO="--headless --trades 20 --json FILE")
	@mkdir -p build
	@exec $(WATTBID) demo $(DEMO)

test: setup ## everything that `check` does, the slow tests, coverage and packaging
	@deploy/test.sh full

check: setup ## format, lint, types, import walls and the unit tests (under 2 minutes)
	@deploy/test.sh quick

bench: setup ## measure speed as ratios in one run; writes build/bench.json
	@mkdir -p build
	@$(PY) -m bench

fuzz: ## decoder, connection, site file and forecast under a coverage-guided fuzzer (FUZZ_SECONDS each)
	@deploy/bootstrap.sh --all-extras --group fuzz
	@$(PY) -m fuzz --seconds $${FUZZ_SECONDS:-60}

validator: ## build a real Solana validator for the acceptance tests, into ~/.cache/wattbid (13 minutes, once)
	@deploy/validator.sh

program: setup ## build the settlement program from its Rust sources; the ELF is checked in, so nobody else needs this
	@deploy/program.sh

clean: ## remove what the other targets made
	rm -rf .venv .uv build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
