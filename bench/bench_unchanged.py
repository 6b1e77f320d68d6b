"""T21: does anything change a result that was called final?

Seeds: whole named nodes in virtual time, with crashes, partitions, wrong clocks, up to f old disks and keys
that run twice (`tests/sim/test_named_nodes.py`); and their consensus alone, with up to f liars
(`tests/sim/test_consensus.py`). In each, no two blocks are decided at a height, and votes that were
received by enough nodes are counted. BENCH_SEEDS of each are played, or as many as fit into
BENCH_SEED_SECONDS.

Attacks by a stranger: on a network that plain `votenet up --nodes 5` made. Each plays for
BENCH_ATTACK_SECONDS against one node, with a dozen links (`tests/adversary/named_strangers.py`). Afterwards
every node has the decided blocks of before, at the same heights, and no evidence against a named node; a
new vote becomes final.

Attacks by one of five named nodes: all its lies at once, through voting and closing, as `make adversary`
plays each lie alone (`tests/adversary/test_liars.py`).

    make bench-final     pytest bench/bench_unchanged.py --benchmark-only -s     BENCH_SEEDS=1000
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from adversary.arena import player
from adversary.named_strangers import FLOODS
from lines import add_line
from sim.test_consensus import ConsensusStory
from sim.test_named_nodes import NamedStory
from typed import votenet
from votenet.client.connection import NodeConnection
from votenet.config import InstanceDirs
from votenet.processes.control import ask
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.client_messages import EvidenceList, GetEvidence
from votenet.protocol.wire.named_messages import Lie
from votenet.protocol.wire.peer_messages import GetHeaders, Headers

SEEDS = int(os.environ.get("BENCH_SEEDS", "1000"))
SEED_SECONDS = float(os.environ.get("BENCH_SEED_SECONDS", "75"))
"""For each kind of seed; those that have begun are played to their end."""
ATTACK_SECONDS = float(os.environ.get("BENCH_ATTACK_SECONDS", "3"))
VOTES: Final = 5
ROOT: Final = Path(__file__).parent.parent


# -- seeds -------------------------------------------------------------------------------------------


def play_named(seed: int) -> str:
    """What broke in a history of whole nodes; empty if all was kept."""
    return _broken(lambda: NamedStory(seed).play())


def play_consensus(seed: int) -> str:
    return _broken(lambda: ConsensusStory(seed).play())


def _broken(play: Callable[[], None]) -> str:
    try:
        play()
    except Exception:
        return traceback.format_exc()
    return ""


def play_seeds(play: Callable[[int], str]) -> dict[int, str]:
    """What broke, by seed, of all that were played."""
    found: dict[int, str] = {}
    jobs = os.cpu_count() or 1
    end = time.monotonic() + SEED_SECONDS
    with ProcessPoolExecutor(jobs) as pool:
        for first in range(0, SEEDS, 2 * jobs):
            seeds = range(first, min(first + 2 * jobs, SEEDS))
            found.update(zip(seeds, pool.map(play, seeds), strict=True))
            if time.monotonic() > end:
                break
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("what", "play"),
    [("seeds of whole nodes", play_named), ("seeds of the consensus, with liars", play_consensus)],
)
def test_t21_seeds(benchmark: Any, what: str, play: Callable[[int], str]) -> None:
    found = benchmark.pedantic(lambda: play_seeds(play), rounds=1)
    broken = {seed: told for seed, told in found.items() if told}
    held = len(found) - len(broken)
    add_line(
        benchmark, "T21", f"{what}, nothing final changed", held, "seeds", ratio=held / len(found), goal=1
    )
    for seed, told in broken.items():
        print(f"    seed {seed}:\n{told}")


# -- attacks -----------------------------------------------------------------------------------------


async def _decided(addresses: list[Address]) -> tuple[list[tuple[str, ...]], list[Lie]]:
    """The decided headers of each node, and the evidence against named nodes that all of them have."""
    headers, lies = [], list[Lie]()
    for address in addresses:
        async with NodeConnection(address) as node:
            headers.append((await node.ask(GetHeaders(locator=()), Headers)).headers)
            lies += (await node.ask(GetEvidence(), EvidenceList)).lies
    return headers, lies


async def _attack(name: str, source: str, nodes: list[Address], genesis: Path) -> bool:
    """Whether an attack on the first node left at all nodes what was decided, and accused no node."""
    before, _ = await _decided(nodes)
    told = await player("named_strangers.py", name, nodes[0], source, ATTACK_SECONDS, genesis)
    after, lies = await _decided(nodes)
    print(f"    {name:14} told {told['codes']}, {told['lines']} lines")
    same = all(new[: len(old)] == old for old, new in zip(before, after, strict=True))
    return same and len(before[0]) >= VOTES and not lies


@pytest.mark.timeout(900)
def test_t21_strangers(benchmark: Any, dirs: InstanceDirs) -> None:
    votenet("up", "--nodes", "5", "--detach")
    for number in range(VOTES):
        assert "Your vote is final" in votenet("vote", f"before-{number}", "Alice")
    programs = ask(dirs, {"command": "status"})["programs"]
    nodes = [parse_address(program["address"]) for program in programs if program["role"] == "node"]
    held: dict[str, bool] = {}

    def attack_all() -> None:
        for number, name in enumerate(["forgeries", *FLOODS]):
            kept = asyncio.run(_attack(name, f"127.0.2.{2 + number}", nodes, dirs.genesis))
            held[name] = kept and "Your vote is final" in votenet("vote", f"after-{name}", "Bob")

    benchmark.pedantic(attack_all, rounds=1)
    good, what = sum(held.values()), "attacks by a stranger on plain votenet up, nothing final changed"
    add_line(benchmark, "T21", what, good, "attacks", ratio=good / len(held), goal=1)
    print(
        f"    {', '.join(name for name, kept in held.items() if not kept) or 'none'} changed what was final"
    )


@pytest.mark.timeout(600)
def test_t21_liar(benchmark: Any) -> None:
    tests = "tests/adversary/test_liars.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:benchmark", tests, "-k", "everything"]
    env = {**os.environ, "ADVERSARY_SECONDS": "1"}
    done: list[subprocess.CompletedProcess[str]] = []

    def lie() -> None:
        done.append(subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False))

    benchmark.pedantic(lie, rounds=1)
    held = done[0].returncode == 0
    what = "one named node with all its lies, nothing final changed"
    add_line(benchmark, "T21", what, int(held), "elections", ratio=float(held), goal=1)
    if not held:
        print(done[0].stdout[-3000:])
