"""The election that the benches of the chain fetch and audit: 80,101 real ballots, signed, in blocks.

The ballots are the shipped record (Minneapolis 2013, first choices). Signing and mining are set-up: the
difficulty is one bit. Five named nodes have decided the blocks, of 4,000 votes each.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nacl import _sodium

from decided_chain import DecidedChain
from lines import add_line
from support.elections import make_election, named_nodes
from support.named_programs import write_node_key
from votenet.ballots.check import ReadingOptions, check_ballots, found_candidates
from votenet.ballots.layout import Columns
from votenet.ballots.paper import Ballot
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.core.records.archive import archive_lines
from votenet.pow import bits_for_zero_bits
from votenet.storage.ballot_source import read_ballot_file
from votenet.storage.blocks.chain_reader import read_chain
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

RECORD: Final = Path("minneapolis-2013")
BALLOTS: Final = int(os.environ.get("BENCH_BALLOTS", "80101"))
"""Fewer for a quick look; the targets speak of all of them."""
BLOCK_VOTES: Final = 4000
READY_SECONDS: Final = 120
NO_CHOICES: Final = ("undervote", "overvote")
"""What the record has where there is no first choice: candidates here, so that every ballot is a vote."""


@dataclass(frozen=True, slots=True)
class RecordChain:
    """The chain on disk: `data_dir` of a node, `genesis` file, `archive` file."""

    election: Election
    data_dir: Path
    genesis: Path
    archive: Path
    votes: int


def build(folder: Path, ballots: int = BALLOTS, *, named: bool = True) -> RecordChain:
    """Sign the ballots, put them in blocks, store them as a node does. All of them take some ten seconds.

    `named`: five named nodes decided each block. The source is one of them.
    """
    election = make_election(
        bits=bits_for_zero_bits(1),
        candidates=record_names(),
        title="Minneapolis, mayor, 2013",
        created=1_700_000_000,
        nodes=named_nodes(5) if named else (),
    )
    genesis, data_dir, archive = folder / "genesis.json", folder / "source", folder / "election.jsonl"
    genesis.write_bytes(election.to_file())
    if named:
        write_node_key(data_dir, 0)
    made, note = DecidedChain(election), ""
    with lock_data_dir(data_dir):
        store = SqliteBlockStore(data_dir, election)
        try:
            for batch in _batches(election, ballots):
                store.apply(made.add(batch))
            if named:
                certificate = made.certificate()
                store.apply([certificate])
                note = certificate.note
        finally:
            store.close()
    with archive.open("wb") as file:
        file.writelines(archive_lines(election, read_chain(data_dir, election), note))
    votes = made.chain.tally.votes
    assert votes == ballots
    return RecordChain(election, data_dir, genesis, archive, votes)


def record_names() -> tuple[str, ...]:
    """Everything that stands at the first rank of the record."""
    columns = Columns(choices=("rank1",))
    return (*found_candidates(read_ballot_file(RECORD), ReadingOptions(columns)), *NO_CHOICES)


def record_ballots(election: Election, prefix: str = "ballot-") -> Iterator[Ballot]:
    """The first choices of the record, for an election between `record_names`."""
    options = ReadingOptions(Columns(choices=("rank1",)), prefix=prefix)
    checked = check_ballots(read_ballot_file(RECORD), options, election.definition.contests)
    checked.demand_whole()
    return iter(checked.ballots)


def _batches(election: Election, ballots: int) -> Iterator[list[HashedVote]]:
    rows = islice(record_ballots(election), ballots)
    while batch := [sign(election, ballot) for ballot in islice(rows, BLOCK_VOTES)]:
        yield batch


def sign(election: Election, ballot: Ballot) -> HashedVote:
    """The vote of a ballot, with a key that follows from the voter id."""
    key = SigningKey(hashlib.sha256(b"bench " + ballot.voter_id.encode()).digest())
    return sign_vote(
        key,
        network_hex=election.network_hex,
        voter_id=ballot.voter_id,
        choices=ballot.choices,
        time=election.definition.created,
    )


class Yardstick:
    """Ed25519 verifies a second of one core: libsodium on messages as long as a vote, nothing around it.

    All keys and messages differ: a processor learns the way through one signature that it sees again.
    """

    def __init__(self) -> None:
        self._claims = [self._claim(number) for number in range(2000)]
        self._by_clock: list[float] = []
        self._by_cpu: list[float] = []

    @staticmethod
    def _claim(number: int) -> tuple[bytes, bytes]:
        """A key, and a message behind its signature."""
        message = hashlib.sha512(number.to_bytes(4)).digest() * 4
        key = SigningKey(message[:32])
        return key.public, key.sign(message) + message

    def measure(self) -> None:
        """Once more, about a third of a second in all; to be called before and after what is measured."""
        ffi, verify = _sodium.ffi, _sodium.lib.crypto_sign_open
        opened, size = ffi.new("unsigned char[]", 512), ffi.new("unsigned long long *")
        for _ in range(3):
            began, busy = time.perf_counter(), time.thread_time()
            bad = [
                n
                for n, (key, signed) in enumerate(self._claims)
                if verify(opened, size, signed, len(signed), key)
            ]
            assert not bad
            self._by_clock.append(len(self._claims) / (time.perf_counter() - began))
            self._by_cpu.append(len(self._claims) / (time.thread_time() - busy))

    @property
    def rate(self) -> float:
        """Verifies a second, median, by the clock."""
        return statistics.median(self._by_clock)

    @property
    def rate_by_cpu(self) -> float:
        """Verifies in a second of processor time: higher than `rate` where others use the machine."""
        return statistics.median(self._by_cpu)


def report(
    benchmark: Any, name: str, votes: int, cpu_seconds: float, yardstick: Yardstick, target: float
) -> None:
    """A line for the target and one for where the time went; the same in the benchmark's JSON.

    `cpu_seconds` of processor time for one round. The share of it that checking signatures must take does
    not depend on how busy the machine is; the ratio, by the clock, does.
    """
    seconds = statistics.median(benchmark.stats.stats.data)
    rate = votes / seconds
    ratio, share = rate / yardstick.rate, votes / yardstick.rate_by_cpu / cpu_seconds
    add_line(benchmark, name[:2], f"{votes:,} votes", rate, "votes/s", ratio=ratio, goal=target)
    benchmark.extra_info.update(
        verifies_per_second=yardstick.rate, cpu_seconds=cpu_seconds, share_of_signatures=share
    )
    print(f"    {seconds:.2f} s; one core verifies {yardstick.rate:,.0f} signatures/s")
    print(
        f"    {cpu_seconds:.2f} s of processor time, {share:.0%} of it signatures "
        f"({yardstick.rate_by_cpu:,.0f} verifies in a second of processor time)"
    )


@contextlib.contextmanager
def node(chain: RecordChain, data_dir: Path, *options: str) -> Iterator[tuple[int, int]]:
    """A real node process that is ready: its process id and port. Ended when the block is left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, free_port() as port:
        name = f"votenet-bench-{os.getpid()}-{os.urandom(4).hex()}"
        supervisor.bind("\0" + name)
        supervisor.settimeout(1)
        common = ["--data-dir", str(data_dir), "--genesis", str(chain.genesis), "--port", str(port)]
        process = subprocess.Popen(
            [sys.executable, "-m", "votenet", "node", *common, "--no-mine", *options],
            env={**os.environ, "NOTIFY_SOCKET": "@" + name},
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(supervisor, process)
            yield process.pid, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_ready(supervisor: socket.socket, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in supervisor.recv(4096).split(b"\n"):
                return
        if process.poll() is not None:
            raise RuntimeError(f"the node ended with {process.returncode}")
    raise TimeoutError("the node did not get ready")


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port of loopback that was free a moment ago, below those that outgoing connections take."""
    while True:
        port = random.randrange(20000, 30000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            break
    yield port
