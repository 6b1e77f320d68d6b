"""T13: `make test` as typed, with lint and types, where everything is installed.

make bench-suite     pytest bench/bench_suite.py --benchmark-only -s
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lines import add_line

ROOT = Path(__file__).parent.parent
GOAL_SECONDS = 480


@pytest.mark.timeout(1200)
def test_t13_suite(benchmark: Any) -> None:
    failed: list[str] = []

    def run() -> None:
        done = subprocess.run(["make", "test"], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            failed.append(done.stdout[-2000:])

    benchmark.pedantic(run, rounds=1)
    seconds = benchmark.stats.stats.max
    add_line(benchmark, "T13", "make test", seconds, "s", goal=GOAL_SECONDS, at_least=False)
    assert not failed, failed[0]
