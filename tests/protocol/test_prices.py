"""Every question is asked, what a node does for it is counted, and its price covers that.

On a chain with a full block. A change that makes a question dearer fails here, and one that has the core's
own thread do the work. What a unit buys stands in `protocol/wire/limits.py`; its milliseconds are shown by
`make bench` (T19).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    key_of,
    keys_of_node,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    named_nodes,
)
from support.nodes import NOW, SEED
from support.work import Work, counting
from votenet.core.ledger.block import log_leaves, log_start
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.mempool import SHORT_ID
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.network.node.persistence import load_core
from votenet.network.node.reference_chain import ReferenceChain
from votenet.network.node.serving import read_block
from votenet.protocol.node.events import (
    Checked,
    PeerUp,
    Received,
    SaveBlock,
    SaveCertificate,
    SaveTiles,
    SetBest,
)
from votenet.protocol.node.state import NodeInfo
from votenet.protocol.wire.client_messages import (
    MAX_LISTED_BLOCKS,
    GetAmendments,
    GetBlockList,
    GetCheckpoint,
    GetElection,
    GetEvidence,
    GetProof,
    GetResults,
    GetShares,
    GetStatus,
    GetVoteStatus,
    SubmitAmendment,
    SubmitShare,
    SubmitVotes,
)
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.limits import (
    BYTES_READ_IN_UNIT,
    BYTES_SENT_IN_UNIT,
    HASHES_IN_UNIT,
    ROWS_IN_UNIT,
    VOTE_UNITS,
    sent_units,
    units,
)
from votenet.protocol.wire.lines import line_of
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import MESSAGES
from votenet.protocol.wire.named_messages import GetConsensus
from votenet.protocol.wire.peer_messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    MAX_VOTES_IN_LINE,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    GetPeers,
    GetVotes,
    Hello,
    Ping,
    RequestBlockchain,
)
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

FULL = 20_000
MILLISECOND = 10.0
"""In units: what a question may cost the core's own thread, its line beside."""
CLIENT, PEER = 1, 2


@dataclass
class Bill:
    """What a question was charged, what the core's thread did for it, and what was done in all."""

    charged: float
    here: float
    done: float
    work: Work
    lines: list[bytes]


def cost(work: Work) -> float:
    """In units."""
    return (
        work.hashes / HASHES_IN_UNIT
        + work.rows / ROWS_IN_UNIT
        + (work.taken_apart + work.encoded) / BYTES_READ_IN_UNIT
        + work.sent / BYTES_SENT_IN_UNIT
    )


