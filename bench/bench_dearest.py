"""T19: how long an honest client waits while one address asks the most expensive questions.

One real node with 100,000 votes in blocks of 20,000 (with 20,000 for the reference client's question, which a
longer chain does not answer), mining. An honest client votes and asks for the status, each as soon as it is
answered; one address asks over 1, 8 or 60 links as fast as it is answered, or sends one burst and resets the
link. Goals: p99 of both below 100 ms meanwhile; from a second after the end on as before; 300 MB.

    make bench-dearest      pytest bench/bench_dearest.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

import pytest

from adversary.long_chain import BLOCK_VOTES, VOTERS
from dearest import Case, opened
from lines import add_line

SECONDS: Final = float(os.environ.get("BENCH_DEAREST_SECONDS", "4"))
GOAL_MS: Final = 100.0
MEMORY_MB: Final = 300.0
SLACK_MS: Final = 10.0
"""Beside twice the idle p99: what a p99 of some hundred answers wanders by."""
PLAYED: Final = {
    VOTERS: (
        *(f"{question}-{links}" for question in ("get_proof", "get_blocks") for links in (1, 8, 60)),
        *(f"{name}-60" for name in ("get_headers", "get_results", "get_vote_status", "get_status")),
        *("get_block_votes-60", "duplicates-8", "blocks-burst", "proofs-burst"),
    ),
    BLOCK_VOTES: ("request_blockchain-1", "request_blockchain-60", "chain-burst"),
}


@pytest.mark.timeout(900)
def test_t19_the_dearest_questions(benchmark: Any, tmp_path: Path) -> None:
    found: list[tuple[Case, float]] = []

    def run() -> None:
        for votes, names in PLAYED.items():
            folder = tmp_path / str(votes)
            folder.mkdir()
            with opened(folder, votes) as bench:
                idle = max(asyncio.run(bench.calm()))
                found.extend((asyncio.run(bench.case(name, SECONDS)), idle) for name in names)

    benchmark.pedantic(run, rounds=1)
    for case, idle in found:
        worst = 1e3 * max(case.vote, case.status)
        what = f"honest p99, {case.name}"
        add_line(benchmark, "T19", what, worst, "ms", goal=GOAL_MS, at_least=False)
        print(
            f"    vote {1e3 * case.vote:.1f} ms, status {1e3 * case.status:.1f} ms, longest "
            f"{1e3 * case.longest:.1f} ms; idle {1e3 * idle:.1f} ms; {case.lines} answers"
        )
        after = f"honest p99 from 1 s after {case.name} on"
        goal = 2e3 * idle + SLACK_MS
        add_line(benchmark, "T19", after, 1e3 * case.after, "ms", goal=goal, at_least=False)
    memory = max(case.memory for case, _ in found) / 1e6
    add_line(benchmark, "T19", "memory of the node", memory, "MB", goal=MEMORY_MB, at_least=False)
