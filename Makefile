# Python 3.11 or later, make and git are all that these need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: up test check format lock bench bench-delivery bench-waves clean

up: $(VENV)/run.stamp ## set up, then run everything on the embedded server
	$(BIN)/carillon up $(ARGS)

test: $(VENV)/dev.stamp $(VENV)/smsc.stamp ## set up, then run every test
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev.stamp ## the static part: style, types, who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp ## what a booking costs, beside a bare Temporal workflow
	$(BIN)/python bench/lifecycles.py $(ARGS)

bench-delivery: $(VENV)/dev.stamp ## what a page of messages costs, beside its floor
	$(BIN)/python bench/delivery.py $(ARGS)

bench-waves: $(VENV)/dev.stamp ## what a wave costs, beside bare workflows, other schedulers and a plain loop
	$(BIN)/python bench/waves.py $(ARGS)

lock: $(VENV)/dev.stamp ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --group build $(LOCK) -o requirements.lock
	uv pip compile pyproject.toml --group dev --group build -c requirements.lock $(LOCK) -o requirements-dev.lock

LOCK := --universal --python-version 3.11 --upgrade --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links --quiet

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carillon needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/pyvenv.cfg requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/smsc.stamp: $(VENV)/dev.stamp tests/smsc/package.json tests/smsc/package-lock.json
	PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix tests/smsc --silent --ignore-scripts --no-audit --no-fund
	@touch $@

clean:
	rm -rf $(VENV) tests/smsc/node_modules var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
