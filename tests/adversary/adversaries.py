"""The adversaries: each plays one kind of attack against the node port, as a program of its own.

Started as

    python adversaries.py NAME PORT SOURCE SECONDS GENESIS

it dials 127.0.0.1:PORT from the loopback address SOURCE and, after SECONDS (and not before it was told
what it must be told, however slow this machine is), prints one JSON object:
`codes`, how often it was refused with which code, `lines`, how many lines it was answered, and `seconds`,
how long it played.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from support.elections import make_votes, mine_block, mine_header
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.block import Header, genesis_header, header_from_hex
from votenet.core.ledger.chain import BlockIndexEntry, Chain
from votenet.core.ledger.vote import sign_vote
from votenet.core.limits import BLOCK_VERSION
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.framing import MAX_CLIENT_LINE
from votenet.protocol.wire.limits import EXPENSIVE_UNITS
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import (
    MAX_HEADERS,
    BlockMessage,
    GetHeaders,
    Headers,
    HelloProof,
    RequestBlockchain,
    Votes,
)

CROWD = 530
"""More connections than a node takes from one address."""
OVERTIME_SECONDS = 100.0
"""Until a player that must be refused has been: on a busy machine the flood of connections takes twenty."""
OVERTIME_PATIENCE = 5.0
HELD_SECONDS = 20.0
"""Until unfinished lines are sent anew, where no refusal came."""
REFUSAL_SECONDS = 60.0
"""For a refusal that must come, and with which the node closes the link."""


class Wire:
    """One connection to the node. Whatever way it ends is no error: that is what they are here for."""

    def __init__(self, foul: Foul, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._foul, self._reader, self._writer = foul, reader, writer

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def line(self, timeout: float | None = None) -> bytes | None:
        """The next line of the node, None at the end or after the time of play; refusals are counted."""
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(timeout or self._foul.patience):
                line = await self._reader.readline()
                if line:
                    self._foul.lines += 1
                if line.startswith(b'{"error"'):
                    self._foul.codes[str(json.loads(line)["error"]["code"])] += 1
                return line or None
        return None

    async def rest(self, seconds: float | None = None) -> None:
        """Read on until the node closes, for some seconds at most (by default, while there is play)."""
        end = time.monotonic() + (max(self._foul.left, 0.0) + 0.5 if seconds is None else seconds)
        while time.monotonic() < end and await self.line(end - time.monotonic()) is not None:
            pass

    def close(self) -> None:
        self._writer.transport.abort()

    # -- a peer's conversation -----------------------------------------------------------------

    async def shake(self, key: SigningKey, network: str, *, height: int = 0, work: int = 0) -> bool:
        """Become a peer, by the node's own code; whether it looks as if we are one."""
        connection = Connection(LocalNode(key, network, "", False), outbound=True, challenge=os.urandom(32))
        await self.send(encode_message(connection.hello(height, work)) + b"\n")
        line = await self.line(20.0)
        if line is None or line.startswith(b'{"error"'):
            return False
        _, answers = connection.receive(line, height, work)
        for answer in answers:
            await self.send(encode_message(answer) + b"\n")
        return connection.role is LinkRole.PEER

    async def tell(self, *messages: Message) -> None:
        await self.send(b"".join(encode_message(message) + b"\n" for message in messages))


