"""Strangers against named nodes: what anybody may say over the wire, with one core and own keys.

Started as the players of `adversaries.py`:

    python named_strangers.py NAME PORT SOURCE SECONDS GENESIS

NAME is `forgeries`, every lie once, each from an address of its own, or a kind of flood. It prints a JSON
object: `codes`, how often it was refused with which code; `lines`, how many lines it was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from adversary.adversaries import Foul, Wire
from support.elections import make_vote, mine_header
from votenet.core.encoding import canonical
from votenet.core.keys import NodeKeys, node_keys
from votenet.core.ledger.block import Header, genesis_header, header_from_hex, order_votes, votes_root
from votenet.core.ledger.closing import encode_listed, merge_lists, sign_list
from votenet.core.ledger.extras import ClosingList, Miner, hash_record, order_records
from votenet.core.ledger.statement import (
    AcceptanceStatement,
    Commit,
    HourPassedStatement,
    PrecommitStatement,
    PrevoteStatement,
    ProposalStatement,
    Signed,
    signed,
)
from votenet.core.limits import BLOCK_VERSION
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.records.evidence import EVIDENCE_KINDS, Pair
from votenet.core.records.miner import sign_block
from votenet.protocol.wire.client_messages import GetCheckpoint, GetEvidence
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.named_messages import (
    AcceptedMessage,
    CertificateMessage,
    ClosingListMessage,
    ConsensusState,
    ConsensusVote,
    ConsensusVotes,
    CosignatureMessage,
    EvidenceMessage,
    GetConsensus,
    HourPassed,
    Lie,
    Proposal,
    ProposalSeen,
    QuorumMessage,
)
from votenet.protocol.wire.peer_messages import BlockMessage, CompactBlock, GetHeaders, Headers

HEAVY = 60
"""Blocks of the stranger's own chain: more than the network decides meanwhile."""
LINKS = 12


class Stranger:
    """What it knows: the decided headers with their commit, as anybody may ask for them, and its own keys."""

    def __init__(self, foul: Foul) -> None:
        self.foul, self.election = foul, foul.election
        self.keys: NodeKeys = node_keys(os.urandom(32))
        self.headers: list[Header] = [genesis_header(foul.election)]
        self.commit: Commit | None = None
        self._hosts = itertools.count(1)

    async def look(self) -> None:
        wire = await self.foul.reach(self.foul.dial)
        await wire.tell(GetHeaders(locator=()))
        answer = decode_message(await wire.line(60.0) or b"")
        assert isinstance(answer, Headers)
        assert answer.commit is not None
        own = [header_from_hex(text) for text in answer.headers]
        self.headers = [genesis_header(self.election), *own]
        self.commit = answer.commit
        wire.close()

    @property
    def height(self) -> int:
        return len(self.headers)

    def branch(self, parent: Header, count: int) -> list[Header]:
        """Own headers with work."""
        made: list[Header] = []
        for _ in range(count):
            header = Header(BLOCK_VERSION, parent.hash, os.urandom(32), parent.time, self.election.bits, 0)
            parent = mine_header(header)
            made.append(parent)
        return made

    def own_commit(self, header: Header, height: int, nodes: int) -> Commit:
        """Precommits in the names of so many nodes, all with one key."""
        network = self.election.network_hex
        signatures = {
            str(node): PrecommitStatement(
                block=header.hash.hex(), height=height, network_id=network, node=node, round=0
            ).sign(self.keys.statement)
            for node in range(nodes)
        }  # fmt: skip
        return Commit(round=0, signatures=signatures)

    async def tell(self, *messages: Message) -> None:
        """Say it on a new link from a new address, with a new key, and hear what comes of it."""
        number = next(self._hosts)
        self.foul.source = f"127.0.{10 + number // 250}.{1 + number % 250}"
        wire = await self.foul.peer()
        if wire is not None:
            await wire.tell(*messages)
            await wire.rest(0.25 if self.foul.told else 3.0)  # a busy node answers late
            wire.close()


def packed(headers: Iterable[Header]) -> tuple[str, ...]:
    return tuple(header.pack().hex() for header in headers)


# -- chains of one's own -------------------------------------------------------------------------------


