"""For every test, in every process that runs tests.

What lives here: what the machine around must not decide. What must not: fixtures (they are beside the tests).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator

import pytest

NOTHING_MAY_BE_SKIPPED = "VOTENET_NO_SKIPS"
"""Set where every tool is installed (.ci/run): a skipped test is a failure there."""

os.environ.pop("PYTHONUNBUFFERED", None)  # people do not set it, and it hides what a buffer does at the end

with contextlib.suppress(ValueError):  # not the main thread
    # A shell that starts the tests in the background has it ignored; every child would inherit that, and
    # tests that interrupt a command would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
