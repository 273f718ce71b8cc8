# Set up, check and show Paretune. `make demo` and `make test` need CPython 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test check lint types arrows tests format clean

setup: $(STAMP)

# Without a GPU, set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU builds: it saves several gigabytes of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Paretune needs CPython 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo,dev]"
	touch $(STAMP)

demo: setup
	$(BIN)/paretune demo $(DEMO)

test: setup
	$(MAKE) check

check: lint types arrows tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

arrows:
	$(BIN)/lint-imports

# On every core, each test file on one: what a file's tests share is made once. `make tests PYTEST="-n 0 FILE"`: in sequence.
tests:
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST)

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
