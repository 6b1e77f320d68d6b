"""T13: the test suite, as `make test` runs it, without lint.

make bench-suite     pytest bench/bench_suite.py --benchmark-only -s
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lines import add_line

ROOT = Path(__file__).parent.parent
GOAL_SECONDS = 480
JOBS = os.environ.get("JOBS", "6")
"""As in the Makefile."""
NOT_IN_IT = ("--ignore=tests/deploy/running", "--ignore=tests/upgrade")
"""What `make check` runs, and `make test` leaves out."""


@pytest.mark.timeout(1200)
def test_t13_suite(benchmark: Any) -> None:
    how = ["-n", JOBS, "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:benchmark", *NOT_IN_IT]
    command = [sys.executable, "-m", "pytest", "-q", *how]
    failed: list[str] = []

    def run() -> None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            failed.append(done.stdout[-2000:])

    benchmark.pedantic(run, rounds=1)
    seconds = benchmark.stats.stats.max
    add_line(benchmark, "T13", "make test", seconds, "s", goal=GOAL_SECONDS, at_least=False)
    assert not failed, failed[0]