class Counted:
    """A node's core on a real database, of which everything that it does is counted."""

    def __init__(self, folder: Path, *, named: int = 0) -> None:
        """`named`: how many named nodes decide and sign the chain."""
        self.election = make_election(bits=TRIVIAL_BITS, max_block_votes=FULL, nodes=named_nodes(named))
        self.votes = make_votes(self.election, FULL)
        store = SqliteBlockStore(folder, self.election)
        self._fill(store)
        self.store = store
        info = NodeInfo("counted", "0", key_of("us").public_hex, "us:1", "test", False, NOW, SEED)
        self.core = load_core(self.election, store, info)
        self.tip = self.core.state.chain.tip
        self.core.blocks.tip_votes = self.tip.hash, store.votes_of(self.tip.hash)
        self._reference_chain = ReferenceChain(self.election, store)
        peer_info = PeerInfo(key_of("peer").public_hex, "peer:1", 0, 0, False, SEED)
        self.core.step(PeerUp(PEER, peer_info, False), NOW)
        self.core.ready(NOW)

    def _fill(self, store: SqliteBlockStore) -> None:
        """More headers than an answer has, then the full block."""
        chain, log = Chain(self.election), log_start(self.election)
        for number in range(MAX_HEADERS + 1):
            votes = self.votes if number == MAX_HEADERS else []
            tip = chain.tip
            block = mine_block(self.election, tip.header, votes, bits=chain.next_bits(tip))
            entry = chain.add_header(block.header, CREATED + 10**6)
            chain.add_body(entry, lambda _, votes=block.votes: votes)
            log, tiles = log.append(log_leaves(block.header, block.votes))
            kept = [SaveTiles(tuple(tiles))] if self.election.named else []
            store.apply([SaveBlock(entry, block.votes), SetBest(tip.height, [(entry, block.votes)]), *kept])
        if self.election.named:
            text = checkpoint_text(self.election.network_id, log.size, log.root)
            signers = [(node, keys_of_node(node).cosign) for node in range(self.election.quorum)]
            lines = [cosign_checkpoint(key, node, text, CREATED) for node, key in signers]
            store.apply([SaveCertificate(entry.height, str(make_certificate(text, lines)))])

    def ask(self, link: int, message: Message) -> Bill:
        """One question and its answer, through to the lines that are sent."""
        with counting(self.store) as work:
            jobs = self.core.step(Received(link, message), NOW)
            ready = self.core.ready(NOW)
            began = [question.begin() for question in ready.questions]
            began += [self._reference_chain.begin(self.core.state.chain) for _ in ready.send_reference_chain]
            lines = [line_of(message) for _, message in ready.send]
            here = cost(work)
            served = [run() for run in began]
            served += [read_block(self.store, block) for _, block in ready.send_blocks]
            charged = units(message) + sum(units for _, units in ready.charge)
            charged += sum(answer.units + sent_units(len(answer.line)) for answer in served)
            lines += [answer.line for answer in served]
            results = [Checked(job, job.run()) for job in jobs]
            before = cost(work)
            for result in results:
                self.core.step(result, NOW)
            ready = self.core.ready(NOW)
            charged += sum(units for _, units in ready.charge)
            if ready.save:
                self.store.apply(ready.save)
                self.core.saved()
            lines += [line_of(message) for to, message in ready.send if to == link]
            here += cost(work) - before
            work.sent = sum(map(len, lines))
        return Bill(charged, here, cost(work), work, lines)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    counted = Counted(tmp_path_factory.mktemp("prices"))
    yield counted
    counted.store.close()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    counted = Counted(tmp_path_factory.mktemp("named"), named=7)
    yield counted
    counted.store.close()


def check(bill: Bill) -> None:
    assert bill.lines, "it was answered"
    assert bill.done <= bill.charged, bill.work
    assert bill.here <= MILLISECOND, bill.work


def twice(node: Counted, message: Message, link: int = CLIENT) -> tuple[Bill, Bill]:
    """What is not kept yet, and then is."""
    bills = node.ask(link, message), node.ask(link, message)
    for bill in bills:
        check(bill)
    assert bills[1].done <= bills[0].done
    return bills


def test_a_proof_costs_its_block_once_and_then_a_row(node: Counted) -> None:
    first, again = twice(node, GetProof(voter_id="voter-77", id=1))
    assert first.work.hashes >= FULL
    assert again.work.hashes <= 100
    assert again.work.rows <= 3
    assert again.work.taken_apart < 32 * 1024
    assert again.charged < 50
    other = node.ask(CLIENT, GetProof(voter_id="voter-19000"))
    check(other)
    assert other.work.hashes <= 100, "the levels are those of the block, for every client"


@pytest.mark.parametrize("voter", ["voter-77", "voter-19000"])
def test_a_proof_of_the_log_costs_its_path(named: Counted, voter: str) -> None:
    first, _ = twice(named, GetProof(voter_id=voter, id=1))
    assert b"c2sp.org/tlog-proof@v1" in first.lines[0]
    assert first.charged < 30


@pytest.mark.parametrize("size", [1, 255, 256, 1999, 2**14, FULL + 2001])
def test_the_growth_of_the_log_costs_its_path(named: Counted, size: int) -> None:
    first, _ = twice(named, GetCheckpoint(size=size, id=1))
    assert len(first.lines[0]) > 1000
    assert first.charged < 30


def test_results_are_counted_and_encoded_once_for_a_tip(node: Counted) -> None:
    first, again = twice(node, GetResults())
    assert first.work.counts <= 3
    assert (again.work.counts, again.work.encoded) == (0, 0)


def test_headers_are_sent_as_they_are_kept(node: Counted) -> None:
    first, again = twice(node, GetHeaders(locator=(), id=7))
    assert again.work == first.work == Work(sent=len(first.lines[0]))
    assert len(first.lines[0]) > 160 * MAX_HEADERS


