"""The simulations of `make sim`, played by the workers of a Dask cluster.

    PYTHONPATH=tests python -m support.seed_cluster tcp://HOST:8786 --seeds 1000

Each worker runs the tests of its own copy of the project, ten seeds at a time, so each must have the same
commit, installed as `make .venv/.dev` does. A failed seed is printed with the command that plays it again.
Exit code 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import votenet

SEEDS_A_TASK = 10
TASK_SECONDS = 3600.0


class Kind(NamedTuple):
    """A simulation: the name in its variables, its file, and how many histories are played for one seed."""

    name: str
    file: str
    times: int = 1


KINDS = (
    Kind("SIM", "tests/sim/test_five_nodes.py"),
    Kind("NAMED", "tests/sim/test_named_nodes.py"),
    Kind("AMENDED", "tests/sim/test_amended_nodes.py"),
    Kind("CONSENSUS", "tests/sim/test_consensus.py", times=50),
)


class Played(NamedTuple):
    """What a worker says: which seeds, whether all held, and the end of pytest's output."""

    what: str
    good: bool
    said: str


def tasks(seeds: int, kinds: Sequence[Kind] = KINDS) -> list[tuple[str, str, str]]:
    """Name, file and range (`10-19`) of each task."""
    found = []
    for kind in kinds:
        size = SEEDS_A_TASK * kind.times
        for first in range(0, seeds * kind.times, size):
            last = min(first + size, seeds * kind.times) - 1
            found.append((kind.name, kind.file, f"{first}-{last}"))
    return found


def play(name: str, file: str, wanted: str) -> Played:
    """Runs on a worker: the simulations of one task."""
    project = Path(votenet.__file__).parents[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:benchmark",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            file,
        ],
        cwd=project,
        env={**os.environ, f"{name}_SEED": wanted, "CONSENSUS_CHECK": "all"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TASK_SECONDS,
    )
    return Played(f"{name}_SEED={wanted} pytest {file}", done.returncode == 0, done.stdout[-3000:])


def main() -> int:
    options = argparse.ArgumentParser(description="The simulations on a Dask cluster.")
    options.add_argument("scheduler", help="tcp://HOST:PORT")
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--kind", choices=[kind.name for kind in KINDS], help="only this simulation")
    given = options.parse_args()
    kinds = [kind for kind in KINDS if given.kind in (None, kind.name)]
    from distributed import Client, as_completed

    failed, done = 0, 0
    with Client(given.scheduler) as client:
        todo = tasks(given.seeds, kinds)
        for future in as_completed([client.submit(play, *task, pure=False) for task in todo]):
            played, done = future.result(), done + 1
            failed += not played.good
            print(
                f"{done:>5} of {len(todo)}  {'holds' if played.good else 'FAILED'}  {played.what}", flush=True
            )
            if not played.good:
                print(played.said)
    print(f"{len(todo) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
