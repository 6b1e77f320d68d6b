# Two commands do everything on a fresh machine with Python 3.11+ and a C compiler:
#   make demo    a whole election: five nodes, real ballots, a kill -9, every count compared
#   make test    lint, types, every test
# The rest: make lint, make bench, make clean.

VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
SOURCE := pyproject.toml setup.py build_pow.py $(wildcard csrc/*.c csrc/*.h)
JOBS   ?= 2

.PHONY: demo test lint bench bench-pow clean

demo: $(VENV)/.run
	$(BIN)/votenet demo

test: $(VENV)/.dev lint
	$(BIN)/pytest -n $(JOBS) -p no:benchmark

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/pytest bench --benchmark-only

bench-pow: $(VENV)/.dev
	$(BIN)/pytest bench/bench_pow.py --benchmark-only

# The environment: what the program needs, then what its developers need.
$(VENV)/.run: $(SOURCE)
	.ci/setup $(VENV)
	$(PY) -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/votenet/_pow*.so src/votenet/_pow*.c
