# Everything starts here; `make help` lists it. Nothing is needed beforehand but Python 3.11 or newer.

PYTHON ?= python3
PORT ?= 8888

# A Node that setup_env.py had to install is in .venv; it goes before one that is too old.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

SETUP = $(PYTHON) tools/setup_env.py
DECLARED = pyproject.toml constraints.txt tools/setup_env.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-all build format screenshots measure bench setup bundle

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '%-12s%s\n' "$$name" "$$text"; done

demo: setup ## open JupyterLab on notebooks/quickstart.ipynb (PORT=8888)
	@.venv/bin/python tools/demo.py $(PORT)

test: setup .venv-lowest/.stamp .overlays/.stamp chromium ## run every check: format, lint, types, JavaScript, Python, notebooks, browser
	@.venv/bin/python tools/checks.py

test-all: setup .venv-lowest/.stamp .overlays/.stamp chromium ## the same with the long tests
	@.venv/bin/python tools/checks.py --long

build: setup ## dist/: the wheel and the sdist, both with the built front end
	@rm -rf dist
	@.venv/bin/python -m build --no-isolation --outdir dist .

format: setup ## write the format that `make test` asks for
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@cd js && npm run --silent format

screenshots: setup chromium ## pictures of the explorer, light and dark, taken in JupyterLab
	@.venv/bin/python tools/screenshots.py

measure: setup chromium ## the explorer's figures, measured in JupyterLab on this machine
	@.venv/bin/python benchmarks/explorer.py
	@.venv/bin/python benchmarks/instrument.py

bench: setup ## the engine and its peers side by side, into benchmarks/RESULTS.md (over an hour)
	@.venv/bin/python benchmarks/bench.py
	@.venv/bin/python benchmarks/curvature.py

setup: .venv/.package ## .venv with the package (editable), JupyterLab, the test tools and every extra

bundle: js/node_modules/.stamp ## build the front end where it is missing or older than its sources
	@cd js && { node build.mjs --check >/dev/null 2>&1 || npm run --silent build; }

.PHONY: chromium
chromium: .venv/.stamp
	@$(SETUP) chromium

.venv/.stamp: $(DECLARED)
	@$(SETUP) venv
	@$(SETUP) node
	@touch $@

js/node_modules/.stamp: js/package.json js/package-lock.json .venv/.stamp
	@cd js && npm ci --no-audit --no-fund
	@touch $@

.venv/.package: pyproject.toml hatch_build.py .venv/.stamp | bundle
	@$(SETUP) package
	@touch $@

.venv-lowest/.stamp: $(DECLARED) .venv/.stamp
	@$(SETUP) lowest
	@touch $@

.overlays/.stamp: $(DECLARED) .venv/.stamp
	@$(SETUP) overlays
	@touch $@
