# `make smoke` and `make test` each do all the set-up on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: smoke test lint clean crosscheck

smoke: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	$(BIN)/leveret report --show

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Descriptions of datasets against the indexes of other loaders, which are not imported and so need nothing.
crosscheck: $(READY)
	$(BIN)/python -m pip install -q --no-deps mirdata==0.3.8 soundata==0.1.3
	$(BIN)/python -m pytest tests/catalogue/test_other_loaders.py

lint: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed; give one by PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $(READY)

clean:
	rm -rf data results/runs results/plots results/index.html
