# Every target makes what it needs first: an environment in $(VENV), and the package with its libraries in it.
#   make run        analyze the digits that come with the package, and write an HTML report
#   make verify     check what the papers state: a report, results and certificates in $(VERIFY)
#   make test       the test suite without its slow tests
#   make test-all   the whole suite, with more examples for each property
#   make lint       style, types and the direction of imports
#   make docs       the reference, in build/docs
#   make clean      remove what the other targets made
# Another interpreter: make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
REPORT ?= analyze_digits.html
# Where `make verify` leaves what it finds, and how much it looks at (quick, standard, thorough).
VERIFY ?= build/verify
PROFILE ?= standard
# Which tests `make test` selects (a pytest marker expression).
TESTS ?= not slow
PYTEST_ARGS ?=

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
# One thread for each process: two of them, in one process on two cores, can wait for each other for ever inside JAX.
# worksteal keeps a file's tests together where it can, and survives a process that a timeout ends; loadfile then hangs.
PYTEST = NPROC=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=20

.PHONY: run verify test test-all lint style types imports docs clean
.DELETE_ON_ERROR:

run: $(VENV)/.has-package
	$(BIN)/mcr2-landscape analyze digits --report $(REPORT)
	@echo "The report is in $(abspath $(REPORT))"

verify: $(VENV)/.has-claims
	@mkdir -p $(VERIFY)
	$(BIN)/mcr2-landscape verify --profile $(PROFILE) --json $(VERIFY)/verification.json \
	  --report $(VERIFY)/verification.html --certificates $(VERIFY)/certificates
	@echo "The report is in $(abspath $(VERIFY)/verification.html)"

test: $(VENV)/.has-test
	$(PYTEST) -m "$(TESTS)" $(PYTEST_ARGS)

test-all: $(VENV)/.has-test
	HYPOTHESIS_PROFILE=thorough $(PYTEST) --timeout=300 -o faulthandler_timeout=400 $(PYTEST_ARGS)

lint: style types imports

style: $(VENV)/.has-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The suite's libraries too: the loaders' optional imports are looked up.
types: $(VENV)/.has-dev $(VENV)/.has-test
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.has-dev
	.ci/lint-imports $(BIN)/python

docs: $(VENV)/.has-dev
	NPROC=1 $(BIN)/pdoc -o build/docs mcr2_landscape mcr2_landscape.experiments mcr2_landscape.figures paper_checks
	@echo "The reference is in $(abspath build/docs/index.html)"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache $(REPORT)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian ships Python without what makes an environment, and the message that venv itself prints there comes late and leaves
# a half-made folder behind.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "mcr2_landscape needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=/path/to/a/newer/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# Editable: a change of the code needs no new installation, a change of the metadata does.
$(VENV)/.has-package: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install --quiet --editable .
	@touch $@

# Some claims are on trained networks, and some on pictures that other packages bring.
$(VENV)/.has-claims: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install --quiet --editable '.[solvers,data]'
	@touch $@ $(VENV)/.has-package

$(VENV)/.has-test: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.has-package

$(VENV)/.has-dev: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.has-package
