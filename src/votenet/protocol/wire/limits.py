"""What lines and requests cost, and how much a link and an address may spend.

A unit is about a tenth of a millisecond of one processor core. The first table says what it buys; tests count
what each question makes a node do, and compare it with its price. An answer that is longer, or takes more
work, than most is charged when it is given.

The rates are far above what an election asks for: a replay of a city's 80,000 ballots from one address, or a
hall of 500 voters behind one, each asking 25 times a second whether the vote is counted, meets none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from votenet.core.ledger.extras import BlockRecord, NotCounted
from votenet.core.ledger.mempool import SHORT_ID
from votenet.core.ledger.statement import Commit
from votenet.protocol.wire.client_messages import (
    GetBlockList,
    GetProof,
    SubmitAmendment,
    SubmitShare,
    SubmitVotes,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.named_messages import (
    AcceptedMessage,
    CertificateMessage,
    ClosingListMessage,
    ConsensusState,
    ConsensusVotes,
    CosignatureMessage,
    EvidenceMessage,
    GetConsensus,
    HandedOnVotes,
    Proposal,
    QuorumMessage,
)
from votenet.protocol.wire.peer_messages import (
    AmendmentMessage,
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetVotes,
    HaveVotes,
    Headers,
    RequestBlockchain,
    SharesMessage,
    Votes,
)

HASHES_IN_UNIT: Final = 100
"""SHA-256 of a record or of two hashes."""
ROWS_IN_UNIT: Final = 16
"""Rows of a table, of up to 12 KB of records."""
BYTES_READ_IN_UNIT: Final = 128 * 1024
"""Bytes of records taken apart, or encoded."""
BYTES_SENT_IN_UNIT: Final = 8 * 1024
"""Bytes of an answer: joined and copied at most twice; an address gets 80 MB a second at most."""

LINE_UNITS: Final = 2.0
"""Any line: framing, parsing, an answer of up to BYTES_SENT_IN_UNIT bytes."""
VOTE_UNITS: Final = 1.0
"""One signature checked, or one vote of the same voter found on the chain."""
BALLOT_BYTES_IN_UNIT: Final = 80
"""Bytes of an encrypted ballot whose proofs are checked: about 600 for each candidate, in 0.75 ms."""
PROOF_UNITS: Final = 2.8
"""For each proof in a ballot at least, four multiplications: short numbers save bytes, and no work."""
BALLOT_UNITS_AT_ONCE: Final = 250.0
"""Of the ballots that a thread checks before the lines of others come: six of five candidates, or one."""
SHARE_BYTES_IN_UNIT: Final = 60
"""Bytes of a trustee's share: about 260 for each sum, in six multiplications."""
BAD_SIGNATURE_UNITS: Final = 50.0
"""A signature or a proof that does not hold: no honest program sends one, and the work was in vain."""
LEVELS_UNITS: Final = 0.04
"""For each vote of a block whose Merkle levels were not kept: two hashes, its share of a row."""
SHORT_IDS_IN_UNIT: Final = 50
"""Short ids looked up, noted as asked for, or answered with a vote."""
HEADERS_IN_UNIT: Final = 10
"""Headers checked and put into the tree."""
CHAIN_UNITS: Final = 0.25
"""For each vote of the chain that is put into the reference client's form."""
EXPENSIVE_UNITS: Final[dict[type, float]] = {
    GetProof: 4.0,  # a row of votes, its hashes
    GetBlockList: 8.0,  # headers in hexadecimal, commits taken apart
    AmendmentMessage: VOTE_UNITS,
    SubmitAmendment: VOTE_UNITS,
    CertificateMessage: 16.0,  # as LOG_PROOF_UNITS: an old one is compared with our log
    CosignatureMessage: VOTE_UNITS,
    GetConsensus: 4.0,  # our own statements are signed again: three a round
    RequestBlockchain: 500.0,  # the line is made once for a tip, but has up to 10 MB
}
LOG_PROOF_UNITS: Final = 16.0
"""A path or the growth of a log of a million records: some six tiles, up to 255 hashes in each."""
EVIDENCE_UNITS: Final = 4.0
"""Two signatures, and a proof in the log or the path of an acceptance."""
BLOCK_UNITS: Final = 4.0
"""One block looked for."""

POSITIONS_IN_UNIT: Final = 500
"""Positions in a block, compared and looked up."""


def sent_units(size: int) -> float:
    """What an answer of so many bytes costs beyond what LINE_UNITS pays for."""
    return max(size - BYTES_SENT_IN_UNIT, 0) / BYTES_SENT_IN_UNIT


