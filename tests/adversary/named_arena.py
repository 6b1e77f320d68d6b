"""Where named nodes are attacked: five real processes of one election, of which one may be a liar."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from adversary.arena import HERE, PATIENCE, Node, patient
from support.elections import key_of, keys_of_node, make_election, make_vote, named_nodes
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.records.evidence import check_evidence, decode_evidence, evidence_with
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.client_messages import (
    EvidenceList,
    GetEvidence,
    NodeStatus,
    SubmitVotes,
    VotesTaken,
)
from votenet.storage.key_store import NODE_KEY_NAME

COUNT = 5
LIARS = HERE / "liars.py"


class NamedNode(Node):
    """Named node `index`, dialling those before it; with `lie`, the program of a liar."""

    def __init__(self, folder: Path, genesis: Path, index: int, *options: str, lie: str = "") -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        key = keys_of_node(index).node
        record = {"kind": "votenet-key-1", "owner": "node", "public_key": key.public_hex,
                  "secret_seed": key.seed.hex()}  # fmt: skip
        (folder / NODE_KEY_NAME).write_text(json.dumps(record))
        (folder / NODE_KEY_NAME).chmod(0o600)
        self.index, self.lie = index, lie
        super().__init__(folder, genesis, "--discover", "gossip", *options, lie=lie)

    def read(self, question: str) -> list[tuple[Any, ...]]:
        """What its database answers."""
        path = f"file:{self.folder}/chain.db?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as conn:
            return conn.execute(question).fetchall()


class NamedArena:
    """`liar`: index and lie of the one node that lies. Votes go to honest nodes, one after the other."""

    def __init__(
        self, folder: Path, *, liar: tuple[int, str] | None = None, closes_in: float = 0.0, grace: int = 2
    ) -> None:
        self.folder = folder
        self.closes = int(time.time() + closes_in) if closes_in else None
        made = make_election(
            bits=bits_for_zero_bits(8),
            created=int(time.time()) - 60,
            nodes=named_nodes(COUNT),
            closes=self.closes,
        ).definition
        chain = msgspec.structs.replace(made.chain, grace_seconds=grace)
        self.election = Election(msgspec.structs.replace(made, chain=chain))
        self.genesis = folder / "genesis.json"
        self.genesis.write_bytes(self.election.to_file())
        self.liar = liar
        self.nodes: list[NamedNode] = []
        for index in range(COUNT):
            self.start(index)
        self.acknowledged: set[str] = set()
        self._numbers = itertools.count(1)

    def start(self, index: int, folder: Path | None = None) -> NamedNode:
        """Start a named node; again, if it ran before; twice, in another folder: it dials the first, too."""
        folder = folder or self.folder / f"n{index}"
        others = [node for node in self.nodes if node.folder != folder]
        peers = [word for node in others for word in ("--peer", str(node.address))]
        lie = self.liar[1] if self.liar is not None and self.liar[0] == index else ""
        node = NamedNode(folder, self.genesis, index, *peers, lie=lie)
        self.nodes.append(node)
        return node

    @property
    def honest(self) -> list[NamedNode]:
        return [node for node in self.nodes if not node.lie]

    async def ready(self) -> None:
        for node in self.nodes:
            await node.listens()
        await self.until(self._joined)

    async def _joined(self) -> bool:
        return all([(await node.status()).peers >= len(self.nodes) - 1 for node in self.honest])

    async def until(self, holds: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Fails, with the ends of all logs, when it does not hold in time."""
        end = time.monotonic() + seconds
        while not (await held if asyncio.iscoroutine(held := holds()) else held):
            if time.monotonic() > end or any(not node.alive for node in self.honest):
                raise AssertionError("\n\n".join(node.tell() for node in self.nodes))
            await asyncio.sleep(0.1)

    async def vote(self, count: int = 1) -> None:
        """Each is acknowledged by the node that it is handed to, or comes too late: a busy machine takes its
        time. Nobody begins in the last seconds."""
        for number in itertools.islice(self._numbers, count):
            if self.closes is not None and time.time() > self.closes - 5:
                return
            voter = f"honest-{number}"
            vote = make_vote(self.election, voter, "Alice", key=key_of(voter), time=int(time.time()))
            node = self.honest[number % len(self.honest)]
            async with patient(node.address) as client:
                taken = await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken, timeout=150)
            (error,) = [outcome.error for outcome in taken.outcomes]
            if error is not None and error["code"] == "closed" and time.time() >= (self.closes or math.inf):
                return
            assert error is None
            self.acknowledged.add(voter)

    async def statuses(self) -> list[NodeStatus]:
        return [await node.status() for node in self.honest]

    async def all_hold(self) -> None:
        """Until all honest nodes have every acknowledged vote, in a block or waiting."""

        async def hold() -> bool:
            return all(s.votes + s.waiting == len(self.acknowledged) for s in await self.statuses())

        await self.until(hold)

    async def agree(self, seconds: float = PATIENCE) -> None:
        """Until all honest nodes have every acknowledged vote in one chain."""

        async def holds() -> bool:
            found = await self.statuses()
            done = all(s.votes == len(self.acknowledged) and not s.waiting for s in found)
            return done and len({s.tip for s in found}) == 1

        await self.until(holds, seconds)

    async def lies(self) -> dict[str, set[tuple[int, str]]]:
        """What each honest node says about liars: each piece of evidence is checked as a file, offline."""
        found = {}
        for node in self.honest:
            async with patient(node.address) as client:
                answer = await client.ask(GetEvidence(), EvidenceList)
            found[node.folder.name] = {(lie.node, lie.kind) for lie in answer.lies}
            for lie in answer.lies:
                file = canonical(evidence_with(self.election, lie.kind, lie.node, bytes(lie.proof))) + b"\n"
                assert check_evidence(decode_evidence(file), self.election.network_hex).node == lie.node
        return found

    def closing_blocks(self) -> list[int]:
        """How many closing blocks each honest node has on its chain."""
        counts = []
        for node in self.honest:
            with contextlib.closing(
                sqlite3.connect(f"file:{node.folder}/chain.db?mode=ro", uri=True)
            ) as conn:
                rows = conn.execute("SELECT extras FROM blocks WHERE best = 1").fetchall()
            counts.append(sum(b'"closing":{' in bytes(extras or b"") for (extras,) in rows))
        return counts

    async def ended(self, seconds: float = PATIENCE) -> None:
        """Until every honest node has the closing block, and every acknowledged vote."""
        await self.until(lambda: all(self.closing_blocks()), seconds)
        await self.agree(seconds)
        assert self.closing_blocks() == [1] * len(self.honest)

    def check_logs(self, *, links: bool = True) -> None:
        """No honest node met a defect, banned another, or (links) lost one."""
        for node in self.honest:
            log = node.log()
            assert "defect" not in log, log[-5000:]
            assert "Traceback" not in log, log[-5000:]
            assert log.count("ready: ") <= 1, "its core was started again"
            with contextlib.closing(
                sqlite3.connect(f"file:{node.folder}/chain.db?mode=ro", uri=True)
            ) as conn:
                banned = {subject for (subject,) in conn.execute("SELECT subject FROM bans")}
            assert not banned & {
                "address:127.0.0.1",
                *(f"key:{keys_of_node(i).node.public_hex}" for i in range(COUNT)),
            }

    def end(self) -> None:
        """End all nodes, however each of them stands."""
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.end()


@contextlib.contextmanager
def named_arena(
    folder: Path, *, liar: tuple[int, str] | None = None, closes_in: float = 0.0
) -> Iterator[NamedArena]:
    """A machine on which the start takes half of the voting time starts once more, with twice as much."""
    while True:
        arena = NamedArena(folder, liar=liar, closes_in=closes_in)
        try:
            asyncio.run(arena.ready())
            if arena.closes is None or time.time() < arena.closes - closes_in / 2:
                yield arena
                return
        finally:
            arena.end()
        for node in arena.nodes:
            shutil.rmtree(node.folder)
        closes_in *= 2
