"""T7: the cost of a bootstrap server with 1,000, 100,000 and 1,000,000 peers, over SQLite and over Redis.

    make bench-bootstrap      pytest bench/bench_bootstrap.py --benchmark-only -s
    PYTHONPATH=tests python bench/bench_bootstrap.py sqlite 1000 1000000

Real server processes on a real disk, a real Redis that syncs every change; the client is this process,
on the same machine. Filling the registries is set-up. All sizes take turns, ROUNDS times, so that a busy
neighbour meets all of them (the others are stopped meanwhile); a figure is the median of its rounds. Lines:

    pipelined     registrations of addresses all over the registry, 500 requests ahead of their answers
    one each      registrations, a connection for each, like the reference client; 64 at a time
    renew         renewals of signed records, pipelined: a signature each
    remove        removals of what was just registered, pipelined, so that the size stays
    ask           GET_PEERS of 256 drawn at random, a connection for each
    sample ms     the same: 99th percentile of all rounds, in milliseconds
    busy ms       the same while another process registers and removes, 64 requests ahead of their answers, as
                  fast as it is answered (no target: how long a question waits at a server in full use)
    bare ms       the same of a program that answers a fixed line of that length: what this machine adds
    start s       kill -9, then exec to ready
    RSS MB        of the server at the end (and of the Redis server, which holds the registry)

Ratios are costs at the largest size against those at the smallest: processor time of the server (and of
Redis) for one request, which a busy neighbour hardly touches; `by clock` is that of the rates. Targets: T7.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from lines import add_line
from support.redis_server import RedisServer, redis_server
from votenet.core.keys import SigningKey
from votenet.protocol.bootstrap import bootstrap_messages
from votenet.protocol.bootstrap.bootstrap_messages import encode_request
from votenet.protocol.bootstrap.peer_record import DEFAULT_LIFETIME, sign_record
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import Address
from votenet.storage.registry.peer_store import PeerStore, opened
from votenet.storage.registry.redis_peer_store import RedisPeerStore

SIZES = (1_000, 100_000, 1_000_000)
ROUNDS = 7
PIPELINED, ONE_EACH, RENEWED, SAMPLED = 2000, 300, 500, 150
AHEAD = 500
NETWORK = "ab" * 32
MAX_RATIO, MAX_SAMPLE_MS, MAX_START_S, MAX_RSS_MB = 1.15, 5.0, 1.0, 200.0
COSTS = ("pipelined", "one each", "renew", "remove", "ask")
BUSY_AHEAD = 64


def nowhere(number: int, port: int) -> str:
    """An address of this machine where no program listens, so that notices cost what dead peers cost."""
    return f"127.{10 + (number >> 16)}.{number >> 8 & 255}.{number & 255}:{port}"


def fill(store: PeerStore, peers: int) -> None:
    """A registry as it is in use: nine of ten keyed, expiring within two hours, the tenth looked after."""
    now = int(time.time())
    portion = 5000 if isinstance(store, RedisPeerStore) else peers
    for start in range(0, peers, portion):
        with store.saving():
            numbers = range(start, min(start + portion, peers))
            store.prefetch([nowhere(number, 1) for number in numbers])
            for number in numbers:
                address = nowhere(number, 1)
                later = now + 1800 + number % 5400
                if number % 10:
                    key = number.to_bytes(32, "big").hex()
                    store.put(PeerEntry(address, key, NETWORK, now * 1000, later))
                else:
                    store.put(PeerEntry(address, check_at=later))


class Server:
    """One bootstrap server process over one store."""

    def __init__(self, peers: int, store: str, redis: RedisServer | None) -> None:
        self.peers, self.store, self.redis = peers, store, redis
        self.process: subprocess.Popen[bytes] | None = None
        self.keys = [SigningKey(os.urandom(32)) for _ in range(RENEWED)]

    def start(self) -> float:
        """Seconds from exec to ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            name = f"votenet-bench-{os.getpid()}-{os.urandom(4).hex()}"
            supervisor.bind("\0" + name)
            supervisor.settimeout(60)
            options = ["--port", "0", "--store", self.store, "--log-level", "error"]
            began = time.perf_counter()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "votenet", "bootstrap", *options],
                env={**os.environ, "NOTIFY_SOCKET": "@" + name},
            )
            fields = dict(line.split("=", 1) for line in supervisor.recv(4096).decode().splitlines())
            ready = time.perf_counter() - began
        self.address = Address("127.0.0.1", int(fields["STATUS"].rpartition(":")[2]))
        return ready

    def on_processor(self) -> float:
        """Seconds that the server's and Redis' loops have run so far."""
        programs = [self.process, self.redis.process if self.redis is not None else None]
        found = (Path(f"/proc/{program.pid}/schedstat") for program in programs if program is not None)
        return sum(int(path.read_text().split()[0]) for path in found) / 1e9

    def cost(self, column: str, number: int, work: Callable[[], float]) -> Iterator[tuple[str, float]]:
        """(column, seconds) and ("cpu column", seconds) for one of `number` requests."""
        before = self.on_processor()
        yield column, work() / number
        yield f"cpu {column}", (self.on_processor() - before) / number

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """It runs; before and after it is stopped."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        yield
        self.process.send_signal(signal.SIGSTOP)

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def pipeline(self, requests: Sequence[bytes], answer: bytes, ahead: int = AHEAD) -> float:
        """Seconds for all, so many ahead; every answer must be this one."""
        chunks = [b"".join(requests[at : at + ahead]) for at in range(0, len(requests), ahead)]
        with socket.create_connection(self.address, timeout=60) as conn, conn.makefile("rb") as answers:
            began = time.perf_counter()
            for chunk in chunks:
                conn.sendall(chunk)
                for _ in range(chunk.count(b"\n")):
                    line = answers.readline()
                    assert line == answer, line
            return time.perf_counter() - began

    def records(self) -> list[bytes]:
        """A newer signed record for each of our keys."""
        now = time.time_ns() // 1_000_000
        expires = int(time.time()) + DEFAULT_LIFETIME
        return [
            _line("REGISTER", sign_record(key, nowhere(n * 1999, 3), NETWORK, sequence=now, expires=expires))
            for n, key in enumerate(self.keys)
        ]

    def a_round(self) -> Iterator[tuple[str, float | list[float]]]:
        """(column, seconds for one) of one turn; the registry is afterwards as large as before."""
        fresh = [nowhere(number, 2) for number in random.sample(range(1_000_000), PIPELINED)]
        removals = [_line("REMOVE", address) for address in fresh]
        yield from self.cost(
            "pipelined", PIPELINED, lambda: self.pipeline([_line("REGISTER", a) for a in fresh], REGISTERED)
        )
        yield from self.cost("remove", PIPELINED, lambda: self.pipeline(removals, REMOVED))
        some = fresh[:ONE_EACH]
        yield from self.cost("one each", ONE_EACH, lambda: asyncio.run(_one_each(self.address, some)))
        self.pipeline(removals[:ONE_EACH], REMOVED)
        records = self.records()
        yield from self.cost("renew", RENEWED, lambda: self.pipeline(records, ALREADY))
        times: list[float] = []
        for column, seconds in self.cost("ask", SAMPLED, lambda: times.extend(self.ask(SAMPLED)) or 0.0):
            yield column, seconds if column != "ask" else statistics.median(times) / 1000
        yield "sample ms", times
        with self.busy():
            yield "busy ms", self.ask(SAMPLED // 3)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Another client registers and removes meanwhile."""
        command = [sys.executable, __file__, "load", str(self.address.port)]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=paths, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as load:
            assert load.stdout is not None
            assert load.stdout.readline() == b"loading\n"
            yield
            load.communicate(b"enough\n", timeout=60)
        assert load.returncode == 0

    def ask(self, number: int) -> list[float]:
        return [self.sample() for _ in range(number)]

    def sample(self) -> float:
        """Milliseconds, the connection included."""
        began = time.perf_counter()
        with socket.create_connection(self.address, timeout=60) as conn, conn.makefile("rb") as answers:
            conn.sendall(b'{"type":"GET_PEERS","payload":{"sample":256}}\n')
            line = answers.readline()
        taken = 1000 * (time.perf_counter() - began)
        assert line.count(b'"address"') > 200, line[:200]
        return taken