class Foul:
    """What a function below plays with: the election, keys, time, and connections to the node."""

    def __init__(
        self, port: int, source: str, seconds: float, election: Election, wanted: frozenset[str]
    ) -> None:
        self.port, self.source, self.election, self._wanted = port, source, election, wanted
        self.codes: Counter[str] = Counter()
        self.lines = 0
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """The time of play begins now: what was made ready before does not count."""
        self._end = time.monotonic() + self._seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    @property
    def played(self) -> float:
        return self._seconds - self.left

    @property
    def told(self) -> bool:
        """Whether it was told what it must be told."""
        return self._wanted <= self.codes.keys()

    @property
    def patience(self) -> float:
        """Seconds for one answer: to the end of play, or some in overtime, which means a busy machine."""
        return self.left + 0.5 if self.left > 0 else OVERTIME_PATIENCE if self.playing else 0.05

    @property
    def playing(self) -> bool:
        """Time is left; or it was not told what it must be told, and there is some overtime left."""
        return self.left > 0 or (not self.told and self.left > -OVERTIME_SECONDS)

    @property
    def network(self) -> str:
        return self.election.network_hex

    async def dial(self) -> Wire | None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                made = await asyncio.open_connection(
                    "127.0.0.1", self.port, local_addr=(self.source, 0), limit=2**25
                )
                return Wire(self, *made)
        return None

    async def crowd(self, count: int) -> list[Wire]:
        return [wire for _ in range(count) if (wire := await self.dial()) is not None]

    async def peer(self, key: SigningKey | None = None, *, work: int = 0) -> Wire | None:
        wire = await self.dial()
        if wire is not None and await wire.shake(key or _new_key(), self.network, work=work):
            return wire
        return None

    async def reach(self, dial: Callable[[], Awaitable[Wire | None]]) -> Wire:
        """A link without which there is no play: a busy node takes it at last."""
        for _ in range(30):
            if (wire := await dial()) is not None:
                return wire
        raise AssertionError("the node takes no link")

    async def chain(self) -> Chain:
        """The headers of the node's best branch, asked for as anybody may."""
        chain, wire = Chain(self.election), await self.reach(self.dial)
        while True:
            await wire.tell(GetHeaders(locator=(chain_tip(chain).hash.hex(),)))
            line = await wire.line(60.0)
            answer = None if line is None else decode_message(line)
            assert isinstance(answer, Headers)
            for text in answer.headers:
                chain.add_header(header_from_hex(text), _now())
            if len(answer.headers) < MAX_HEADERS:
                wire.close()
                return chain


def chain_tip(chain: Chain) -> BlockIndexEntry:
    """The header with the most work; its votes were never asked for."""
    return max(chain.entries.values(), key=lambda entry: entry.work)


def _on(chain: Chain, parent: BlockIndexEntry, time: int) -> Header:
    """A header without a nonce, with the difficulty that the chain asks for."""
    return Header(BLOCK_VERSION, parent.hash, os.urandom(32), time, chain.next_bits(parent), 0)


def _new_key() -> SigningKey:
    return SigningKey(os.urandom(32))


async def _again(foul: Foul, once: Callable[[], Awaitable[object]], pause: float = 0.0) -> None:
    while foul.playing:
        await once()
        await asyncio.sleep(pause)


async def _flood(foul: Foul, wires: list[Wire], data: bytes) -> None:
    """Send on all of them as fast as the node reads, and not at all when it reads no more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(foul.left):
            await asyncio.gather(*(_again(foul, lambda wire=wire: wire.send(data)) for wire in wires))
    for wire in wires:
        wire.close()


# -- strangers -----------------------------------------------------------------------------------------


async def oversize_lines(foul: Foul) -> None:
    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.send(b"x" * (MAX_CLIENT_LINE + 1))
            await wire.rest(REFUSAL_SECONDS)
            wire.close()

    await _again(foul, once)


async def garbage(foul: Foul) -> None:
    dice = random.Random(1)

    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.send(dice.randbytes(dice.randrange(1, 5000)) + b"\n")
            await wire.rest(1.0)
            wire.close()

    await _again(foul, once)


async def slow_senders(foul: Foul) -> None:
    """Slow-loris: more connections than fit, each with one byte after another of a line without an end."""
    wires = await foul.crowd(CROWD)
    while foul.playing:
        for wire in wires:
            await wire.send(b"[")
        await asyncio.gather(*(wire.rest(0.1) for wire in wires))
        if not foul.told:  # the first may have been given up before the last came
            wires += await foul.crowd(CROWD // 10)


async def unfinished_lines(foul: Foul) -> None:
    """Lines that are almost whole, until the node's memory for connections is used up."""
    part = b"[" * (MAX_CLIENT_LINE - 10_000)

    async def once() -> None:
        """Again where a busy node gave up the first before it had read the last."""
        wires, end = await foul.crowd(400), time.monotonic() + HELD_SECONDS
        await asyncio.gather(*(wire.send(part) for wire in wires))
        while foul.playing and time.monotonic() < end:
            await asyncio.gather(*(wire.rest(0.2) for wire in wires))
        for wire in wires:
            wire.close()

    await _again(foul, once)


