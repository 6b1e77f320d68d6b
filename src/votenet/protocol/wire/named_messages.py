"""What named nodes say: consensus, acceptances, the end of the election, certificates, evidence."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from votenet.core.encoding import Hex32, Hex64, Unsigned
from votenet.core.ledger.extras import ClosingIds, ClosingList, Miner
from votenet.core.ledger.mempool import SHORT_ID
from votenet.core.ledger.statement import BlockOrNil
from votenet.core.ledger.vote import Vote
from votenet.core.limits import MAX_CLOSING_IDS, MAX_NAMED_NODES, MAX_SAFE_INTEGER
from votenet.core.records.acceptance import Acceptance
from votenet.protocol.wire.fields import Code, RequestId
from votenet.protocol.wire.message import NamedMessage, PeerMessage
from votenet.protocol.wire.peer_messages import MAX_IDS_IN_LINE, OtherRecords, PackedHeader, ShortIds

MAX_HANDED_ON: Final = 100
"""Votes with their acceptances in one line: with 64 nodes about 8 MB."""
MAX_STATEMENTS: Final = 4096
"""Statements of one height in one line: 64 nodes in 32 rounds."""
MAX_NOTE: Final = 32 * 1024
"""Characters of a certificate: 65 lines of 400."""
MAX_LIES: Final = 448
"""Evidence in one line: of seven kinds against each of 64 named nodes."""


class ConsensusVote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prevote or a precommit: `PrevoteStatement` or `PrecommitStatement` with its signature."""

    kind: Literal["prevote", "precommit"]
    height: Unsigned
    round: Unsigned
    node: Unsigned
    signature: Hex64
    block: BlockOrNil = ""


class ConsensusVotes(NamedMessage, frozen=True, tag="consensus_votes"):
    votes: Annotated[tuple[ConsensusVote, ...], msgspec.Meta(min_length=1, max_length=MAX_STATEMENTS)]


ConsensusQuorum = Annotated[tuple[ConsensusVote, ...], msgspec.Meta(min_length=1, max_length=MAX_NAMED_NODES)]
"""Prevotes or precommits of a quorum, for one block in one round."""


class QuorumMessage(NamedMessage, frozen=True, tag="consensus_quorum"):
    """A quorum in one piece: a liar may have told its vote to some nodes alone."""

    votes: ConsensusQuorum


class ProposalSeen(msgspec.Struct, frozen=True):
    """A `ProposalStatement` with its signature."""

    height: Unsigned
    round: Unsigned
    valid_round: Annotated[int, msgspec.Meta(ge=-1, le=MAX_SAFE_INTEGER)]
    node: Unsigned
    signature: Hex64
    block: Hex32


class Proposal(NamedMessage, frozen=True, tag="proposal"):
    """A proposed block as in `compact_block`, with the signed statement that proposes it."""

    proposal: ProposalSeen
    header: PackedHeader
    ids: ShortIds
    miner: Miner
    records: OtherRecords = ()
    closing: ClosingIds | None = None


class ConsensusState(NamedMessage, frozen=True, tag="consensus_state"):
    """The statements of a height that the sender holds; a later one than was asked for if that is decided."""

    height: Unsigned
    votes: Annotated[tuple[ConsensusVote, ...], msgspec.Meta(max_length=MAX_STATEMENTS)] = ()
    proposals: Annotated[tuple[ProposalSeen, ...], msgspec.Meta(max_length=MAX_STATEMENTS)] = ()
    quorums: Annotated[tuple[ConsensusQuorum, ...], msgspec.Meta(max_length=MAX_NAMED_NODES)] = ()
    id: RequestId = None


class GetConsensus(NamedMessage, frozen=True, tag="get_consensus"):
    """Asks a named node for the statements of this height, the one after the asker's tip."""

    replies = (ConsensusState,)
    height: Unsigned
    id: RequestId = None


class AcceptedMessage(NamedMessage, frozen=True, tag="accepted"):
    """A named node's `AcceptanceStatement` for votes that it saved together, in the order of `ids`.

    `ids`: their short ids with the reader's seed.
    """

    node: Unsigned
    time: Unsigned
    root: Hex32
    signature: Hex64
    ids: Annotated[bytes, msgspec.Meta(max_length=SHORT_ID * MAX_IDS_IN_LINE)]


class HourPassed(NamedMessage, frozen=True, tag="hour_passed"):
    """A named node's `HourPassedStatement`."""

    closes: Unsigned
    node: Unsigned
    signature: Hex64


class HandedOn(msgspec.Struct, frozen=True):
    """A vote, and acceptances of more named nodes than may lie, dated before closing."""

    vote: Vote
    acceptances: Annotated[tuple[Acceptance, ...], msgspec.Meta(max_length=MAX_NAMED_NODES)]


class HandedOnVotes(NamedMessage, frozen=True, tag="handed_on"):
    """Votes that their sender holds in time, for a named node that turns voters away already."""

    votes: Annotated[tuple[HandedOn, ...], msgspec.Meta(min_length=1, max_length=MAX_HANDED_ON)]


class ClosingListMessage(NamedMessage, frozen=True, tag="closing_list"):
    """A named node's closing list, and the ids of the votes in it, ascending, 32 bytes each."""

    list: ClosingList
    ids: Annotated[bytes, msgspec.Meta(max_length=32 * MAX_CLOSING_IDS)]


class CosignatureMessage(NamedMessage, frozen=True, tag="cosignature"):
    """A named node's cosignature (72 bytes) of the election's log of `size` records with `root`."""

    cosignature: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{144}\Z")]
    node: Unsigned
    root: Hex32
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_SAFE_INTEGER)]


class CertificateMessage(PeerMessage, frozen=True, tag="certificate"):
    """The certificate of the log behind the block at `height`, for peers that are no named nodes."""

    height: Unsigned
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)]


class Lie(msgspec.Struct, frozen=True):
    """Evidence against a named node, without the definition: `core/records/evidence.py`."""

    kind: Code
    node: Unsigned
    proof: msgspec.Raw


Lies = Annotated[tuple[Lie, ...], msgspec.Meta(max_length=MAX_LIES)]


class EvidenceMessage(PeerMessage, frozen=True, tag="evidence"):
    lies: Lies
