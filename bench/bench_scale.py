"""T20: a million voters: a node that starts with a million votes, a roll of a million read and checked.

The chain is one that five named nodes have decided, in blocks of 20,000 votes. Its votes carry signatures
that hold for nothing: a start checks hashes, and no signature (docs/storage.md). Timed from exec until the
node says that it is ready; its memory is what it has then.

The roll is checked by `votenet voters check`, as typed: seconds from exec to its end, and the peak of its
memory. Beside it, without a goal: the same roll made from a CSV file by `votenet voters import`.

Processor time is noted beside each time: it says what a busy machine would have taken alone.

    make bench-scale     BENCH_SCALE=100000 for a quick look
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from decided_chain import DecidedChain
from lines import add_line
from record_chain import RecordChain, node
from support.elections import make_election, named_nodes
from support.named_programs import write_node_key
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import HashedVote, Vote, hash_votes
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.pow import bits_for_zero_bits
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

SIZE = int(os.environ.get("BENCH_SCALE", "1000000"))
BLOCK_VOTES = 20_000
ROUNDS = 3


class Taken(NamedTuple):
    """What a program took: seconds by the clock and of its processor, and bytes of memory at most."""

    seconds: float
    cpu: float
    memory: float


def voter_name(number: int) -> str:
    """As long as most ids are, and in no order."""
    return f"member-{sha256(b'%d' % number).hexdigest()[:8]}-{number:07}"


def public_key(number: int) -> str:
    """A real one: a list of members is refused with others."""
    return SigningKey(sha256(b"%d" % number).digest()).public_hex


def votes(election: Election, size: int) -> Iterator[list[HashedVote]]:
    """Well-formed votes, signed by nobody, a block of them at a time."""
    names, signature = election.names, "ab" * 64
    for first in range(0, size, BLOCK_VOTES):
        yield hash_votes(
            [
                Vote(
                    choices=((names[number % len(names)],),),
                    network_id=election.network_hex,
                    signature=signature,
                    time=election.definition.created + 1,
                    voter_id=voter_name(number),
                    voter_key=sha256(b"%d" % number).hexdigest(),
                )
                for number in range(first, min(first + BLOCK_VOTES, size))
            ]
        )


def build(folder: Path, size: int) -> RecordChain:
    """A folder of named node 0 with so many votes."""
    election = make_election(
        bits=bits_for_zero_bits(1), nodes=named_nodes(5), max_block_votes=MAX_BLOCK_VOTES
    )
    genesis, data_dir = folder / "genesis.json", folder / "node-0"
    genesis.write_bytes(election.to_file())
    write_node_key(data_dir, 0)
    made = DecidedChain(election)
    with lock_data_dir(data_dir):
        store = SqliteBlockStore(data_dir, election)
        try:
            for block in votes(election, size):
                store.apply(made.add(block))
            store.apply([made.certificate()])
        finally:
            store.close()
    os.sync()
    return RecordChain(election, data_dir, genesis, folder / "none", made.chain.tally.votes)


def start(chain: RecordChain) -> Taken:
    """A node on the chain, until it is ready."""
    began = time.perf_counter()
    with node(chain, chain.data_dir) as (pid, _):
        seconds, program = time.perf_counter() - began, psutil.Process(pid)
        times = program.cpu_times()
        return Taken(seconds, times.user + times.system, program.memory_info().rss)


def command(*words: str) -> Taken:
    """A command that must succeed."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = (  # ru_maxrss would be that of this process, where that is more
        "import re, runpy, sys; sys.argv = ['votenet', *sys.argv[1:]]\n"
        "try: runpy.run_module('votenet', run_name='__main__')\n"
        "finally: print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured, *words], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(time.perf_counter() - began, cpu, 1024 * float(done.stderr.split()[-1]))


def report(benchmark: Any, what: str, taken: Taken, goal: float | None, memory_goal: float | None) -> None:
    add_line(benchmark, "T20", what, taken.seconds, "s", goal=goal, at_least=False)
    add_line(benchmark, "T20", f"{what}: memory", taken.memory / 1e6, "MB", goal=memory_goal, at_least=False)
    print(f"    {taken.cpu:.2f} s of processor time; {taken.memory / SIZE:.0f} bytes of memory a voter")


def best(rounds: list[Taken]) -> Taken:
    """The middle one by the clock."""
    return sorted(rounds)[len(rounds) // 2]


@pytest.mark.timeout(1800)
def test_t20_start(benchmark: Any, tmp_path: Path) -> None:
    chain = build(tmp_path, SIZE)
    assert chain.votes == SIZE
    took = benchmark.pedantic(lambda: best([start(chain) for _ in range(ROUNDS)]), rounds=1)
    report(benchmark, f"a node with {SIZE:,} votes is ready", took, 5.0, None)


@pytest.mark.timeout(1800)
def test_t20_roll(benchmark: Any, tmp_path: Path) -> None:
    members, roll = tmp_path / "members.csv", tmp_path / "roll.json"
    with members.open("w") as file:
        file.write("id,public_key\n")
        file.writelines(f"{voter_name(n)},{public_key(n)}\n" for n in range(SIZE))
    made = command("voters", "import", str(members), "-o", str(roll))
    report(benchmark, f"voters import of {SIZE:,}", made, None, None)
    checked = [str(roll)]
    took = benchmark.pedantic(
        lambda: best([command("voters", "check", *checked) for _ in range(ROUNDS)]), rounds=1
    )
    report(benchmark, f"voters check of a roll of {SIZE:,}", took, 10.0, 400.0)
