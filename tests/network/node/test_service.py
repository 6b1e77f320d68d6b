"""A whole node on a real socket and a real disk: bad input, kill -9, catching up, the reference form."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.elections import EASY_BITS, key_of, make_election, make_vote, make_votes, mine_block
from support.memory_block_store import MemoryBlockStore
from support.ports import free_port
from votenet.client.connection import NodeConnection
from votenet.config import NodeConfig
from votenet.core.election.definition import Election
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.vote import HashedVote
from votenet.errors import StorageError, Unreachable
from votenet.network.node import links, service
from votenet.network.node.service import NodeService
from votenet.pow import bits_for_zero_bits
from votenet.protocol.node.events import Change, SaveBlock, SaveVotes, SetBest
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    GetProof,
    GetResults,
    GetStatus,
    GetVoteStatus,
    NodeStatus,
    Proof,
    Results,
    SubmitVotes,
    VoteOutcome,
    VotesTaken,
    VoteStatus,
)
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.fields import encode_data
from votenet.protocol.wire.framing import MAX_CLIENT_LINE
from votenet.protocol.wire.limits import Rates
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetBlocks, Ping, Pong, Votes
from votenet.storage.blocks.block_store import BlockStore
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

ELECTION = make_election(bits=EASY_BITS)
PATIENCE = 60.0


# -- a node in this process ------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, store: BlockStore | None = None, mine: bool = True, peers: Sequence[Address] = ()
) -> AsyncIterator[Address]:
    address = Address("127.0.0.1", free_port())
    config = NodeConfig(
        host=address.host,
        port=address.port,
        advertise=str(address),
        data_dir=folder,
        genesis=folder / "unused",
        peers=tuple(str(peer) for peer in peers),
        mine=mine,
    )
    opened = store or SqliteBlockStore(folder, ELECTION)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(NodeService(config, ELECTION, key_of(str(address)), opened).run(stop))
            try:
                await listens(address)
                yield address
            finally:
                stop.set()
    finally:
        if store is None:
            opened.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    escaped: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        async with asyncio.timeout(2 * PATIENCE):
            await test()

    asyncio.run(main())
    assert escaped == []


async def listens(address: Address) -> None:
    """Until the node answers a ping."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with NodeConnection(address) as client:
                    await client.ask(Ping(), Pong)
                    return
            except Unreachable:
                await asyncio.sleep(0.02)