async def heavier_chains(us: Stranger) -> None:
    """From genesis and from the tip: bare, with own commits, with a true commit of another block behind."""
    assert us.commit is not None
    for start in (us.headers[0], us.headers[-1]):
        own = await asyncio.to_thread(us.branch, start, HEAVY)
        place = us.headers.index(start)
        await us.tell(Headers(headers=packed(own)))
        for nodes in (1, 4, 5):
            last = own[-1]
            await us.tell(Headers(headers=packed(own), commit=us.own_commit(last, place + HEAVY, nodes)))
        # The last header is known or decided, those before it are not: only the last has a commit.
        await us.tell(Headers(headers=packed([*own, us.headers[-1]]), commit=us.commit))
        fit = own[: len(us.headers) - 2 - place] if place == 0 else []
        await us.tell(Headers(headers=packed([*fit, us.headers[-1]]), commit=us.commit))
        await us.tell(Headers(headers=packed([own[0], us.headers[-1]]), commit=us.commit))
        await us.tell(Headers(headers=packed(own), commit=us.commit))


async def blocks_of_ones_own(us: Stranger) -> None:
    """On the tip and on genesis, with votes and none, as compact blocks and whole, with commits and none."""
    votes = order_votes([make_vote(us.election, f"stuffed-{n}", "Bob") for n in range(50)])
    for parent, content in itertools.product((us.headers[-1], us.headers[0]), (votes, ())):
        root = votes_root(content)
        header = mine_header(Header(BLOCK_VERSION, parent.hash, root, parent.time, us.election.bits, 0))
        height = us.headers.index(parent) + 1
        miner = sign_block(us.keys.statement, us.election, 0, header.hash, height)
        whole = BlockMessage(
            header=header.pack().hex(), votes=tuple(hashed.vote for hashed in content), miner=miner
        )
        for commit in (None, us.commit, us.own_commit(header, height, 4)):
            compact = CompactBlock(header=header.pack(), ids=b"", commit=commit, miner=miner)
            await us.tell(compact, whole)
            await us.tell(Headers(headers=packed([header]), commit=commit), whole)


async def closing_of_ones_own(us: Stranger) -> None:
    closes = us.election.definition.closes or 1
    lists = [_list(us, node, closes) for node in range(4)]
    listed = merge_lists({node: [] for node in range(4)})
    records = order_records([hash_record(record) for record in lists])
    parent = us.headers[-1]
    root = votes_root((), records)
    header = mine_header(Header(BLOCK_VERSION, parent.hash, root, parent.time, us.election.bits, 0))
    miner = sign_block(us.keys.statement, us.election, 0, header.hash, us.height)
    values = tuple(record.value for record in records)
    for commit in (None, us.commit, us.own_commit(header, us.height, 5)):
        await us.tell(
            CompactBlock(
                header=header.pack(), ids=b"", commit=commit, miner=miner, records=values,
                closing=encode_listed(listed),
            )
        )  # fmt: skip


def _list(us: Stranger, node: int, closes: int, ids: Sequence[bytes] = ()) -> ClosingList:
    network = us.election.network_hex
    return sign_list(us.keys.statement, network_hex=network, node=node, closes=closes, height=0, vote_ids=ids)


