# Two commands do everything on a fresh machine with Python 3.11+ and a C compiler:
#   make demo    a whole election: five nodes, real ballots, a kill -9, every count compared
#   make test    lint, types, every test; one that needs a tool which is not here is skipped, with a sentence
# The rest:
#   make check       whatever takes longer: seeds, crashes, adversaries, fuzzing, sanitizers, packages (.ci/run has the tools)
#   make lint        ruff and mypy
#   make bench       every target of the project in one table, within half an hour (docs/performance.md)
#   make bench-compare OLD=a.json NEW=b.json   what changed by more than ten percent
#   make bench-election  a whole election over five nodes (T3)   make bench-vote  votenet vote, as typed (T4)
#   make bench-dearest  honest clients while one address asks what costs a node most (T19)
#   make bench-growth  what a vote costs as the chain grows (T11)   make bench-overload  bad input
#   make pictures    the pictures in docs/: throughput and latency against offered load
#   make soak MINUTES=20  steady load, a kill -9 every minute; nothing grows, nothing is lost
#   make bench-pow   the nonce search (T1)           make bench-loop  event-loop lag while mining (T2)
#   make bench-chain a node catches up, an archive is audited, what a vote costs on the wire (T5, T6, T12)
#   make bench-supervisor  five nodes up, one killed and back, five idle (T8, T9, T10)
#   make bench-bootstrap  a registry of a million peers in SQLite and in Redis, against a thousand (T7)
#   make sanitize    ASan, UBSan, two minutes of fuzzing the C core (needs gcc and clang)
#   make sim SEEDS=1000   five nodes in virtual time, with faults: one history for each seed
#   make fuzz MINUTES=5   inputs nobody wrote, for all that reads what others wrote (docs/testing.md)
#   make propagation   100 and 1,000 nodes in virtual time: how votes and blocks spread (docs/performance.md)
#   make crash       kill, cut, fill and damage the storage at its every operation (docs/storage.md)
#   make adversary   every adversary against real nodes, and how long honest clients wait meanwhile
#   make discovery each kind of discovery alone, dead bootstrap servers, hosts in namespaces (docs/peers.md)
#   make test-arm    the ARMv8 kernels under qemu user emulation (needs a cross compiler and qemu)

VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
SOURCE := pyproject.toml setup.py build_pow.py $(wildcard csrc/*.c csrc/*.h)
# Tests wait for programs more than they work: two for each of two cores.
JOBS   ?= 4

SEEDS  ?= 200
MINUTES ?= 5
SEED   ?= $(shell date +%s)

.PHONY: demo test check packages lint bench bench-pow bench-loop bench-chain bench-bootstrap bench-compare bench-election \
	bench-vote bench-node bench-growth bench-overload bench-dearest bench-suite bench-supervisor soak pictures propagation sanitize sim \
	adversary discovery fuzz crash test-arm clean

demo: $(VENV)/.run
	$(BIN)/votenet demo

test: $(VENV)/.dev lint
	$(BIN)/pytest -n $(JOBS) -p no:benchmark

check: $(VENV)/.dev
	$(MAKE) sim SEEDS=200
	$(MAKE) crash
	$(MAKE) adversary
	$(MAKE) discovery
	$(MAKE) fuzz MINUTES=5 SEED=1301
	$(MAKE) sanitize
	$(MAKE) test-arm
	$(MAKE) packages

# The wheel runs elsewhere; without a C compiler the sdist installs and an election holds on the Python reference.
packages: $(VENV)/.dev
	.ci/try-packages $(PY)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

RESULT ?= build/bench.json

bench: $(VENV)/.dev
	.ci/packages redis-server
	mkdir -p $(dir $(RESULT))
	BENCH_ELECTION_VOTES=$${BENCH_ELECTION_VOTES:-80101} \
		$(BIN)/pytest bench --benchmark-only -q -s --durations=0 --benchmark-json=$(RESULT).raw; failed=$$?; \
		$(PY) bench/table.py $(RESULT).raw --merge $(RESULT) && exit $$failed

bench-compare: $(VENV)/.dev
	$(PY) bench/compare.py $(OLD) $(NEW)

bench-election bench-node bench-vote bench-growth bench-overload bench-dearest bench-suite bench-supervisor: bench-%: $(VENV)/.dev
	$(BIN)/pytest bench/bench_$*.py --benchmark-only -s

bench-pow: $(VENV)/.dev
	$(BIN)/pytest bench/bench_pow.py --benchmark-only

bench-loop: $(VENV)/.dev
	$(BIN)/pytest bench/bench_loop.py --benchmark-only -s

bench-chain: $(VENV)/.dev
	$(BIN)/pytest $(wildcard bench/bench_sync.py bench/bench_audit.py bench/bench_propagation.py) \
		--benchmark-only -s

soak: $(VENV)/.dev
	$(PY) bench/soak.py --minutes $(MINUTES)

pictures: $(VENV)/.dev
	PYTHONPATH=tests $(PY) bench/pictures.py

sim: $(VENV)/.dev
	SIM_SEEDS=$(SEEDS) $(BIN)/pytest -q -n $(JOBS) -p no:benchmark tests/sim

propagation: $(VENV)/.dev
	PYTHONPATH=tests $(PY) bench/propagation.py --jobs $(JOBS)

fuzz: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m fuzz --minutes $(MINUTES) --seed $(SEED) --jobs $(JOBS)

crash: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m crash.run

adversary: $(VENV)/.dev
	ADVERSARY_SECONDS=4 $(BIN)/pytest -q -s -p no:benchmark tests/adversary

discovery: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m discovery_table
	$(BIN)/pytest -v -p no:benchmark tests/protocol/test_finder.py tests/e2e/test_discovery.py \
		tests/namespaces

bench-bootstrap: $(VENV)/.dev
	.ci/packages redis-server
	$(BIN)/pytest bench/bench_bootstrap.py --benchmark-only -s

sanitize:
	.ci/packages gcc clang libclang-rt-dev
	tests/pow/native_checks.sh sanitize
	tests/pow/native_checks.sh fuzz 120

test-arm:
	.ci/packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
	tests/pow/native_checks.sh arm

# The environment: what the program needs, then what its developers need.
$(VENV)/.run: $(SOURCE)
	.ci/setup $(VENV)
	$(PY) -m pip install --quiet --editable .
	$(PY) -m compileall -q src  # as for an installed package: else each start may compile, PYTHONDONTWRITEBYTECODE
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/votenet/_pow*.so src/votenet/_pow*.c