async def until(address: Address, condition: Callable[[NodeStatus], bool]) -> NodeStatus:
    async with asyncio.timeout(PATIENCE), NodeConnection(address) as client:
        while not condition(status := await client.ask(GetStatus(), NodeStatus)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return status


async def talk(address: Address, data: bytes, *, half_close: bool = True) -> list[bytes]:
    """Send bytes on a plain socket, as nc does; the lines that come until the node closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=2**26)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            if half_close:
                writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            return (await reader.read()).splitlines()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def flood(address: Address, data: bytes) -> bytes:
    """Push bytes until the node has enough, then read its line. Blocks."""
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        return sock.recv(4096)


async def code_of(address: Address, data: bytes, *, half_close: bool = False) -> str:
    """The code of the one error line that these bytes are answered with, before the node closes."""
    (line,) = await talk(address, data, half_close=half_close)
    error = json.loads(line)["error"]
    assert error["message"]
    assert error["next_step"]
    return str(error["code"])


async def cast(address: Address, *votes: HashedVote) -> tuple[VoteOutcome, ...]:
    async with NodeConnection(address) as client:
        request = SubmitVotes(votes=tuple(vote.vote for vote in votes))
        return (await client.ask(request, VotesTaken)).outcomes


async def refusals(address: Address, *votes: HashedVote) -> list[object]:
    return [outcome.error and outcome.error["code"] for outcome in await cast(address, *votes)]


# -- bad input -------------------------------------------------------------------------------------


def test_bad_lines_get_a_code_and_the_node_lives_on(tmp_path: Path) -> None:
    bad = {
        b"garbage\n": "bad-json",
        b"\x00\xff\xfe\x80 binary \x00\n": "bad-json",
        b"GET / HTTP/1.1\r\n\r\n": "bad-json",
        b'{"type":"ping"\n': "bad-json",
        b'{"type":"ping","x":' + b"[" * 100_000 + b"\n": "bad-json",
        b"[1,2,3]\n": "bad-message",
        b'{"type":"submit_votes","votes":"Alice"}\n': "bad-message",
        b'{"type":"get_vote_status","voter_id":7}\n': "bad-message",
        b'{"type":"REGISTER","payload":"localhost:3000"}\n': "unknown-type",
        b'{"type":"have_votes","ids":""}\n': "hello-required",
        b'{"type":"votes_taken","outcomes":[]}\n': "unexpected-message",
        b'{"type":"blockchain_update","data":"QQ=="}\n': "read-only",
        b'{"type":"new_peer_joined","data":"?"}\n': "bad-message",
        b"x" * (MAX_CLIENT_LINE + 1): "line-too-long",
    }

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            for data, code in bad.items():
                assert await code_of(address, data) == code, data[:60]
            assert await code_of(address, b'{"type":"ping"', half_close=True) == "incomplete-line"
            line = await asyncio.to_thread(flood, address, b"x" * 10_000_000 + b"\n")
            assert json.loads(line)["error"]["code"] == "line-too-long"
            await until(address, lambda status: status.peers == 0 and status.height == 0)

    run(test)


def test_bad_votes_get_a_code_and_leave_nothing_behind(tmp_path: Path) -> None:
    good = make_vote(ELECTION, "v")
    forged = msgspec.structs.replace(make_vote(ELECTION, "w").vote, signature=good.vote.signature)

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            foreign = make_vote(make_election(title="another"), "x")
            votes = [foreign, make_vote(ELECTION, "y", "Zorro"), good, make_vote(ELECTION, "v", "Bob"), good]
            codes = ["network-mismatch", "unknown-candidate", None, "already-voted", "duplicate-vote"]
            assert await refusals(address, *votes) == codes
            (line,) = await talk(address, encode_message(SubmitVotes(votes=(forged,), id=3)) + b"\n")
            answer = json.loads(line)
            assert answer["id"] == 3
            assert answer["outcomes"][0]["error"]["code"] == "bad-signature"
            assert (await until(address, lambda status: True)).waiting == 1

    run(test)


def test_hints_with_junk_addresses_are_ignored(tmp_path: Path) -> None:
    junk = [b"", b"x", b"host:0", b"a b:1", b"::::", b"\n:1", b"[::1]:99999", b"x" * 5000, "é:1".encode()]

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            for kind in ("new_peer_joined", "shutdown_peer"):
                lines = [json.dumps({"type": kind, "data": encode_data(text)}).encode() for text in junk]
                own = json.dumps({"type": kind, "data": encode_data(str(address).encode())}).encode()
                assert await talk(address, b"\n".join([*lines, own, b""])) == []
                assert await talk(address, b'{"type":"%s","data":null}\n' % kind.encode()) == []
            assert (await until(address, lambda status: True)).known_peers == 0

    run(test)


def test_half_closed_and_pipelined_requests_are_answered_in_full_and_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            many = b"".join(b'{"type":"ping","id":%d}\r\n' % n for n in range(1000))
            lines = await talk(address, many)
            assert [json.loads(line)["id"] for line in lines] == list(range(1000))
            vote = encode_message(SubmitVotes(votes=(make_vote(ELECTION).vote,), id=1))
            taken, status = await talk(address, vote + b'\n{"type":"get_status","id":2}\n')
            kinds = {json.loads(line)["type"] for line in (taken, status)}
            assert kinds == {"votes_taken", "node_status"}
            assert await talk(address, b"") == []

    run(test)


def test_a_client_that_asked_too_much_is_read_again_though_the_node_is_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regular tick of an idle node never comes in this test."""
    monkeypatch.setattr(service, "IDLE_TICK_SECONDS", 1e6)
    monkeypatch.setattr(service, "LIVELY_SECONDS", 0.0)
    monkeypatch.setattr(links, "CLIENT_RATES", Rates(1000.0, 100.0, 2**20, 2**20))

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            lines = await talk(address, b"".join(b'{"type":"ping","id":%d}\n' % n for n in range(300)))
            assert [json.loads(line)["id"] for line in lines] == list(range(300))

    run(test)


# -- those who lie ---------------------------------------------------------------------------------


async def shake(wire: tuple[asyncio.StreamReader, asyncio.StreamWriter], name: str) -> None:
    """Say hello, and prove the key of this name."""
    reader, writer = wire
    us = Connection(
        LocalNode(key_of(name), ELECTION.network_hex, ""), outbound=True, challenge=os.urandom(32)
    )
    writer.write(encode_message(us.hello(0, 0)) + b"\n")
    _, answers = us.receive((await reader.readline()).rstrip(b"\n"), 0, 0)
    writer.write(b"".join(encode_message(m) + b"\n" for m in answers))


async def told_as_peer(address: Address, name: str, *messages: Message) -> str | None:
    """Become a peer, say something: the code of the refusal, or None if the node still answers a ping."""
    source = "127.0.0.66" if name == "liar" else "127.0.0.1"
    reader, writer = await asyncio.open_connection(*address, limit=2**24, local_addr=(source, 0))
    await shake((reader, writer), name)
    writer.write(b"".join(encode_message(m) + b"\n" for m in (*messages, Ping(id=5))))
    try:
        async with asyncio.timeout(PATIENCE):
            while line := await reader.readline():
                if line.startswith(b'{"error"'):
                    return str(json.loads(line)["error"]["code"])
                if line == b'{"type":"pong","id":5}\n':
                    return None
    finally:
        writer.transport.abort()
    raise AssertionError("the node closed without a word")


def test_a_liar_is_banned_and_stays_so_across_a_restart(tmp_path: Path) -> None:
    one, two = make_votes(ELECTION, 2)
    forged = msgspec.structs.replace(one.vote, signature=two.vote.signature)

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            assert await told_as_peer(address, "honest") is None
            # The signature is checked in a thread: the ping may be answered first, and the liar be gone.
            first = await told_as_peer(address, "liar", Votes(votes=(forged,)))
            assert first in ("bad-signature", None)
            async with asyncio.timeout(PATIENCE):
                while await told_as_peer(address, "liar") != "banned":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert await told_as_peer(address, "honest") is None
        async with serving(tmp_path, mine=False) as address:
            assert await told_as_peer(address, "liar") == "banned"
            assert await told_as_peer(address, "honest", Votes(votes=(one.vote,))) is None

    run(test)


# -- the reference form ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["", ',"data":null'])
def test_request_blockchain_is_answered_in_the_reference_form(tmp_path: Path, data: str) -> None:
    request_line = f'{{"type":"request_blockchain"{data}}}'
    votes = make_votes(ELECTION, 5)

    async def test() -> None:
        async with serving(tmp_path) as address:
            assert await refusals(address, *votes) == [None] * 5
            await until(address, lambda status: status.votes == 5)
            (line,) = await talk(address, request_line.encode() + b"\n", half_close=False)
            message = json.loads(line)
            assert message["type"] == "blockchain_update"
            chain = json.loads(base64.b64decode(message["data"], validate=True))
            assert [block["Index"] for block in chain["Blocks"]] == list(range(6))
            for before, block in pairwise(chain["Blocks"]):
                assert block["PrevHash"] == before["Hash"]
                assert len(base64.b64decode(block["Hash"], validate=True)) == 32
                assert isinstance(block["Nonce"], int)
                assert set(block["Data"]) == {"voter_id", "candidate_id", "timestamp"}
            assert chain["Election"]["Candidates"] == ["Alice", "Bob", "Charlie"]
            assert sum(chain["Election"]["Votes"].values()) == 5
            assert chain["Election"]["Voters"] == {vote.voter_id: True for vote in votes}

    run(test)


# -- a disk that refuses ---------------------------------------------------------------------------


class FullDisk(MemoryBlockStore):
    """Refuses to save votes while `full`."""

    full = False

    def apply(self, changes: Sequence[Change]) -> None:
        if self.full and any(isinstance(change, SaveVotes) for change in changes):
            raise StorageError("database or disk is full", next_step="Free some space.")
        super().apply(changes)

    def try_writing(self) -> None:
        if self.full:
            raise StorageError("database or disk is full", next_step="Free some space.")


class SlowReads(MemoryBlockStore):
    """A chain of some full blocks. Long reads wait until they are `let`, and are counted by thread."""

    LONG = ("votes_of", "block_line", "records_of", "blocks_in_order")

    def __init__(self, blocks: int = 16) -> None:
        super().__init__(ELECTION)
        self.let = threading.Event()
        self.reads: Counter[tuple[str, bool]] = Counter()
        self.hashes: list[str] = []
        chain = Chain(ELECTION)
        for number in range(blocks):
            tip, votes = chain.tip, make_votes(ELECTION, 40, first=1000 * number + 1)
            block = mine_block(ELECTION, tip.header, votes, bits=chain.next_bits(tip))
            entry = chain.add_header(block.header, block.header.time)
            chain.add_body(entry, lambda _, votes=block.votes: votes)
            self.apply([SaveBlock(entry, block.votes), SetBest(tip.height, [(entry, block.votes)])])
            self.hashes.append(entry.hash.hex())
        for name in self.LONG:
            if hasattr(self, name):
                setattr(self, name, self._slow(name, getattr(self, name)))

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> HashedVote:
        return MemoryBlockStore.votes_of(self, block_hash)[position]  # one row, in a database

    def _slow(self, name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any) -> Any:
            here = threading.current_thread() is threading.main_thread()
            self.reads[name, here] += 1
            if not here:  # in the loop it would never end: counting it is enough
                self.let.wait(PATIENCE)
            return read(*args)

        return slow


def test_a_node_answers_while_blocks_are_read_and_reads_none_for_a_peer_that_is_gone(
    tmp_path: Path,
) -> None:
    """72 KB of requests for the same sixteen blocks, then the link is reset."""

    async def test() -> None:
        store = SlowReads()
        async with serving(tmp_path, store=store, mine=False) as address:
            wire = await asyncio.open_connection(*address, limit=2**24)
            await shake(wire, "burst")
            asking = encode_message(GetBlocks(hashes=tuple(store.hashes))) + b"\n"
            wire[1].write(asking * 64)
            await wire[1].drain()
            assert len(asking) * 64 > 70_000
            async with asyncio.timeout(PATIENCE):
                while not store.reads:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await until(address, lambda status: status.peers == 1)
            assert await refusals(address, make_vote(ELECTION, "honest")) == [None]
            wire[1].transport.abort()
            await until(address, lambda status: status.peers == 0)
            store.let.set()
            async with NodeConnection(address) as client:
                proof = await client.ask(GetProof(voter_id="voter-1"), Proof)
                assert proof.vote is not None, "it is answered after all that was asked before"
            assert store.reads["block_line", False] == 1, "the one that was under way"
            assert store.reads["block_line", True] == 0

    run(test)


def test_the_loop_reads_no_block_for_any_question(tmp_path: Path) -> None:
    async def test() -> None:
        store = SlowReads(blocks=2)
        store.let.set()
        async with serving(tmp_path, store=store, mine=False) as address, NodeConnection(address) as client:
            for voter in ("voter-1", "voter-1040", "voter-1"):
                assert (await client.ask(GetProof(voter_id=voter), Proof)).vote is not None
                await client.ask(GetVoteStatus(voter_id=voter), VoteStatus)
            await client.ask(GetResults(), Results)
            assert await refusals(address, *make_votes(ELECTION, 40)) == ["duplicate-vote"] * 40
            assert await talk(address, b'{"type":"request_blockchain"}\n')
        in_the_loop = {name: count for (name, here), count in store.reads.items() if here}
        assert not in_the_loop
        assert store.reads["records_of", False] >= 3

    run(test)


def test_no_more_blocks_are_read_for_a_closed_client_and_others_are_answered(tmp_path: Path) -> None:
    async def test() -> None:
        store = SlowReads()
        async with serving(tmp_path, store=store, mine=False) as address:
            _, writer = await asyncio.open_connection(*address)
            asked = [encode_message(GetProof(voter_id=f"voter-{1000 * n + 1}")) + b"\n" for n in range(16)]
            writer.write(b"".join(asked) * 4)
            await writer.drain()
            async with asyncio.timeout(PATIENCE):
                while not store.reads:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            reset = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.transport.abort()
            assert await refusals(address, make_vote(ELECTION, "honest")) == [None]
            await until(address, lambda status: True)
            store.let.set()
            async with NodeConnection(address) as client:
                proof = await client.ask(GetProof(voter_id="voter-15001"), Proof)
                assert proof.vote is not None
            one_build = 40 // 32 + 3
            assert store.reads["records_of", False] <= 2 * one_build, "one under way, one at last"

    run(test)


def test_a_vote_that_cannot_be_saved_is_not_accepted_and_the_node_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        store = FullDisk(ELECTION)
        async with serving(tmp_path, store=store, mine=False) as address:
            kept, lost = make_votes(ELECTION, 2)
            assert await refusals(address, kept) == [None]
            store.full = True
            submit = encode_message(SubmitVotes(votes=(lost.vote,), id=1)) + b"\n"
            assert await code_of(address, submit) == "storage-failed"
            await listens(address)
            (warning,) = (await until(address, lambda status: True)).warnings
            assert warning.code == "cannot-save"
            assert "database or disk is full. Free some space." in warning.message
            store.full = False
            await until(address, lambda status: not status.warnings)
            assert (await until(address, lambda status: True)).waiting == 1
            assert await refusals(address, kept, lost) == ["duplicate-vote", None]

    run(test)


def test_a_node_that_can_save_nothing_is_not_ready_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr("votenet.network.node.health.notify", lambda **fields: told.append(fields))

    async def test() -> None:
        store = FullDisk(ELECTION)
        store.full = True
        async with serving(tmp_path, store=store, mine=False) as address:
            status = await until(address, lambda status: bool(status.warnings))
            assert [warning.code for warning in status.warnings] == ["cannot-save"]
            assert not any(fields.get("READY") == 1 for fields in told)
            store.full = False
            async with asyncio.timeout(PATIENCE):
                while not any(fields.get("READY") == 1 for fields in told):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    run(test)


def test_a_node_survives_a_defect_in_the_core_with_its_saved_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from votenet.protocol.node.answers import StateAnswers

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            vote = make_vote(ELECTION)
            assert await refusals(address, vote) == [None]
            with monkeypatch.context() as patch:
                patch.setattr(StateAnswers, "vote_status", lambda *args: 1 // 0)
                assert await code_of(address, b'{"type":"get_vote_status","voter_id":"v"}\n') == "busy"
            assert await refusals(address, vote) == ["duplicate-vote"]

    run(test)


def test_a_node_survives_a_defect_in_what_follows_from_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from votenet.protocol.node.votes import VoteRelay

    async def test() -> None:
        async with serving(tmp_path, mine=False) as address:
            vote = make_vote(ELECTION)
            assert await refusals(address, vote) == [None]
            with monkeypatch.context() as patch:
                patch.setattr(VoteRelay, "flush", lambda *args: 1 // 0)
                assert await code_of(address, b'{"type":"get_vote_status","voter_id":"v"}\n') == "busy"
            assert await refusals(address, vote) == ["duplicate-vote"]

    run(test)


# -- two nodes -------------------------------------------------------------------------------------


def test_a_node_that_comes_later_catches_up_and_then_follows(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
        votes = make_votes(ELECTION, 30)
        async with serving(tmp_path / "one") as one:
            for start in range(0, 20, 5):
                await cast(one, *votes[start : start + 5])
                await until(one, lambda status, count=start + 5: status.votes == count)  # type: ignore[misc]
            async with serving(tmp_path / "two", peers=[one], mine=False) as two:
                await until(two, lambda status: status.votes == 20 and status.synced)
                assert await refusals(two, *votes[20:]) == [None] * 10
                ours = await until(one, lambda status: status.votes == 30)
                theirs = await until(two, lambda status: status.votes == 30)
                assert (ours.tip, ours.peers, theirs.peers) == (theirs.tip, 1, 1)
                counts = []
                for address in (one, two):
                    async with NodeConnection(address) as client:
                        counts.append((await client.ask(GetResults(), Results)).contests[0].counts)
                assert counts == [(("Alice", 10), ("Bob", 10), ("Charlie", 10))] * 2

    run(test)


# -- real processes --------------------------------------------------------------------------------


class Process:
    """`votenet node` in a process of its own; ended by its own handle."""

    def __init__(self, folder: Path, genesis: Path, port: int, *options: str) -> None:
        self.address = Address("127.0.0.1", port)
        command = ["node", "--data-dir", str(folder), "--genesis", str(genesis), "--port", str(port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "votenet", *command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "VOTENET_HOME": str(folder)},
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)

    def end(self) -> int:
        self._process.terminate()
        return self._process.wait(PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def new(folder: str, election: Election, *options: str) -> Process:
        genesis = tmp_path / "genesis.json"
        genesis.write_bytes(election.to_file())
        started.append(Process(tmp_path / folder, genesis, free_port(), *options))
        return started[-1]

    yield new
    for process in started:
        process.kill()


async def states(address: Address, votes: Sequence[HashedVote]) -> set[str]:
    async with NodeConnection(address) as client:
        return {(await client.ask(GetVoteStatus(voter_id=v.voter_id), VoteStatus)).state for v in votes}


def test_acknowledged_votes_survive_kill_9(start: Callable[..., Process]) -> None:
    election = make_election(bits=bits_for_zero_bits(12))
    votes = make_votes(election, 60)

    async def test() -> None:
        acknowledged: list[HashedVote] = []
        for start_at in range(0, 60, 20):
            node = start("node", election)
            await listens(node.address)
            if acknowledged:
                assert await states(node.address, acknowledged) <= {"accepted", "in_block"}
            for vote in votes[start_at : start_at + 20]:
                assert await refusals(node.address, vote) == [None]
                acknowledged.append(vote)
            node.kill()
        node = start("node", election)
        await listens(node.address)
        status = await until(node.address, lambda status: status.votes == 60)
        assert status.waiting == 0
        assert await states(node.address, votes) == {"in_block"}
        assert node.end() == 0

    run(test)


def test_two_processes_agree_on_the_chain(start: Callable[..., Process]) -> None:
    election = make_election(bits=EASY_BITS)
    votes = make_votes(election, 40)

    async def test() -> None:
        one = start("one", election)
        await listens(one.address)
        await cast(one.address, *votes[:20])
        await until(one.address, lambda status: status.votes == 20)
        two = start("two", election, "--peer", str(one.address))
        await listens(two.address)
        await until(two.address, lambda status: status.votes == 20)
        await cast(two.address, *votes[20:30])
        await cast(one.address, *votes[30:])
        await until(one.address, lambda status: status.votes == 40)
        await until(two.address, lambda status: status.votes == 40)
        async with asyncio.timeout(PATIENCE):  # two blocks at once: the tie is broken within seconds
            while len({(await until(n.address, lambda s: True)).tip for n in (one, two)}) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (one.end(), two.end()) == (0, 0)

    run(test)


def test_a_file_system_without_end_has_as_much_free_as_clients_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    endless = os.statvfs_result((2**20, 2**20, 2**62, 2**62, 2**62, *list(real)[5:]))
    monkeypatch.setattr("votenet.network.node.service.os.statvfs", lambda _: endless)
    assert service._disk_free(tmp_path) == 2**53 - 1