def bare(length: int = 60_000) -> None:
    """A program that answers anything with a line as long as a sample; it says its port first."""
    line = b'{"peers":[' + b'{"address":"x"},'.ljust(length // 256) * 256 + b"]}\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            link, _ = listening.accept()
            with link:
                link.recv(4096)
                link.sendall(line)


@contextlib.contextmanager
def bare_server() -> Iterator[Server]:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, __file__, "bare"], env=paths, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server = Server(0, "", None)
        server.address = Address("127.0.0.1", int(process.stdout.readline()))
        yield server
        process.kill()


def load(port: int) -> None:
    """Register and remove until a line comes; the registry is then as it was."""
    server = Server(0, "", None)
    server.address = Address("127.0.0.1", port)
    fresh = [nowhere(number * 499, 4) for number in range(512)]
    print("loading", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        server.pipeline([_line("REGISTER", a) for a in fresh], REGISTERED, BUSY_AHEAD)
        server.pipeline([_line("REMOVE", a) for a in fresh], REMOVED, BUSY_AHEAD)


REGISTERED = bootstrap_messages.REGISTERED + b"\n"
ALREADY = bootstrap_messages.ALREADY_REGISTERED + b"\n"
REMOVED = bootstrap_messages.REMOVED + b"\n"


def _line(kind: str, payload: object) -> bytes:
    return encode_request(kind, payload, keep_open=True) + b"\n"


async def _one_each(bootstrap: Address, addresses: Iterable[str]) -> float:
    places = asyncio.Semaphore(64)

    async def one(address: str) -> None:
        async with places:
            reader, writer = await asyncio.open_connection(*bootstrap)
            writer.write(encode_request("REGISTER", address) + b"\n")
            assert await reader.readline() == REGISTERED
            writer.close()
            await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(one(address) for address in addresses))
    return time.perf_counter() - began