def test_a_list_of_blocks_costs_neither_votes_nor_rows(node: Counted, named: Counted) -> None:
    for counted in (node, named):
        first, again = twice(counted, GetBlockList(id=7))
        assert again.work.rows == first.work.rows == 0
        assert len(first.lines[0]) > 160 * MAX_LISTED_BLOCKS


def test_a_block_is_sent_as_it_is_stored(node: Counted) -> None:
    asked = GetBlocks(hashes=(node.tip.hash.hex(),) * MAX_BLOCKS_ASKED)
    first, again = twice(node, asked, PEER)
    assert len(first.lines) == 1, "asked for sixteen times, sent once"
    assert (again.work.hashes, again.work.taken_apart, again.work.encoded) == (0, 0, 0)
    whole = GetBlockVotes(hash=node.core.state.chain.best[-2].hash.hex(), positions=(0,))
    twice(node, whole, PEER)


def test_votes_of_the_latest_block_are_joined_from_their_records(node: Counted) -> None:
    positions = tuple(range(FULL))
    first, _ = twice(node, GetBlockVotes(hash=node.tip.hash.hex(), positions=positions), PEER)
    assert first.work == Work(sent=len(first.lines[0]))


def test_the_reference_clients_chain_is_made_once_for_a_tip(node: Counted) -> None:
    first, again = twice(node, RequestBlockchain())
    assert first.work.rows > 600
    assert again.work == Work(sent=len(first.lines[0]))


@pytest.mark.parametrize(
    "message",
    [GetElection(), GetAmendments(), GetPeers(), GetStatus(), GetEvidence(),
     GetVoteStatus(voter_id="voter-5"), GetVoteStatus(voter_id="x"), GetProof(voter_id="x"),
     GetCheckpoint(size=7), Ping()],
    ids=lambda message: type(message).__name__,
)  # fmt: skip
def test_small_questions_cost_a_line(node: Counted, message: Message) -> None:
    first, _ = twice(node, message)
    assert first.work.rows <= 3
    assert first.work.hashes <= 1


def as_message(votes: list[HashedVote]) -> SubmitVotes:
    return SubmitVotes(votes=tuple(hashed.vote for hashed in votes))


def test_second_votes_are_looked_up_beside_the_core(node: Counted) -> None:
    bill = node.ask(CLIENT, as_message(node.votes[:MAX_VOTES_IN_LINE]))
    assert bill.done <= bill.charged
    assert bill.work.rows >= MAX_VOTES_IN_LINE
    assert bill.here <= 2.5 * MILLISECOND, "hashing the votes is the core's"


def test_votes_are_paid_for_with_their_signatures(node: Counted) -> None:
    votes = [make_vote(node.election, f"new-{number}") for number in range(MAX_VOTES_IN_LINE)]
    bill = node.ask(CLIENT, as_message(votes))
    assert bill.done + VOTE_UNITS / 2 * len(votes) <= bill.charged
    ids = b"".join(node.core.state.pool.shorts)[: SHORT_ID * MAX_VOTES_IN_LINE]
    asked, again = twice(node, GetVotes(ids=ids), PEER)
    assert asked.work == Work(sent=sum(map(len, asked.lines)))
    doubled = node.ask(PEER, GetVotes(ids=ids[:SHORT_ID] * MAX_VOTES_IN_LINE))
    assert len(doubled.lines[0]) < 1000, "asked for a thousand times, sent once"
    assert again.lines == asked.lines


def test_every_question_is_asked_here() -> None:
    asked = {
        *(GetProof, GetResults, GetHeaders, GetBlocks, GetBlockVotes, GetVotes, RequestBlockchain),
        *(
            GetBlockList,
            GetAmendments,
            GetCheckpoint,
            GetElection,
            GetEvidence,
            GetPeers,
            GetStatus,
            GetVoteStatus,
            Ping,
        ),
        *(GetBlockList, SubmitVotes),
    }
    # node/test_finality.py, node/test_amendments.py, node/test_shares.py
    elsewhere = {GetConsensus, SubmitAmendment, SubmitShare, GetShares}
    assert asked == {kind for kind in MESSAGES.values() if kind.replies} - {Hello} - elsewhere