class Rates(NamedTuple):
    """What one link may cost, on average and at once. Over it the link is not read for a while."""

    units_per_second: float
    units_at_once: float
    bytes_per_second: float
    bytes_at_once: float


CLIENT_RATES: Final = Rates(10_000.0, 50_000.0, 8 * 2**20, 32 * 2**20)
"""Of a link, and of all strangers of one address together, however many links they open."""
PEER_RATES: Final = Rates(20_000.0, 200_000.0, 64 * 2**20, 256 * 2**20)
"""Above what a peer sends and asks while one of the two catches up: 64 MiB are 150,000 votes."""
MAX_DEBT_SECONDS: Final = 5.0
"""An address further in debt is refused (rate-limited) instead of read later."""
CONNECTIONS_PER_SECOND: Final = 50.0
CONNECTIONS_AT_ONCE: Final = 1500.0
"""New connections of one address."""


def _commit_units(commit: Commit | None) -> float:
    return 0.0 if commit is None else VOTE_UNITS * len(commit.signatures)


def ballot_units(ballot: str) -> float:
    """What the check of the encrypted ballot of a vote costs; nothing of the empty one of a public vote."""
    # A ballot that is written in another way is refused before its proofs are computed.
    if not ballot:
        return 0.0
    return max(len(ballot) / BALLOT_BYTES_IN_UNIT, PROOF_UNITS * ballot.count('"challenge":'))


def _record_units(records: Sequence[BlockRecord]) -> float:
    """Of records of a block that are no votes: a signature each, and the ballots of votes not counted."""
    late = [one.vote.ballot for one in records if isinstance(one, NotCounted)]
    return VOTE_UNITS * len(records) + sum(map(ballot_units, late))


def units(message: Message) -> float:
    """What a request costs the address that it comes from."""
    if isinstance(message, CompactBlock):
        looked_up = len(message.ids) / SHORT_ID / SHORT_IDS_IN_UNIT
        return LINE_UNITS + looked_up + _commit_units(message.commit) + _record_units(message.records)
    if isinstance(message, CertificateMessage):
        return LINE_UNITS + VOTE_UNITS * message.note.count("\n")
    if isinstance(message, Proposal):
        listed = 0 if message.closing is None else len(message.closing.ids) * 3 / 4 / 32
        looked_up = len(message.ids) / SHORT_ID / SHORT_IDS_IN_UNIT
        hashed = listed * len(message.records) / HASHES_IN_UNIT
        return LINE_UNITS + VOTE_UNITS * 2 + _record_units(message.records) + looked_up + hashed
    if isinstance(message, HaveVotes | GetVotes | AcceptedMessage):
        return LINE_UNITS + len(message.ids) / SHORT_ID / SHORT_IDS_IN_UNIT
    if isinstance(message, HandedOnVotes):
        signed = sum(1 + len(one.acceptances) for one in message.votes)
        return LINE_UNITS + VOTE_UNITS * signed + sum(ballot_units(one.vote.ballot) for one in message.votes)
    if isinstance(message, ClosingListMessage):
        return LINE_UNITS + len(message.ids) / 32 / HASHES_IN_UNIT
    if isinstance(message, Headers):
        return LINE_UNITS + len(message.headers) / HEADERS_IN_UNIT + _commit_units(message.commit)
    if isinstance(message, SubmitVotes | Votes):
        ballots = [vote.ballot for vote in message.votes]
        return LINE_UNITS + VOTE_UNITS * len(ballots) + sum(map(ballot_units, ballots))
    if isinstance(message, SubmitShare):
        return LINE_UNITS + len(message.share) / SHARE_BYTES_IN_UNIT
    if isinstance(message, SharesMessage):
        return LINE_UNITS + sum(map(len, message.shares)) / SHARE_BYTES_IN_UNIT
    if isinstance(message, ConsensusVotes | QuorumMessage):
        return LINE_UNITS + VOTE_UNITS * len(message.votes)
    if isinstance(message, ConsensusState):
        signed = len(message.votes) + len(message.proposals) + sum(map(len, message.quorums))
        return LINE_UNITS + VOTE_UNITS * signed
    if isinstance(message, EvidenceMessage):
        size = sum(len(bytes(lie.proof)) for lie in message.lies)
        return LINE_UNITS + EVIDENCE_UNITS * len(message.lies) + size / BYTES_READ_IN_UNIT
    if isinstance(message, GetBlockVotes):
        return LINE_UNITS + BLOCK_UNITS + len(message.positions) / POSITIONS_IN_UNIT
    if isinstance(message, GetBlocks):
        return LINE_UNITS + BLOCK_UNITS * len(message.hashes)
    return LINE_UNITS + EXPENSIVE_UNITS.get(type(message), 0.0)
