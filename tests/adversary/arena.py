"""Where adversaries play: two real nodes, honest clients, and a watch on the resources of the node."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adversary.long_chain import build_long_chain
from support.elections import key_of, make_election
from support.ports import free_port
from support.processes import LAST_LINES, dump_stacks, how_it_ended, how_it_stands
from votenet.client.connection import NodeConnection
from votenet.core.ledger.vote import sign_vote
from votenet.errors import Unreachable
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    GetResults,
    GetStatus,
    NodeStatus,
    Results,
    SubmitVotes,
    VotesTaken,
)
from votenet.protocol.wire.peer_messages import Ping, Pong

HERE = Path(__file__).parent
PATIENCE = 60.0
PYTHON = os.environ.get("ADVERSARY_PYTHON", sys.executable)
"""Whose votenet the nodes are: that of another commit, where two are compared."""
SERVED = 5
"""How often honest clients must have been served while an adversary plays."""
PAUSE_SECONDS = 0.005
"""Between two votes of the honest client: a voter now and then, not a flood."""


def patient(address: Address) -> NodeConnection:
    """A client that waits, however busy the machine is. How long it had to is measured elsewhere."""
    return NodeConnection(address, dial_timeout=PATIENCE, answer_timeout=PATIENCE)


class Node:
    """One `votenet node`, ended by its own handle."""

    def __init__(self, folder: Path, genesis: Path, *options: str, lie: str = "") -> None:
        """`lie`: the program of `liars.py` runs in its place, and tells this one."""
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.address = Address("127.0.0.1", free_port())
        self._log = (folder / "log").open("wb")
        where = ["--data-dir", str(folder), "--genesis", str(genesis), "--port", str(self.address.port)]
        program = [str(HERE / "liars.py"), lie] if lie else ["-m", "votenet"]
        tests = {"PYTHONPATH": str(HERE.parent)} if lie else {}
        self.process = subprocess.Popen(
            [PYTHON, *program, "node", *where, *options],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "VOTENET_HOME": str(folder), **tests},
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def tell(self) -> str:
        """How it stands, and its last lines: for a test that has failed."""
        stands = how_it_stands(self.process)
        dump_stacks(self.process)
        return "\n".join([f"{self.folder.name}: {stands}", *self.log().splitlines()[-LAST_LINES:]])

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def forget_peak(self) -> None:
        """VmHWM counts from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory(self, name: str) -> int:
        """VmRSS or VmHWM, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)

    def end(self) -> int:
        if self.alive:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._log.close()

    async def status(self) -> NodeStatus:
        async with patient(self.address) as client:
            return await client.ask(GetStatus(), NodeStatus)

    async def listens(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                async with NodeConnection(self.address) as client:
                    await client.ask(Ping(), Pong)
                    return
            except Unreachable:
                if not self.alive or time.monotonic() > end:
                    raise AssertionError(self.tell()) from None
                await asyncio.sleep(0.02)


@dataclass
class Honest:
    """What honest clients have done and seen. Times are in seconds."""

    acknowledged: int = 0
    vote_seconds: list[float] = field(default_factory=list)
    result_seconds: list[float] = field(default_factory=list)

    def row(self, times: list[float]) -> tuple[float, float, float]:
        """p50, p99, longest, in milliseconds."""
        cuts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
        return cuts[49] * 1000, cuts[98] * 1000, max(times) * 1000


class Arena:
    """A victim that mines and an honest peer linked to it, both real processes."""

    def __init__(self, folder: Path, *, votes: int = 0, **definition: Any) -> None:
        """
        Args:
            votes: how many are on the chain already, in big blocks.
            definition: what the election has else than that of most arenas, as for `make_election`.
        """
        common = {"bits": bits_for_zero_bits(10), "created": int(time.time()) - 60}
        self.election = make_election(**{**common, **definition})
        self.genesis = folder / "genesis.json"
        self.genesis.write_bytes(self.election.to_file())
        if votes:
            build_long_chain(folder / "victim", self.election, votes=votes)
            shutil.copytree(folder / "victim", folder / "peer")
        self.victim = Node(folder / "victim", self.genesis)
        self.peer = Node(folder / "peer", self.genesis, "--no-mine", "--peer", str(self.victim.address))
        self.acknowledged = 0
        self._numbers = itertools.count(1)
        self._hosts = itertools.count(2)
        self.source = ""
        """From where the last adversary has played."""

    async def ready(self) -> None:
        await self.victim.listens()
        await self.peer.listens()
        async with asyncio.timeout(PATIENCE):
            while not (await self.victim.status()).peers:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        # SQLite keeps the descriptor of the first long read for the next ones: open it before any count.
        reader, writer = await asyncio.open_connection(*self.victim.address)
        writer.write(b'{"type":"request_blockchain"}\n')
        assert await reader.read()
        writer.close()

    def end(self) -> list[int]:
        return [self.peer.end(), self.victim.end()]

    async def serve_honest(self, stop: asyncio.Event, seen: Honest) -> None:
        """Vote and ask for the results, in turn, until `stop`; a new connection for every tenth voter.

        Raises whatever keeps an honest client from being served: every vote must be acknowledged.
        """
        while not stop.is_set():
            async with patient(self.victim.address) as client:
                for _ in range(10):
                    await self._vote_and_ask(client, seen)
                    if stop.is_set():
                        break
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _vote_and_ask(self, client: NodeConnection, seen: Honest) -> None:
        name = f"honest-{next(self._numbers)}"
        hashed = sign_vote(key_of(name), network_hex=self.election.network_hex, voter_id=name,
                           choices=[["Alice"]], time=int(time.time()))  # fmt: skip
        began = time.perf_counter()
        taken = await client.ask(SubmitVotes(votes=(hashed.vote,)), VotesTaken)
        voted = time.perf_counter()
        assert [outcome.error for outcome in taken.outcomes] == [None]
        await client.ask(GetResults(), Results)
        seen.acknowledged += 1
        self.acknowledged += 1
        seen.vote_seconds.append(voted - began)
        seen.result_seconds.append(time.perf_counter() - voted)

    async def calm(self, seconds: float) -> Honest:
        """Honest clients alone."""
        seen = Honest()
        await self._with_honest(asyncio.sleep(seconds), seen)
        return seen

    async def play(
        self, name: str, seconds: float, script: str = "adversaries.py"
    ) -> tuple[Honest, dict[str, Any]]:
        """Honest clients while an adversary plays from an address of its own; what it was told.

        It plays again, from another address, until honest clients were served a few times meanwhile: a busy
        machine does not get so far in a short play.
        """
        seen, codes, totals = Honest(), Counter[str](), Counter[str]()

        async def once() -> None:
            self.source = f"127.0.0.{next(self._hosts)}"
            told = await player(script, name, self.victim.address, self.source, seconds, self.genesis)
            codes.update(told.pop("codes"))
            totals.update(told)

        end = time.monotonic() + PATIENCE
        while True:
            await self._with_honest(once(), seen)
            if seen.acknowledged >= SERVED or time.monotonic() > end:
                return seen, {"codes": dict(codes), **totals}

    async def _with_honest(self, meanwhile: Coroutine[Any, Any, None], seen: Honest) -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.serve_honest(stop, seen))
            try:
                await meanwhile
            finally:
                stop.set()

    async def agree(self) -> None:
        """Until every acknowledged vote is in a block, and the honest peer has the same tip."""
        async with asyncio.timeout(3 * PATIENCE):  # after a flood of votes: all of them
            while True:
                ours, theirs = await self.victim.status(), await self.peer.status()
                if not ours.waiting and ours.tip == theirs.tip and ours.peers == theirs.peers == 1:
                    return
                await asyncio.sleep(0.02)

    async def descriptors_are_back_at(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.victim.descriptors() > count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def player(
    script: str, name: str, victim: Address, source: str, seconds: float, genesis: Path, *wanted: str
) -> dict[str, Any]:
    """Have an adversary of one of the scripts play in a process of its own; what it was told.

    `wanted`: codes for which it plays on in overtime, where the script takes them.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / script), name, str(victim.port), source, str(seconds), str(genesis),
        *wanted,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds + 3 * PATIENCE):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{name}: {how_it_ended(process.returncode)}: {errors.decode()}"
    found: dict[str, Any] = json.loads(out)
    return found


@contextlib.contextmanager
def open_arena(folder: Path, *, votes: int = 0, **definition: Any) -> Iterator[Arena]:
    arena = Arena(folder, votes=votes, **definition)
    try:
        asyncio.run(arena.ready())
        yield arena
    finally:
        codes = arena.end()
    told = f"{arena.peer.tell()}\n{arena.victim.tell()}"
    assert codes == [0, 0], f"both nodes are alive to the end, and stop when asked\n{told}"