async def ping_flood(foul: Foul) -> None:
    wires = await foul.crowd(4)
    await asyncio.gather(_flood(foul, wires, b'{"type":"ping"}\n' * 200), *(wire.rest() for wire in wires))


async def expensive_questions(foul: Foul) -> None:
    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.send(b'{"type":"request_blockchain"}\n')
            await wire.rest(1.0)
            wire.close()

    async def ask() -> None:
        for _ in range(100):  # in all fewer than the connections that an address may open
            if foul.playing:
                await once()

    await asyncio.gather(*(ask() for _ in range(8)))


async def connection_flood(foul: Foul) -> None:
    def open_many() -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", foul.port), 2.0, (foul.source, 0)).close()

    wires: list[Wire] = []
    async with asyncio.TaskGroup() as reading:

        async def once() -> None:
            await asyncio.to_thread(open_many)
            if (wire := await foul.dial()) is not None:
                wires.append(wire)
                refused = reading.create_task(wire.rest(REFUSAL_SECONDS))
                await asyncio.wait([refused], timeout=0.3)  # a busy node comes to this link later

        await _again(foul, once)
        for wire in wires:
            wire.close()


async def never_read(foul: Foul) -> None:
    """Questions without end, answers never read."""
    wires = await foul.crowd(40)
    await _flood(foul, wires, b'{"type":"get_election"}\n' * 500)


async def forged_votes(foul: Foul) -> None:
    """Lines of 1,000 votes whose signatures do not hold."""
    made = make_votes(foul.election, 1000, first=10**6)
    forged = tuple(
        msgspec.structs.replace(hashed.vote, signature=made[i - 1].vote.signature)
        for i, hashed in enumerate(made)
    )
    line = encode_message(SubmitVotes(votes=forged, id=1)) + b"\n"

    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.send(line)
            await wire.line(20.0)  # what a link leaves behind unanswered is not charged
            wire.close()

    await asyncio.gather(*(_again(foul, once) for _ in range(8)))


async def equivocating_voters(foul: Foul) -> None:
    """Every voter votes twice, differently, at the same moment over two connections."""
    names = foul.election.names
    wires = [await foul.reach(foul.dial) for _ in range(2)]
    for number in range(10**9):
        if not foul.playing:
            break
        voter, key = f"two-faced-{os.getpid()}-{number}", _new_key()
        for wire, choice in zip(wires, names, strict=False):
            hashed = sign_vote(key, network_hex=foul.network, voter_id=voter, choices=[[choice]], time=_now())
            await wire.tell(SubmitVotes(votes=(hashed.vote,), id=1))
        outcomes = []
        for wire in wires:
            line = await wire.line(60.0)
            outcomes.append(None if line is None else json.loads(line)["outcomes"][0].get("error"))
        foul.codes.update(str(error["code"]) for error in outcomes if error)
        assert outcomes.count(None) == 1, f"a voter was taken twice, or not at all: {outcomes}"


def _now() -> int:
    return int(time.time())


async def foreign_network(foul: Foul) -> None:
    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.shake(_new_key(), "00" * 32)
            wire.close()

    await _again(foul, once)


