"""The simulations on a Dask cluster: every history once, and a failure is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.dask_cluster import dask_cluster
from support.seed_cluster import KINDS, tasks
from support.seeds import seeds

TESTS = Path(__file__).parents[1]


def test_each_history_is_in_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Counter[tuple[str, int]] = Counter()
    for name, _, wanted in tasks(25):
        with monkeypatch.context() as patch:
            patch.setenv(f"{name}_SEED", wanted)
            found.update((name, seed) for seed in seeds(name, 1))
    assert found == Counter((kind.name, seed) for kind in KINDS for seed in range(25 * kind.times))


def test_seeds_are_one_a_range_or_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("X_SEED", "X_SEEDS"):
        monkeypatch.delenv(name, raising=False)
    assert list(seeds("X", 3)) == [0, 1, 2]
    monkeypatch.setenv("X_SEEDS", "2")
    assert list(seeds("X", 3)) == [0, 1]
    monkeypatch.setenv("X_SEED", "7")
    assert list(seeds("X", 3)) == [7]
    monkeypatch.setenv("X_SEED", "7-9")
    assert list(seeds("X", 3)) == [7, 8, 9]


@pytest.mark.long
def test_two_workers_play_the_histories_of_a_simulation(tmp_path: Path) -> None:
    with dask_cluster(str(tmp_path)) as address:
        done = subprocess.run(
            [sys.executable, "-m", "support.seed_cluster", address, "--seeds", "11", "--kind", "NAMED"],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed"
