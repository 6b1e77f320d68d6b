# Two commands do everything on a fresh machine with Python 3.11+ and a C compiler:
#   make demo    a whole election: five nodes, two contests, real ballots, a kill -9, closing, counts compared;
#                then a small one with secret ballots and three trustees
#   make test    lint, types, tests; a test without its tool is skipped, with a sentence
# The rest:
#   make check       the longer checks: seeds, crashes, adversaries, fuzzing, sanitizers, packages (.ci/run has the tools)
#   make lint        ruff and mypy
#   make architecture  docs/architecture.svg: the rooms, drawn from the imports
#   make bench       every target of the project in one table, within half an hour (docs/performance.md);
#                    RUNS=3: three runs, and what was met in all of them; BENCH_ARGS="-k t3": some of it
#   make bench-compare OLD=a.json NEW=b.json   figures that changed by more than ten percent
#   make bench-election  a whole election over five nodes (T3)   make bench-vote  votenet vote, as typed (T4)
#   make bench-final  from a nonce to its certificate, from the last closing list to the final result, attacks
#                    on what is final (T14, T22, T21)
#   make bench-dearest  honest clients while one address asks the most expensive questions (T19)
#   make bench-scale  a node that starts with a million votes, a roll of a million (T20)
#   make bench-growth  the cost of a vote as the chain grows (T11)   make bench-overload  bad input
#   make bench-pow   the nonce search (T1)           make bench-loop  event-loop lag while mining (T2)
#   make bench-chain a node catches up, an audit of an archive, bytes of a vote on the wire (T5, T6, T12)
#   make bench-supervisor  five nodes and the page up, one killed and back, all idle (T8, T9, T10)
#   make bench-page  500 voters within ten seconds, 1,000 open event streams, sizes (T15, T16, T18)
#   make bench-secret  the check of a secret ballot, 2,000 of them through five nodes (T17)
#   make bench-bootstrap  a registry of a million peers in SQLite and in Redis, against a thousand (T7)
#   make docs        the documentation site in build/site; each page opened in a browser (needs chromium)
#   make man         man/, the man pages, from the help of the commands
#   make tutorial    docs/tutorial.md, typed as printed; a member votes in a browser (needs chromium)
#   make pictures    the screenshots in docs/pictures/, of a real evening in a real browser (needs chromium)
#   make charts      the charts in docs/: throughput and latency against offered load
#   make soak MINUTES=60  steady load, 50 browsers at the page, a fault in every minute; no growth, nothing lost or undone
#   make mixed OLD=x.whl  five nodes, some of that version, upgraded one after the other (docs/storage.md)
#   make sanitize    ASan, UBSan, two minutes of fuzzing the C core (needs gcc and clang)
#   make sim SEEDS=1000   nodes in virtual time, with faults: one history for each seed; every short consensus
#   make fuzz MINUTES=5   invented inputs for every reader of foreign bytes (docs/testing.md)
#   make fuzz-counted     the same for the same inputs each time, as make check does
#   make propagation   100 and 1,000 nodes in virtual time: how votes and blocks spread (docs/performance.md)
#   make api-fuzz    requests made from openapi.json against a real page of real nodes (schemathesis)
#   make deployed    what deploy/ has, judged by its own tools and run (docs/deployment.md)
#   make crash       kill, cut, fill and damage the storage at its every operation (docs/storage.md)
#   make adversary   every adversary against real nodes, and the waits of honest clients meanwhile
#   make discovery   each kind of discovery alone, dead bootstrap servers, hosts in namespaces (docs/peers.md)
#   make frontend    what browsers get, built from frontend/ and tested (finds Node.js, or takes PyPI's)
#   make five        docs/operator.md, typed on five hosts in namespaces: from keys to an audit, with a liar and a lost machine
#   make long        what is too long for make test: whole evenings and elections, every example
#   make every-case  every command with every closed descriptor, every reader with every odd file, the whole course
#   make test-arm    the ARMv8 kernels under qemu user emulation (needs a cross compiler and qemu)

VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
SOURCE := pyproject.toml setup.py build_pow.py $(wildcard csrc/*.c csrc/*.h)
# Tests wait for programs more than they work: six for two cores.
JOBS   ?= 6

SEEDS  ?= 200
MINUTES ?= 5
SEED   ?= $(shell date +%s)

.PHONY: demo test compiled check packages lint bench bench-pow bench-loop bench-chain bench-bootstrap bench-compare bench-election \
	bench-vote bench-final bench-node bench-growth bench-overload bench-dearest bench-page bench-secret bench-suite bench-supervisor soak architecture pictures charts propagation sanitize sim \
	adversary api-fuzz deployed docs discovery discovery-table every-case five long frontend fuzz fuzz-counted crash man mixed test-arm tutorial clean
.PHONY: bench-scale

demo: $(VENV)/.run
	$(BIN)/votenet demo

# Tests are compiled once, while mypy reads the sources: else each test process compiles all of them.
test: $(VENV)/.dev
	$(MAKE) -j2 lint compiled
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -p no:benchmark --ignore=tests/deploy/running \
		--ignore=tests/upgrade -m "not long"

compiled: $(VENV)/.dev
	$(PY) -m compileall -q src
	mkdir -p build
	$(BIN)/pytest --collect-only -qq -p no:benchmark >build/tests.txt || { cat build/tests.txt; exit 1; }

check: $(VENV)/.dev
	$(MAKE) sim SEEDS=100
	$(MAKE) crash
	$(MAKE) adversary
	$(MAKE) discovery-table  # its tests are among those of make test and make long
	$(MAKE) long
	$(MAKE) every-case
	$(MAKE) frontend BUILD=--check
	$(MAKE) fuzz-counted
	$(MAKE) -j2 sanitize packages  # each works on one core
	$(MAKE) test-arm
	$(MAKE) api-fuzz
	$(MAKE) -j2 deployed five  # both wait more than they work
	$(MAKE) mixed
	$(MAKE) -j2 docs tutorial

# BUILD=--check: the built files must be those that are committed.
frontend: $(VENV)/.dev
	VOTENET_PYTHON=$(abspath $(PY)) .ci/frontend $(BUILD)

# Without OLD: the last commit before 0.2.0, where the history is here.
mixed: $(VENV)/.dev
	.ci/try-mixed $(PY) $(OLD)

# The wheel runs elsewhere; without a C compiler the sdist installs and an election holds on the Python reference.
packages: $(VENV)/.dev
	.ci/try-packages $(PY)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

RESULT ?= build/bench.json
RUNS ?= 1

bench: $(VENV)/.dev
	.ci/packages redis-server
	mkdir -p $(dir $(RESULT))
	rm -f $(RESULT).run*
	failed=0; for run in $$(seq $(RUNS)); do \
		BENCH_ELECTION_VOTES=$${BENCH_ELECTION_VOTES:-80101} $(BIN)/pytest bench --benchmark-only -q -s \
			--durations=0 --benchmark-json=$(RESULT).run$$run $(BENCH_ARGS) || failed=$$?; done; \
		$(PY) bench/table.py $(RESULT).run* --merge $(RESULT) && exit $$failed

bench-compare: $(VENV)/.dev
	$(PY) bench/compare.py $(OLD) $(NEW)

bench-election bench-node bench-vote bench-growth bench-overload bench-dearest bench-page bench-scale bench-suite bench-supervisor: bench-%: $(VENV)/.dev
	$(BIN)/pytest bench/bench_$*.py --benchmark-only -s

bench-final: $(VENV)/.dev
	$(BIN)/pytest bench/bench_decision.py bench/bench_unchanged.py --benchmark-only -s

bench-secret: $(VENV)/.dev
	$(BIN)/pytest bench/bench_secret.py bench/bench_secret_election.py --benchmark-only -s

bench-pow: $(VENV)/.dev
	$(BIN)/pytest bench/bench_pow.py --benchmark-only

bench-loop: $(VENV)/.dev
	$(BIN)/pytest bench/bench_loop.py --benchmark-only -s

bench-chain: $(VENV)/.dev
	$(BIN)/pytest $(wildcard bench/bench_sync.py bench/bench_audit.py bench/bench_propagation.py) \
		--benchmark-only -s

soak: $(VENV)/.dev
	$(PY) bench/soak.py --minutes $(MINUTES)

architecture:
	python3 docs/draw_architecture.py

pictures: $(VENV)/.dev
	.ci/packages chromium
	PYTHONPATH=tests $(PY) bench/screenshots.py

charts: $(VENV)/.dev
	PYTHONPATH=tests $(PY) bench/charts.py

# With DASK=tcp://HOST:8786 the workers of a Dask cluster play them; each has this project installed (make .venv/.dev).
sim: $(VENV)/.dev
ifdef DASK
	PYTHONPATH=tests $(PY) -m support.seed_cluster $(DASK) --seeds $(SEEDS)
else
	SIM_SEEDS=$(SEEDS) CONSENSUS_SEEDS=$$(($(SEEDS) * 50)) CONSENSUS_CHECK=all NAMED_SEEDS=$(SEEDS) AMENDED_SEEDS=$(SEEDS) $(BIN)/pytest -q -n $(JOBS) -p no:benchmark \
		tests/sim tests/protocol/consensus/test_exhaustive.py
endif

propagation: $(VENV)/.dev
	PYTHONPATH=tests $(PY) bench/propagation.py --jobs $(JOBS)

fuzz: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m fuzz --minutes $(MINUTES) --seed $(SEED) --jobs $(JOBS)

# The same inputs on every machine: what it finds, it finds again.
fuzz-counted: $(VENV)/.dev
	PYTHONHASHSEED=0 PYTHONPATH=tests $(PY) -m fuzz --counted --seed 1301 --jobs $(JOBS)

# It registers a plugin of pytest, which pyproject.toml keeps out of the tests.
api-fuzz: $(VENV)/.dev
	$(PY) -m pip install --quiet --editable '.[api-fuzz]'
	PYTHONPATH=tests $(PY) -m support.api_fuzz

# The whole of it: make test leaves out what starts programs.
deployed: $(VENV)/.dev
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile -p no:benchmark tests/deploy

# man/ is committed, so that an installation from any source has it.
man: $(VENV)/.docs
	$(PY) docs/man_pages.py

# Reference pages are taken from the code. Then a browser opens each page, on a phone and on a desktop.
docs: $(VENV)/.docs
	mandoc -Tlint -W warning man/*.1
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=docs $(PY) -m mkdocs build
	PYTHONPATH=tests $(PY) -m support.built_site build/site

# As a newcomer would: a copy of the sources is installed, an election held, closed and audited. It mostly waits.
tutorial: $(VENV)/.docs
	PYTHONPATH=tests $(PY) -m support.tutorial

crash: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m crash.run

# The waits of honest clients are measured where nothing else runs. The others wait more than they work.
MEASURED := $(addprefix tests/adversary/test_,adversaries.py floods.py prices.py)

adversary: $(VENV)/.dev
	ADVERSARY_SECONDS=4 $(BIN)/pytest -q -s -p no:benchmark $(MEASURED)
	ADVERSARY_SECONDS=4 $(BIN)/pytest -q -n 3 --dist worksteal -p no:benchmark tests/adversary \
		$(addprefix --ignore=,$(MEASURED))

discovery-table: $(VENV)/.dev
	PYTHONPATH=tests $(PY) -m support.discovery_table

five: $(VENV)/.dev
	VOTENET_FIVE=1 $(BIN)/pytest -q -p no:benchmark tests/namespaces/test_five_organisations.py

discovery: discovery-table
	$(BIN)/pytest -v -p no:benchmark tests/protocol/peers/test_discovery.py tests/e2e/test_discovery.py \
		tests/namespaces

# What is marked so, but for what the targets beside it run.
long: $(VENV)/.dev
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder -p no:benchmark -m long \
		$(addprefix --ignore=,tests/adversary tests/deploy/running tests/upgrade $(EVERY_CASE))

EVERY_CASE := tests/e2e/test_streams.py tests/e2e/test_course.py tests/cli/test_files_and_pipes.py

every-case: $(VENV)/.dev
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal -p no:benchmark \
		$(EVERY_CASE)

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

$(VENV)/.docs: $(VENV)/.dev
	.ci/packages chromium mandoc
	$(PY) -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/votenet/_pow*.so src/votenet/_pow*.c
