# One file of tasks. Each works alone, on a fresh clone, with no key.

PYTHON := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help demo quick test test-slow matrix notebooks bench bench-peers docs lint dist clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## answer a real table with a real model, on this machine
	@bash tools/bootstrap python
	@.venv/bin/llmnb demo

quick: ## lint, types, contracts, unit tests and one run of each surface: three minutes
	@bash tools/bootstrap python
	@bash tools/check quick

test: ## install what is needed, then tests beside lint, types and contracts
	@bash tools/bootstrap
	@bash tools/check

test-slow: ## install what only they need, then run the tests that take minutes
	@bash tools/bootstrap slow
	@bash tools/check slow

matrix: ## the quick tests with the lowest versions, pandas 2.2 and 3, and every Python here
	@bash tools/bootstrap python
	@$(PYTHON) tools/matrix

notebooks: ## run notebooks/ and store them with what they show, and a picture of each
	@bash tools/bootstrap
	@$(PYTHON) tools/notebooks

bench: ## what it costs, as ratios to bare aiohttp
	@bash tools/bootstrap python
	@$(PYTHON) -m benchmarks --write docs/benchmarks.md

bench-peers: ## the same work done by llmnb and by its peers, each in its own environment
	@bash tools/bootstrap python
	@$(PYTHON) -m benchmarks.peers --write docs/benchmarks.md

docs: ## build the documentation's site into site/, strictly
	@bash tools/bootstrap docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo "docs: site/index.html; with search: $(PYTHON) -m http.server -d site"

lint: ## ruff, mypy and the contracts of the floors
	@bash tools/bootstrap python
	@bash tools/check lint

dist: ## build wheel and sdist, install them into an empty environment, run the demo there
	@bash tools/bootstrap python
	@bash tools/dist

clean: ## remove everything that was made here, answers in .cache/ excepted
	@rm -rf .venv .tools build dist site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
