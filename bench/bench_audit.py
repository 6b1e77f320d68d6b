"""T6: `votenet audit` of the exported chain of 80,101 real ballots, with every core.

The command itself, from the start of its interpreter to its exit, on an archive made by the same code as
`votenet export`: named nodes decided its blocks, a certificate ends it. The yardstick, Ed25519 verifies a
second of one core, is measured before and after each round. `extra_info` holds votes a second and the
ratio.

    make bench-chain        pytest bench/bench_audit.py --benchmark-only -s
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import pytest

from record_chain import RecordChain, Yardstick, report

ROUNDS = 5


@pytest.mark.timeout(600)
def test_t6_audit(benchmark: Any, chain: RecordChain) -> None:
    yardstick = Yardstick()
    command = [sys.executable, "-m", "votenet", "audit", str(chain.archive), "--json"]

    def audit() -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        assert json.loads(done.stdout)["votes"] == chain.votes

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    benchmark.pedantic(audit, setup=yardstick.measure, rounds=ROUNDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    yardstick.measure()
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(benchmark, "T6 audit", chain.votes, busy / ROUNDS, yardstick, 1.5)