async def false_sides_of_decided_blocks(us: Stranger) -> None:
    """A decided header and its true commit, with another miner's signature, and with other commits."""
    header, height = us.headers[-1], us.height - 1
    miner = Miner(node=0, signature="00" * 64)
    await us.tell(CompactBlock(header=header.pack(), ids=b"", commit=us.commit, miner=miner))
    await us.tell(BlockMessage(header=header.pack().hex(), votes=(), miner=miner))
    for known, place in (
        (header, height),
        (us.headers[1], 1),
        (us.headers[len(us.headers) // 2], height // 2),
    ):
        for commit in (us.own_commit(known, place, 4), us.commit, Commit(round=0, signatures={})):
            await us.tell(Headers(headers=packed([known]), commit=commit))
            await us.tell(CompactBlock(header=known.pack(), ids=b"", commit=commit, miner=miner))


# -- what only named nodes say -----------------------------------------------------------------------------


def _votes(us: Stranger, kind: str, height: int, round_number: int, block: str) -> tuple[ConsensusVote, ...]:
    """One key's votes in the names of all nodes."""
    made = PrevoteStatement if kind == "prevote" else PrecommitStatement
    network = us.election.network_hex
    return tuple(
        ConsensusVote(
            kind=kind,  # type: ignore[arg-type]
            height=height,
            round=round_number,
            node=node,
            block=block,
            signature=made(
                block=block, height=height, network_id=network, node=node, round=round_number
            ).sign(us.keys.statement),
        )
        for node in range(us.election.named)
    )


def named_words(us: Stranger) -> list[Message]:
    """Each message of named nodes, signed with our own key, or replayed, for now and for far heights."""
    assert us.commit is not None
    block, network = os.urandom(32).hex(), us.election.network_hex
    parent = us.headers[-1]
    header = mine_header(Header(BLOCK_VERSION, parent.hash, os.urandom(32), parent.time, us.election.bits, 0))
    node = us.height % us.election.named
    statement = ProposalStatement(
        block=header.hash.hex(), height=us.height, network_id=network, node=node, round=0, valid_round=-1
    )
    seen = ProposalSeen(
        height=us.height, round=0, valid_round=-1, node=node, block=header.hash.hex(),
        signature=statement.sign(us.keys.statement),
    )  # fmt: skip
    miner = sign_block(us.keys.statement, us.election, node, header.hash, us.height)
    replayed = tuple(
        ConsensusVote(
            kind="precommit", height=us.height, round=us.commit.round, node=int(index), signature=signature,
            block=parent.hash.hex(),
        )
        for index, signature in us.commit.signatures.items()
    )  # fmt: skip
    closes = us.election.definition.closes or 1
    hour = HourPassedStatement(closes=closes, network_id=network, node=1).sign(us.keys.statement)
    root = os.urandom(32).hex()
    accepted = AcceptanceStatement(count=1, network_id=network, node=1, root=root, time=1)
    made: list[Message] = [
        Proposal(proposal=seen, header=header.pack(), ids=os.urandom(800), miner=miner),
        GetConsensus(height=us.height),
        ConsensusVotes(votes=replayed),
        QuorumMessage(votes=replayed),
        ConsensusState(height=us.height, votes=replayed, proposals=(seen,), quorums=(replayed,)),
        HourPassed(closes=closes, node=1, signature=hour),
        ClosingListMessage(list=_list(us, 1, closes), ids=b""),
        ClosingListMessage(list=_list(us, 1, closes), ids=os.urandom(32 * 5000)),
        AcceptedMessage(
            node=1, time=1, root=root, signature=accepted.sign(us.keys.statement), ids=os.urandom(8)
        ),
        CosignatureMessage(cosignature=os.urandom(72).hex(), node=1, root=root, size=9),
    ]
    for kind, height, number in (
        ("prevote", us.height, 0), ("precommit", us.height, 0), ("prevote", us.height, 2**53 - 1),
        ("precommit", 2**53 - 1, 0), ("precommit", us.height + 1, 7), ("prevote", 0, 0),
    ):  # fmt: skip
        votes = _votes(us, kind, height, number, block)
        made += [ConsensusVotes(votes=votes), QuorumMessage(votes=votes), QuorumMessage(votes=votes[:1] * 5)]
        made.append(ConsensusState(height=height, votes=votes, quorums=(votes,)))
    return made


async def words_of_named_nodes(us: Stranger) -> None:
    for message in named_words(us):
        await us.tell(message)


def certificates(us: Stranger, heights: Sequence[int]) -> list[Message]:
    text = checkpoint_text(us.election.network_id, 10**6, os.urandom(32))
    lines = [cosign_checkpoint(us.keys.cosign, node, text, 1) for node in range(us.election.named)]
    note = str(make_certificate(text, lines))
    return [
        CertificateMessage(height=height, note=text)
        for height in heights
        for text in (note, "x" * 30_000, "")
    ]


async def forged_certificates(us: Stranger) -> None:
    for message in certificates(us, (us.height - 1, us.height, 2**53 - 1, 0)):
        await us.tell(message)


def lies(us: Stranger) -> list[Lie]:
    """Evidence against an honest node that proves nothing."""
    network, key = us.election.network_hex, us.keys.statement
    pairs: list[Signed[PrecommitStatement]] = [
        signed(
            PrecommitStatement(block=block * 32, height=5, network_id=network, node=1, round=0), key
        )
        for block in ("aa", "bb")
    ]  # fmt: skip
    proof = canonical(Pair(first=pairs[0], second=pairs[1]))
    made = [Lie(kind=kind, node=1, proof=msgspec.Raw(proof)) for kind in (*EVIDENCE_KINDS, "new-kind")]
    assert us.commit is not None
    index, signature = next(iter(us.commit.signatures.items()))
    once = Signed(
        signature=signature,
        statement=PrecommitStatement(
            block=us.headers[-1].hash.hex(), height=us.height - 1, network_id=network, node=int(index),
            round=us.commit.round,
        ),
    )  # fmt: skip
    same = canonical(Pair(first=once, second=once))
    notes = b'{"first":"x","second":"y"}'
    deep = b"[" * 900 + b"]" * 900
    made += [Lie(kind="two-precommits", node=int(index), proof=msgspec.Raw(same))]
    made += [Lie(kind="two-roots", node=2**53 - 1, proof=msgspec.Raw(notes))]
    made += [Lie(kind="bad-growth", node=0, proof=msgspec.Raw(deep))]
    return made


async def forged_evidence(us: Stranger) -> None:
    for lie in lies(us):
        await us.tell(EvidenceMessage(lies=(lie,)))


FORGERIES: tuple[Callable[[Stranger], Awaitable[None]], ...] = (
    heavier_chains,
    blocks_of_ones_own,
    closing_of_ones_own,
    false_sides_of_decided_blocks,
    words_of_named_nodes,
    forged_certificates,
    forged_evidence,
)


async def forgeries(foul: Foul) -> None:
    us = Stranger(foul)
    while True:
        await us.look()
        await asyncio.gather(*(forge(us) for forge in FORGERIES))
        if not foul.playing:
            return


# -- floods --------------------------------------------------------------------------------------------------


def _with_commit(us: Stranger) -> list[Message]:
    """A header with sixty-four signatures: each costs the reader one check, until one does not hold."""
    header = us.branch(us.headers[-1], 1)[0]
    return [Headers(headers=packed([header]), commit=us.own_commit(header, us.height, us.election.named))]


def _replays(us: Stranger) -> list[Message]:
    """True headers with their true commit, again and again."""
    return [Headers(headers=packed(us.headers[1:]), commit=us.commit)]


FLOODS: dict[str, Callable[[Stranger], list[Message]]] = {
    "words": named_words,
    "certificates": lambda us: certificates(us, (us.height - 1, us.height)),
    "evidence": lambda us: [EvidenceMessage(lies=tuple(lies(us)[:1]))],
    "commits": _with_commit,
    "replays": _replays,
    "questions": lambda us: [GetEvidence(id=1), GetCheckpoint(size=1, id=2), GetHeaders(locator=(), id=3)],
}


async def flood(foul: Foul, kind: str) -> None:
    """From a dozen links, dialled again as long as the address is let in."""
    us = Stranger(foul)
    await us.look()
    lines = [encode_message(message) + b"\n" for message in FLOODS[kind](us)]

    async def send_on() -> None:
        for number in itertools.count():
            if not foul.playing:
                return
            wire: Wire | None = await foul.peer()
            if wire is None:
                await asyncio.sleep(0.05)
                continue
            await wire.send(lines[number % len(lines)] * 20)
            await wire.rest(0.2 if foul.told else 3.0)
            wire.close()

    await asyncio.gather(*(send_on() for _ in range(LINKS)))


def main(name: str, port: str, source: str, seconds: str, genesis: str, *wanted: str) -> None:
    from votenet.storage.genesis_file import read_genesis

    foul = Foul(int(port), source, float(seconds), read_genesis(Path(genesis)), frozenset(wanted))
    asyncio.run(forgeries(foul) if name == "forgeries" else flood(foul, name))
    print(json.dumps({"codes": foul.codes, "lines": foul.lines}))


if __name__ == "__main__":
    main(*sys.argv[1:])