@contextlib.contextmanager
def servers(kind: str, sizes: Sequence[int]) -> Iterator[list[Server]]:
    """One running server for each size, its registry filled."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="votenet-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = []
        for peers in sizes:
            place = folder / str(peers)
            place.mkdir()
            redis = stack.enter_context(redis_server(place)) if kind == "redis" else None
            store = redis.url() if redis is not None else f"sqlite:{place}/peers.db"
            with opened(store) as filled:
                fill(filled, peers)
            if redis is not None:
                settle(redis)
            server = Server(peers, store, redis)
            stack.callback(server.stop)
            server.start()
            server.pipeline(server.records(), REGISTERED)
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
            made.append(server)
        yield made


def settle(redis: RedisServer) -> None:
    """Wait until Redis has written its file anew, as it does when that has grown: filling made it."""
    with contextlib.closing(Redis.from_url(redis.url())) as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)


def measure(kind: str, sizes: Sequence[int], say: Callable[[str], None]) -> dict[str, dict[int, float]]:
    """All columns of one store; prints the table and what was met."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    began = time.perf_counter()
    with servers(kind, sizes) as running, contextlib.ExitStack() as stack:
        say(f"T7 {kind}: filled in {time.perf_counter() - began:.0f} s, {ROUNDS} rounds")
        bare = stack.enter_context(bare_server())
        for _ in range(ROUNDS):
            for server in running:
                with server.turn():
                    for column, value in server.a_round():
                        found[column][server.peers] += value if isinstance(value, list) else [value]
                    found["bare ms"][server.peers] += bare.ask(SAMPLED)
        for server in running:
            assert server.process is not None
            found["RSS MB"][server.peers] = [psutil.Process(server.process.pid).memory_info().rss / 1e6]
            if server.redis is not None and server.redis.process is not None:
                pid = server.redis.process.pid
                found["Redis MB"][server.peers] = [psutil.Process(pid).memory_info().rss / 1e6]
        for server in running:
            for _ in range(3):
                server.stop()
                found["start s"][server.peers].append(server.start())
    medians = {c: {p: statistics.median(v) for p, v in by.items()} for c, by in found.items()}
    for column in ("sample ms", "busy ms", "bare ms"):
        medians[column] = {p: statistics.quantiles(v, n=100)[98] for p, v in found[column].items()}
    table(kind, sizes, medians, say)
    return medians


