"""Settings for every test, in every process that runs tests."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")
"""The same examples on every machine, slow as it may be: `make fuzz` is where new ones are invented."""

with contextlib.suppress(ImportError):  # an older Hypothesis
    # It also takes numbers and words from the sources of the modules that are loaded so far: which these are
    # depends on the tests that this process ran before. tests/test_same_examples.py sees that it takes none.
    from hypothesis.internal.conjecture import providers

    providers._get_local_constants = lambda: providers._local_constants

NOTHING_MAY_BE_SKIPPED = "VOTENET_NO_SKIPS"
"""Set where every tool is installed (.ci/run): a skipped test is a failure there."""

for name in ("PYTHONUNBUFFERED", "FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(name, None)  # people do not set the first, and it hides what a buffer does at the end

sys.dont_write_bytecode = False
"""The processes that run tests side by side all read the same tests: one compiles them (see Makefile)."""

os.environ["PYTHONFAULTHANDLER"] = "1"
"""A program of a test that crashes, or is ended because it hangs, says where: none ends without a word."""

os.environ["VOTENET_UP_WEB"] = "false"
"""A page costs each network of a test a start and a port: tests of the page ask for it (`--web`)."""

_STATE = tempfile.TemporaryDirectory(prefix="votenet-tests-")
os.environ["XDG_STATE_HOME"] = _STATE.name
"""Networks that clients of tests remember: other tests have other networks at the same ports later."""

with contextlib.suppress(ValueError):  # not the main thread
    # A shell that starts the tests in the background has it ignored; every child would inherit that, and
    # tests that interrupt a command would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


gc.disable()
"""While tests are collected, all that is made stays: nothing of it is looked at in vain, now or later."""


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


LONGEST = (
    *("e2e/test_readers", "e2e/test_readers_of_demo", "e2e/test_printed_commands", "e2e/test_examples"),
    *("web/test_evening", "e2e/test_secret_election", "e2e/test_streams", "e2e/test_final_result"),
    *("e2e/test_discovery",),
    *("cli/test_files_and_pipes", "e2e/test_operator", "adversary/test_adversaries"),
    *("web/test_booth_in_browser", "web/test_secret_booth", "web/test_secret_evening"),
    *("adversary/test_belief", "cli/network/test_run"),
    *("cli/network/test_bootstrap", "processes/test_supervisor", "cli/network/test_up"),
)
PROGRAMS = ("adversary", "cli", "crash", "e2e", "lab", "namespaces", "processes", "web")
"""Their tests wait for programs; the others compute."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders the files for processes that take one after the other (`make test`).

    The longest come first, so that none is left at the end; between those that wait come some that compute.
    """
    if not hasattr(config, "workerinput"):
        return
    files = [name for name, _ in itertools.groupby(_file(item) for item in items)]
    waiting = [name for name in files if name.startswith(PROGRAMS)]
    waiting.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    computing = [name for name in files if name not in waiting]
    ranks = {name: n / len(group) for group in (waiting, computing) for n, name in enumerate(group)}
    items.sort(key=lambda item: ranks[_file(item)])


def _file(item: pytest.Item) -> str:
    """Without its ending, below tests/."""
    return item.nodeid.partition(".py::")[0].removeprefix("tests/")


LIMITS = ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE")


@pytest.fixture(autouse=True)
def process_stays_as_it_is() -> Iterator[None]:
    """Fails a test that leaves behind what the programs of later tests in this process would inherit."""
    before = _inherited()
    yield
    shutil.rmtree(Path(_STATE.name) / "votenet" / "known", ignore_errors=True)
    after = _inherited()
    changed = {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value}
    new = {name: value for name, value in after.items() if name not in before}
    assert not changed, f"left changed, each before and after: {changed}"
    assert not new, f"left behind: {new}"


def _inherited() -> dict[str, object]:
    """Of this process: environment, folder, umask, limits, blocked signals, handlers."""
    found: dict[str, object] = {
        f"${name}": value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    found |= {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}
    for number in signal.valid_signals() - {signal.SIGALRM}:  # pytest-timeout's
        found[f"signal {number}"] = signal.getsignal(number)
    status = Path("/proc/self/status").read_text().splitlines()
    found |= {line.split(":")[0]: line for line in status if line.startswith(("Umask", "SigBlk"))}
    return found | {"folder": os.getcwd()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped a skip fails, with its sentence."""
    report = yield
    if os.environ.get(NOTHING_MAY_BE_SKIPPED) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which {NOTHING_MAY_BE_SKIPPED} forbids: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
