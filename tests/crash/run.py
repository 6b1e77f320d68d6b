"""`make crash`: every storage operation, every fault, damage of every file; a table at the end.

Run as `python -m crash.run` with tests/ on the path. Exit code: 0 nothing is lost, 1 something is, 2 it
cannot run here.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import multiprocessing.util
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crash import small_disk
from crash.damage import AT_REST, DAMAGES, Rest
from crash.harness import ERRNOS, MEMORY, Bench, Outcome, build_shim, compiler
from crash.named_runs import NamedBench
from crash.node_runs import NodeBench
from votenet.storage.blocks.tables import DATABASE_NAME

WORKERS: Final = (os.cpu_count() or 1) + 1
"""One more than cores: some wait for the node that they started."""
SEEDS: Final = {DATABASE_NAME: 40, f"{DATABASE_NAME}-wal": 40}
"""Places tried for each kind of damage of a file; 10 where the file is small."""


@dataclass(frozen=True)
class Job:
    """One piece of work for a worker: `kind` is storage, node, named, or damage."""

    kind: str
    name: str
    number: int = 0
    operation: str = ""
    file: str = ""
    """That is damaged."""


class Worker:
    """What a worker process keeps between jobs."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        place = MEMORY if os.access(MEMORY, os.W_OK) else None
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="votenet-crash-", dir=place)))
        self.bench = stack.enter_context(Bench())
        (scratch / "node").mkdir()
        (scratch / "rest").mkdir()
        self._scratch, self._stack = scratch, stack
        self.rests = {}
        for name in ("first start", "named node"):
            (scratch / "rest" / name).mkdir()
            self.rests[name] = Rest(scratch / "rest" / name, name)

    @functools.cached_property
    def node_bench(self) -> NodeBench:
        return NodeBench(self._scratch / "node", build_shim(self._scratch))

    @functools.cached_property
    def named_bench(self) -> NamedBench:
        (self._scratch / "named").mkdir()
        return self._stack.enter_context(NamedBench(self._scratch / "named", build_shim(self._scratch)))

    def jobs(self) -> Iterator[Job]:
        """The longest come first, so that no worker is left with one at the end."""
        for name, rest in self.rests.items():
            for state in AT_REST:
                for file in rest.files(state):
                    yield Job("damage", name, operation=state, file=file)
        for name, workload in self.bench.workloads.items():
            for number, operation in enumerate(self.bench.operations(workload), start=1):
                yield Job("storage", name, number, operation)
        operations, opening = self.node_bench.operations()
        for number, operation in enumerate(operations[opening:], start=opening + 1):
            yield Job("node", "node", number, operation)
        operations, opening = self.named_bench.operations()
        for number, operation in enumerate(operations[opening:], start=opening + 1):
            yield Job("named", "named", number, operation)

    def do(self, job: Job) -> list[Outcome]:
        if job.kind == "storage":
            return list(self.bench.experiments(self.bench.workloads[job.name], job.number, job.operation))
        if job.kind == "node":
            middle = "middle" if job.operation.endswith("-write") else "after"
            name = list(ERRNOS)[job.number % len(ERRNOS)]
            return [
                self.node_bench.kill(job.number, job.operation, "before"),
                self.node_bench.kill(job.number, job.operation, middle),
                self.node_bench.fail(job.number, job.operation, name),
            ]
        if job.kind == "named":
            kills = ("before", "middle" if job.operation.endswith("-write") else "after")
            return [self.named_bench.kill(job.number, job.operation, kills[job.number % 2])]
        seeds, rest = SEEDS.get(job.file, 10), self.rests[job.name]
        outcomes = [
            rest.experiment(job.operation, job.file, way, seed) for way in DAMAGES for seed in range(seeds)
        ]
        # A lost key is no damage that could be seen: the node has a new identity, and its votes.
        return outcomes if job.file.endswith(".key") else [*outcomes, rest.loss(job.operation, job.file)]


_stack = contextlib.ExitStack()
_worker: Worker | None = None


def _do(job: Job) -> list[Outcome]:
    """In a worker process: its bench is made with its first job, and ends with the process."""
    global _worker
    if _worker is None:
        _worker = Worker(_stack)
        multiprocessing.util.Finalize(None, _stack.close, exitpriority=10)
    return _worker.do(job)


def main() -> int:
    """Do everything; print a line of progress and a table."""
    if compiler() is None:
        print(
            "make crash needs a C compiler (cc): the faults are made by a preloaded library", file=sys.stderr
        )
        return 2
    with contextlib.ExitStack() as stack:
        jobs = list(Worker(stack).jobs())
    outcomes: list[Outcome] = []
    losses: list[str] = []
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")))
        stack.callback(pool.shutdown, cancel_futures=True)  # a worker that fails ends the whole
        done = as_completed([pool.submit(_do, job) for job in jobs])
        for count, future in enumerate(done, start=1):
            new = future.result()
            for outcome in new:
                if outcome.problem:
                    losses.append(f"LOST at {outcome.operation}, {outcome.fault}: {outcome.problem}")
                    print(f"\n{losses[-1]}")
            outcomes += new
            done_so_far = f"{count} of {len(jobs)} operations and files, {len(outcomes)} faults"
            print(f"\r{done_so_far}, {len(losses)} losses ", end="", flush=True)
    print("\n")
    _print_table(outcomes)
    disk = _small_disk()
    kept = not losses and disk
    # Once more: where only the end of the output is kept, it says what was lost.
    print("nothing acknowledged was lost" if kept else "\n".join((*losses[:10], "SOMETHING WAS LOST")))
    return 0 if kept else 1


def _print_table(outcomes: list[Outcome]) -> None:
    """One line for each operation (or file): faults tried, and how they ended."""
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        rows[outcome.operation]["tried"] += 1
        rows[outcome.operation][_ended(outcome)] += 1
    columns = ("tried", "recovered", "refused", "lost")
    print(f"{'operation or damaged file':32}" + "".join(f"{column:>10}" for column in columns))
    for operation in sorted(rows):
        print(f"{operation:32}" + "".join(f"{rows[operation][column]:10}" for column in columns))


def _ended(outcome: Outcome) -> str:
    """`refused`: in words, and then it went on, or its next step helped."""
    return "lost" if outcome.problem else "refused" if outcome.refused else "recovered"


def _small_disk() -> bool:
    why = small_disk.why_not()
    if why:
        print(f"full file system: not tried, {why}")
        return True
    with tempfile.TemporaryDirectory(prefix="votenet-crash-") as folder:
        done = small_disk.run_on_a_small_disk(Path(folder))
    print(f"full file system of {small_disk.SIZE_KIB} KiB: {done.stdout.strip() or done.stderr[-500:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
