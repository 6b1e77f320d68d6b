"""Nothing acknowledged is lost, whichever storage operation kills the process or fails.

A fixed, spread-out sample of the operations; `make crash` tries every one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crash.harness import Bench, Outcome, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler: faults cannot be made")

SAMPLE = {"first start": 41, "later start": 23, "named node": 97}
"""Every so many operations of a workload; numbers without a common factor with its rhythm."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def problems(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.problem]


@pytest.mark.parametrize("name", SAMPLE)
def test_no_acknowledged_vote_is_lost_at_any_crash_or_failure(bench: Bench, name: str) -> None:
    workload = bench.workloads[name]
    operations = bench.operations(workload)
    kinds = {operation.split("-")[0] for operation in operations}
    assert {"db", "wal", "shm", "mark", "lock", "folder"} <= kinds, "the shim sees the storage"
    outcomes = [
        outcome
        for number in range(1, len(operations) + 1, SAMPLE[name])
        for outcome in bench.experiments(workload, number, operations[number - 1])
    ]
    assert problems(outcomes) == []
    assert any(outcome.refused for outcome in outcomes), "some faults are refused in words"


@pytest.mark.parametrize("sabotage", ["never sync", "acknowledge before saving", "never sync folders"])
def test_these_experiments_notice_broken_storage(sabotage: str) -> None:
    """The same experiments on storage that breaks its promise: they must fail."""
    with Bench(sabotage) as bench:
        workload = bench.workloads["first start"]
        operations = bench.operations(workload)
        outcomes = [
            outcome
            for number in range(40, len(operations) + 1, 61)
            for outcome in bench.kill(workload, number, operations[number - 1], "before")
        ]
        assert problems(outcomes)
