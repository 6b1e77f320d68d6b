"""The command: hunt with all targets, hunt with one, or replay one input.

    python -m fuzz --minutes 5 --seed 7              every target, on all cores; exit 1 on a finding
    python -m fuzz --counted --seed 7                every target, as many inputs as `runs.json` says
    python -m fuzz --minutes 5 --count               the same hunt as the first, and writes `runs.json`
    python -m fuzz --target messages --seconds 20    one target, in this process
    python -m fuzz --target messages --input FILE    one input: what it breaks, with its trace

Run from the top of the project with PYTHONPATH=tests; `make fuzz` does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import signal
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final

from fuzz.engine import Failure, Hunt, interrupted_input, replay, report
from fuzz.targets import TARGETS, by_name

FORK: Final = get_context("fork")
"""A child that starts with all imports done: thirty starts would cost a minute on a busy machine."""
MEMORY: Final = 1 << 30
"""Bytes of address space that one target may take beyond what it starts with."""
RUNS: Final = Path(__file__).parent / "runs.json"
"""How many inputs each target tries when they are counted: what it tried in three minutes for all of them."""
COUNTED_SECONDS: Final = 1200.0
"""Time for one target whose inputs are counted; on a slow machine none needs a tenth of it."""
GRACE_SECONDS: Final = 60.0
"""A hunt that is not over this long after its time hangs where no signal reaches it."""


def main() -> int:
    """Exit code: 0 nothing found, 1 something found."""
    options = _options()
    if options.target and options.input:
        return _replay(options.target, options.input)
    if options.target:
        return _hunt_one(options.target, options.seed, options.seconds, options.folder)
    if options.counted:
        shutil.rmtree(options.folder / "counted", ignore_errors=True)
        return _hunt_all(options.seed, 0.0, options.jobs, options.folder / "counted", counted=True)
    seconds = options.minutes * 60.0 * options.jobs
    return _hunt_all(options.seed, seconds, options.jobs, options.folder, count=options.count)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description="Feed votenet with inputs that no person wrote."
    )
    parser.add_argument("--target", choices=[target.name for target in TARGETS])
    parser.add_argument("--input", type=Path, help="replay this file with --target")
    parser.add_argument("--seconds", type=float, default=10.0, help="for one --target")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--counted", action="store_true", help="the same inputs each time")
    parser.add_argument("--count", action="store_true", help="write how many inputs were tried")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="findings and found inputs")
    return parser.parse_args()


def _replay(name: str, path: Path) -> int:
    failure = replay(by_name(name), path.read_bytes())
    print("nothing wrong" if failure is None else f"{failure.trace}\n{failure.key}")
    return int(failure is not None)


def _hunt_one(name: str, seed: int, seconds: float, folder: Path, runs: float = math.inf) -> int:
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    hunt = Hunt(by_name(name), seed, folder)
    hunt.run(seconds, runs)
    (folder / f"runs-{name}").write_text(f"{hunt.runs}\n", encoding="ascii")
    print(hunt.summary(), flush=True)
    return int(bool(hunt.findings))


def _hunt_all(
    seed: int, seconds: float, jobs: int, folder: Path, *, counted: bool = False, count: bool = False
) -> int:
    runs = json.loads(RUNS.read_text(encoding="ascii")) if counted else {}
    long = f"{sum(runs.values()):,} inputs" if counted else f"{seconds:g} s"
    print(f"{len(TARGETS)} targets, {long} in all, {jobs} at a time, seed {seed}", flush=True)
    share = seconds / sum(target.weight for target in TARGETS)
    waiting = sorted(TARGETS, key=lambda target: -target.weight)  # so that no long one is left over
    running: dict[str, tuple[ForkProcess, float]] = {}
    found = 0
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                target = waiting.pop(0)
                own = COUNTED_SECONDS if counted else share * target.weight
                limit = runs.get(target.name, 1_000) if counted else math.inf
                child = FORK.Process(target=_child, args=(target.name, seed, own, folder, limit))
                child.start()
                running[target.name] = child, time.monotonic() + own + GRACE_SECONDS
            wait([child.sentinel for child, _ in running.values()], timeout=1.0)
            for name, (child, deadline) in list(running.items()):
                if not child.is_alive() or time.monotonic() > deadline:
                    found += _ended(name, child, folder)
                    del running[name]
    finally:
        for child, _ in running.values():
            child.kill()
            child.join()
        signal.signal(signal.SIGTERM, before)
    if count:
        tried = {one.name: int((folder / f"runs-{one.name}").read_text(encoding="ascii")) for one in TARGETS}
        RUNS.write_text(json.dumps(dict(sorted(tried.items())), indent=1) + "\n", encoding="ascii")
    print(f"{found} of {len(TARGETS)} targets found something" if found else "nothing found", flush=True)
    return int(found > 0)


def _child(name: str, seed: int, seconds: float, folder: Path, runs: float) -> None:
    """One target in a process of its own, which has imported everything already."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(_hunt_one(name, seed, seconds, folder, runs))


def _ended(name: str, child: ForkProcess, folder: Path) -> int:
    """1 if this hunt found something; a hunt that hangs or dies has found its last input."""
    hangs = child.is_alive()
    if hangs:
        child.kill()
    child.join()
    data = interrupted_input(folder, name)
    if data is not None:
        what = "does not end" if hangs else f"the process ended with {child.exitcode}"
        report(folder, name, data, Failure(what, ""))
    return int(child.exitcode != 0)


if __name__ == "__main__":
    sys.exit(main())