def table(
    kind: str, sizes: Sequence[int], found: dict[str, dict[int, float]], say: Callable[[str], None]
) -> None:
    head = "".join(f"{peers:>12,}" for peers in sizes)
    say(f"{'T7 ' + kind:<18}{head}{'by clock':>10}{'ratio':>8}  target")
    for column in COSTS:
        ratio, by_clock = ratio_of(found, f"cpu {column}", sizes), ratio_of(found, column, sizes)
        rates = "".join(f"{1 / found[column][peers]:>12,.0f}" for peers in sizes)
        said = verdict(ratio <= MAX_RATIO)
        say(f"{column + ' /s':<18}{rates}{by_clock:>10.2f}{ratio:>8.2f}  <= {MAX_RATIO} {said}")
    for column, most in (("sample ms", MAX_SAMPLE_MS), ("start s", MAX_START_S), ("RSS MB", MAX_RSS_MB)):
        worst = max(found[column].values())
        values = "".join(f"{found[column][peers]:>12,.2f}" for peers in sizes)
        say(f"{column:<18}{values}{'':>18}  < {most:g} {verdict(worst < most)}")
    for column in ("busy ms", "bare ms", "Redis MB"):
        if column in found:
            say(f"{column:<18}" + "".join(f"{found[column][peers]:>12,.2f}" for peers in sizes))


def ratio_of(found: dict[str, dict[int, float]], column: str, sizes: Sequence[int]) -> float:
    return found[column][sizes[-1]] / found[column][sizes[0]]


def verdict(met: bool) -> str:
    return "met" if met else "NOT met"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_t7_bootstrap(benchmark: Any, kind: str) -> None:
    def one() -> dict[str, dict[int, float]]:
        return measure(kind, SIZES, lambda line: print(line, flush=True))

    print()
    found = benchmark.pedantic(one, rounds=1)
    benchmark.extra_info.update({c: {str(p): v for p, v in by.items()} for c, by in found.items()})
    for column in COSTS:
        ratio, rate = ratio_of(found, f"cpu {column}", SIZES), 1 / found[column][SIZES[-1]]
        what = f"{kind}, {column}"
        add_line(benchmark, "T7", what, rate, "a second", ratio=ratio, goal=MAX_RATIO, at_least=False)
    for column, most in (("sample ms", MAX_SAMPLE_MS), ("start s", MAX_START_S), ("RSS MB", MAX_RSS_MB)):
        name, unit = column.split()
        worst = max(found[column].values())
        add_line(benchmark, "T7", f"{kind}, {name}", worst, unit, goal=most, at_least=False)


if __name__ == "__main__":  # with PYTHONPATH=tests
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if sys.argv[1] == "bare":
        bare()
    if sys.argv[1] == "load":
        load(int(sys.argv[2]))
        sys.exit()
    measure(sys.argv[1], [int(size) for size in sys.argv[2:]] or SIZES, print)