async def half_handshakes(foul: Foul) -> None:
    """Hello, and then nothing."""

    async def greet(count: int) -> list[Wire]:
        wires = await foul.crowd(count)
        for wire in wires:
            us = LocalNode(_new_key(), foul.network, "")
            hello = Connection(us, outbound=True, challenge=os.urandom(32)).hello(0, 0)
            await wire.tell(hello)
        return wires

    wires = await greet(CROWD)
    while foul.playing:
        await asyncio.gather(*(wire.rest(0.2) for wire in wires))
        if not foul.told:  # the first may have been given up before the last came
            wires += await greet(CROWD // 10)


# -- those who come as peers -----------------------------------------------------------------------------


async def replayed_proofs(foul: Foul) -> None:
    """Listens to a handshake, says it again word for word; then comes with a key of its own."""
    key = _new_key()
    spoken = Connection(LocalNode(key, foul.network, ""), outbound=True, challenge=os.urandom(32))
    hello, first = spoken.hello(0, 0), await foul.reach(foul.dial)
    await first.tell(hello)
    line = await first.line(60.0)
    assert line is not None
    _, (proof,) = spoken.receive(line, 0, 0)
    assert isinstance(proof, HelloProof)
    await first.tell(proof)
    first.close()

    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            await wire.tell(hello)
            await wire.line(REFUSAL_SECONDS)
            await wire.tell(HelloProof(proof=proof.proof))
            await wire.rest(REFUSAL_SECONDS)
            wire.close()

    for _ in range(6):
        await once()
    await _come_back(foul)


async def headers_without_work(foul: Foul) -> None:
    chain = Chain(foul.election)
    header = _on(chain, chain.genesis, chain.genesis.header.time)
    while int.from_bytes(header.hash, "little") >> 248 == 0:
        header = header._replace(nonce=header.nonce + 1)
    wire = await foul.reach(foul.peer)
    await wire.tell(Headers(headers=(header.pack().hex(),)))
    await wire.rest(REFUSAL_SECONDS)
    await _come_back(foul)


async def header_spam(foul: Foul) -> None:
    """Side branches with real but little work, from the genesis block on, as many as there is time for."""
    wire = await foul.peer()
    while wire is not None and foul.playing:
        chain, branch = Chain(foul.election), []
        tip = chain.genesis
        for _ in range(100):
            header = await asyncio.to_thread(mine_header, _on(chain, tip, tip.header.time + 1))
            tip = chain.add_header(header, _now() + 3600)
            branch.append(header.pack().hex())
        await wire.tell(Headers(headers=tuple(branch)))
        await wire.rest(0.02)


async def ties(foul: Foul) -> None:
    """A header beside every tip, with as much work: the node mines on, to break the tie."""
    peer = await foul.peer()
    while peer is not None and foul.playing:
        chain = await foul.chain()
        tip = chain_tip(chain)
        rival = tip.header
        while tip.height and rival.hash <= tip.hash:  # so that it is for the node to mine
            rival = await asyncio.to_thread(mine_header, _on(chain, chain.parent(tip), tip.header.time))
        if tip.height:
            await peer.tell(Headers(headers=(rival.pack().hex(),)))
        await peer.rest(0.05)


async def time_warp(foul: Foul) -> None:
    """Headers with work, three hours in the future."""
    chain = Chain(foul.election)
    for number in range(5):
        if (wire := await foul.peer()) is not None:
            late = mine_header(_on(chain, chain.genesis, _now() + 3 * 3600 + number))
            await wire.tell(Headers(headers=(late.pack().hex(),)))
            await wire.rest(1.0)
            wire.close()


async def withheld_blocks(foul: Foul) -> None:
    """Announces a better block with real work, and never sends it."""
    wire = await foul.peer()
    if wire is not None:
        chain = await foul.chain()
        tip = chain_tip(chain)
        header = await asyncio.to_thread(mine_header, _on(chain, tip, max(tip.header.time, _now())))
        await wire.tell(Headers(headers=(header.pack().hex(),)))
        await wire.rest()


async def lying_hello(foul: Foul) -> None:
    """Claims all the work in the world, answers no question."""

    async def once() -> None:
        if (wire := await foul.dial()) is not None:
            us = LocalNode(_new_key(), foul.network, "")
            hello = Connection(us, outbound=True, challenge=os.urandom(32)).hello(2**53 - 1, 2**255)
            await wire.tell(hello)
            wire.close()
        peer = await foul.peer(work=2**255)
        if peer is not None:
            await peer.rest(0.3)
            peer.close()

    await _again(foul, once)


async def forged_relay(foul: Foul) -> None:
    """As a peer, passes on a vote that its voter did not sign."""
    one, two = make_votes(foul.election, 2, first=2 * 10**6)
    forged = msgspec.structs.replace(one.vote, signature=two.vote.signature)
    wire = await foul.reach(foul.peer)
    await wire.tell(Votes(votes=(forged,)))
    await wire.rest(REFUSAL_SECONDS)
    await _come_back(foul)


async def replayed_blocks(foul: Foul) -> None:
    """The same old block, again and again: it has work, so it is no lie; it must only be cheap."""
    block = mine_block(foul.election, genesis_header(foul.election))
    line = encode_message(BlockMessage(header=block.header.pack().hex(), votes=())) + b"\n"
    if (wire := await foul.peer()) is not None:
        await asyncio.gather(_flood(foul, [wire], line * 50), wire.rest())


async def many_identities(foul: Foul) -> None:
    """More peers than one address may be."""
    wires = [wire for _ in range(66) if (wire := await foul.peer()) is not None]
    while foul.playing:
        await asyncio.gather(*(wire.rest(0.2) for wire in wires))
        if not foul.told and (wire := await foul.peer()) is not None:  # one of them was not let in
            wires.append(wire)


async def _come_back(foul: Foul) -> None:
    """Try to be a peer again, with another key: a ban of the address shows itself."""
    while True:
        wire = await foul.peer()
        if wire is not None:
            await wire.rest(0.5)
            wire.close()
        if not foul.playing:
            return
        await asyncio.sleep(0.05)


ADVERSARIES: dict[Callable[[Foul], Awaitable[None]], set[str]] = {
    # Each with the codes that it must be told. Those without a code are slowed down, not refused.
    oversize_lines: {"line-too-long"},
    garbage: {"bad-json"},
    slow_senders: {"too-many-connections"},
    unfinished_lines: {"busy"},
    ping_flood: set(),
    expensive_questions: {"rate-limited"},
    connection_flood: {"rate-limited"},
    never_read: set(),
    forged_votes: {"rate-limited"},
    equivocating_voters: {"already-voted"},
    foreign_network: {"network-mismatch"},
    half_handshakes: {"too-many-connections"},
    replayed_proofs: {"bad-hello", "banned"},
    headers_without_work: {"bad-work", "banned"},
    header_spam: set(),
    ties: set(),
    time_warp: set(),
    withheld_blocks: set(),
    lying_hello: set(),
    forged_relay: {"bad-signature", "banned"},
    replayed_blocks: set(),
    many_identities: {"too-many-connections"},
}
CODES = {play.__name__: frozenset(codes) for play, codes in ADVERSARIES.items()}
ANSWER_UNITS = {expensive_questions.__name__: EXPENSIVE_UNITS[RequestBlockchain]}
"""What an answer costs at least, where only a fast machine gives so many that the address is refused."""


def main(name: str, port: str, source: str, seconds: str, genesis: str) -> None:
    from votenet.storage.genesis_file import read_genesis

    wanted = frozenset[str]() if name in ANSWER_UNITS else CODES[name]
    foul = Foul(int(port), source, float(seconds), read_genesis(Path(genesis)), wanted)
    asyncio.run(next(play for play in ADVERSARIES if play.__name__ == name)(foul))
    print(json.dumps({"codes": foul.codes, "lines": foul.lines, "seconds": foul.played}))


if __name__ == "__main__":
    main(*sys.argv[1:])
