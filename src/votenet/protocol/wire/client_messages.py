"""Questions of clients to a node, and its answers."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from votenet.core.election.amendment import Amendment
from votenet.core.election.contest import ContestReport
from votenet.core.encoding import Hex32, Unsigned, VoterId
from votenet.core.ledger.statement import Commit
from votenet.core.ledger.vote import Vote
from votenet.core.limits import MAX_AMENDMENTS, MAX_CONTESTS, MAX_NAMED_NODES, MAX_TRUSTEE_KEYS
from votenet.core.log.tlog_proof import MAX_PROOF_HASHES
from votenet.core.records.acceptance import Acceptance
from votenet.protocol.wire.fields import (
    Code,
    HexHeader,
    HexWork,
    Label,
    Line,
    Name,
    OptionalAddress,
    RequestId,
)
from votenet.protocol.wire.message import Message, OpenMessage
from votenet.protocol.wire.named_messages import MAX_NOTE, Lie
from votenet.protocol.wire.peer_messages import (
    MAX_HEADERS,
    MAX_HELD_AMENDMENTS,
    MAX_VOTES_IN_LINE,
    Share,
    Shares,
)

MAX_PROOF_TEXT: Final = MAX_NOTE + 8 * 1024
"""Characters of a tlog-proof: its certificate, and a hash in base64 for each level of the log."""
MAX_AMENDMENTS_IN_LINE: Final = 1000
MAX_LISTED_BLOCKS: Final = 50
"""Blocks of the best branch in one `block_list`."""
MAX_BLOCKS_ASIDE: Final = 200
"""Blocks beside the best branch in one `block_list`."""
MAX_SWITCHES: Final = 16
"""Reorganisations that a node remembers, the latest of those since its start."""


class ElectionInfo(Message, frozen=True, tag="election"):
    definition: msgspec.Raw
    network_id: Hex32
    id: RequestId = None


class GetElection(OpenMessage, frozen=True, tag="get_election"):
    replies = (ElectionInfo,)
    id: RequestId = None


class VoteOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one submitted vote. `error` is None when it was accepted and is on disk.

    `acceptances`: of the named nodes that have signed so far that they hold it, if they were asked for.
    """

    vote_id: Hex32
    error: dict[str, object] | None = None
    acceptances: tuple[Acceptance, ...] = ()


class VotesTaken(Message, frozen=True, tag="votes_taken"):
    """Answers `submit_votes`, one outcome per vote in the order of the request."""

    outcomes: tuple[VoteOutcome, ...]
    id: RequestId = None


class SubmitVotes(OpenMessage, frozen=True, tag="submit_votes"):
    """With `acceptances` a named node answers when others have signed for the votes, or after half a second.

    A vote that waits already is signed for again.
    """

    replies = (VotesTaken,)
    votes: Annotated[tuple[Vote, ...], msgspec.Meta(min_length=1, max_length=MAX_VOTES_IN_LINE)]
    acceptances: bool = False
    id: RequestId = None


class VoteStatus(Message, frozen=True, tag="vote_status"):
    """`state`: unknown, accepted (waiting, on disk), in_block or final (then the block's fields are set).

    Final: named nodes have signed the log with this block, and `get_proof` answers with their certificate.
    """

    voter_id: Name
    state: Code
    vote_id: Hex32 | None = None
    time: int | None = None
    block: Hex32 | None = None
    height: int | None = None
    position: int | None = None
    block_time: int | None = None
    confirmations: int = 0
    id: RequestId = None


class GetVoteStatus(OpenMessage, frozen=True, tag="get_vote_status"):
    replies = (VoteStatus,)
    voter_id: VoterId
    id: RequestId = None


class Proof(Message, frozen=True, tag="proof"):
    """The vote, and the audit path from it to the Merkle root of a header.

    No vote: none is known of this voter. The vote with height 0 and no path: it waits for its block.

    `headers` are those from genesis' successor up to that block, as many as fit; the rest is asked
    for with `get_headers`. With named nodes there is instead of header, path and headers `proof`, a C2SP
    tlog-proof whose checkpoint is a certificate; empty while none covers the block.
    """

    vote: Vote | None = None
    proof: Annotated[str, msgspec.Meta(max_length=MAX_PROOF_TEXT)] = ""
    header: HexHeader = ""
    height: int = 0
    position: int = 0
    size: int = 0
    path: tuple[Hex32, ...] = ()
    headers: Annotated[tuple[HexHeader, ...], msgspec.Meta(max_length=MAX_HEADERS)] = ()
    id: RequestId = None


class GetProof(OpenMessage, frozen=True, tag="get_proof"):
    """Asks for what proves that the vote of a voter is on the chain."""

    replies = (Proof,)
    voter_id: VoterId
    id: RequestId = None


class CheckpointMessage(Message, frozen=True, tag="checkpoint"):
    """The newest certificate, of the log behind the block at `height`; an empty note: there is none.

    `proof`: hashes that lead from the log of the size asked for to this one
    (`core/log/merkle.py`, roots_from_consistency); none where the certificate is not larger.
    """

    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] = ""
    height: int = 0
    proof: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=MAX_PROOF_HASHES + 1)] = ()
    id: RequestId = None


class GetCheckpoint(OpenMessage, frozen=True, tag="get_checkpoint"):
    """Asks for the newest certificate. `size`: of the largest log that the asker has seen, 0 for none."""

    replies = (CheckpointMessage,)
    size: Unsigned = 0
    id: RequestId = None


class AmendmentTaken(Message, frozen=True, tag="amendment_taken"):
    """The amendment with this number is on this node's disk, or in a block."""

    number: int
    id: RequestId = None


class SubmitAmendment(OpenMessage, frozen=True, tag="submit_amendment"):
    """Hands in an amendment that the election's authority has signed. Refused: bad-amendment."""

    replies = (AmendmentTaken,)
    amendment: Amendment
    id: RequestId = None


class AmendmentList(Message, frozen=True, tag="amendments"):
    """Amendments in blocks up to `height`, in the order of their numbers, from the one asked for on.

    `count`: how many are in blocks; `waiting`: the numbers of those that this node holds for a block; `next`:
    the number that the next one must have here.
    """

    amendments: Annotated[tuple[Amendment, ...], msgspec.Meta(max_length=MAX_AMENDMENTS_IN_LINE)]
    count: int
    height: int
    next: int
    waiting: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_HELD_AMENDMENTS)] = ()
    id: RequestId = None


class GetAmendments(OpenMessage, frozen=True, tag="get_amendments"):
    """Asks for amendments from number `first` on."""

    replies = (AmendmentList,)
    first: Annotated[int, msgspec.Meta(ge=1, le=MAX_AMENDMENTS + 1)] = 1
    id: RequestId = None


class ListedBlock(msgspec.Struct, frozen=True, omit_defaults=True):
    """A block in a list. `commit`: of named nodes, absent where they have decided it only with a later block.

    `own`: the node that answers has found it, since its start.
    """

    header: HexHeader
    commit: Commit | None = None
    own: bool = False


class Switch(msgspec.Struct, frozen=True):
    """A reorganisation: behind the block at height `fork` a branch has replaced another, at Unix time `time`.

    `removed` and `added` count the blocks, `old` and `new` are the tips, `votes` wait again.
    """

    time: float
    fork: int
    removed: int
    added: int
    old: Hex32
    new: Hex32
    votes: int


class BlockList(Message, frozen=True, tag="block_list"):
    """Blocks of the best branch from height `first` on, whose tip is at `height`.

    `aside`: blocks of other branches that leave the best one there, parents before children; with named nodes
    there is none. `switches`: the latest, in order of time. `time`: the clock of the node, Unix seconds.
    """

    first: int
    height: int
    blocks: Annotated[tuple[ListedBlock, ...], msgspec.Meta(max_length=MAX_LISTED_BLOCKS)]
    time: float
    aside: Annotated[tuple[ListedBlock, ...], msgspec.Meta(max_length=MAX_BLOCKS_ASIDE)] = ()
    switches: Annotated[tuple[Switch, ...], msgspec.Meta(max_length=MAX_SWITCHES)] = ()
    id: RequestId = None


class GetBlockList(OpenMessage, frozen=True, tag="get_block_list"):
    """Asks for blocks from height `first` on; without it for the last `count`.

    The answer may have fewer: it is cut where the commits in it are long.
    """

    replies = (BlockList,)
    first: Unsigned | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED_BLOCKS)] = MAX_LISTED_BLOCKS
    id: RequestId = None


class ShareTaken(Message, frozen=True, tag="share_taken"):
    """This node has a share of the trustee at this place, checked and on its disk."""

    place: int
    id: RequestId = None


class SubmitShare(OpenMessage, frozen=True, tag="submit_share"):
    """Hands in a trustee's share of the decryption. Refused: not-final, bad-decryption, bad-document."""

    replies = (ShareTaken,)
    share: Share
    id: RequestId = None


class ShareList(Message, frozen=True, tag="share_list"):
    """The shares that a node has, by the places of their trustees; `threshold` of them open the counts.

    `final`: whether the result is final there, and so whether shares are taken.
    """

    shares: Shares
    threshold: int
    final: bool
    id: RequestId = None


class GetShares(OpenMessage, frozen=True, tag="get_shares"):
    """Asks for the trustees' shares of an election with secret ballots."""

    replies = (ShareList,)
    id: RequestId = None


class Results(Message, frozen=True, tag="results"):
    """The count of the best branch, contest by contest; `votes` are the votes on it.

    `contests` is empty before the closing of an election that shows its counts only then.

    `registered`: how many voters are on the roll, where there is one. `closes` and the roll are those in
    force behind the tip, with so many `amendments` on the chain; `cancelled`: nothing is counted.
    With named nodes: `final_height` is the height of the newest certificate, whose signers are `signed_by`;
    `over` once the closing block, and all votes that it counts, are in blocks.
    Where ballots are secret, `contests` is empty until enough trustees have decrypted; `decrypted_by`: their
    places.
    """

    title: Name
    contests: Annotated[tuple[ContestReport, ...], msgspec.Meta(max_length=MAX_CONTESTS)]
    votes: int
    waiting: int
    height: int
    tip: Hex32
    network_id: Hex32
    opens: int | None = None
    closes: int | None = None
    registered: int | None = None
    final_height: int | None = None
    signed_by: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_NAMED_NODES)] = ()
    over: bool = False
    amendments: int = 0
    cancelled: bool = False
    decrypted_by: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_TRUSTEE_KEYS)] = ()
    id: RequestId = None

    @property
    def final(self) -> bool:
        """Whether this is the final result: nothing more can be counted, and named nodes have signed it."""
        return self.ended and not self.cancelled

    @property
    def ended(self) -> bool:
        """Whether named nodes have signed the end: the final result, or that the election is cancelled."""
        return (self.over or self.cancelled) and self.final_height == self.height


class GetResults(OpenMessage, frozen=True, tag="get_results"):
    replies = (Results,)
    id: RequestId = None


class NodeWarning(msgspec.Struct, frozen=True):
    """A problem of a node: `code` for programs (`WARNINGS`), `message` a sentence for people."""

    code: Code
    message: Line


CUT_OFF: Final = "cut-off"
CANNOT_SAVE: Final = "cannot-save"
KEY_TWICE: Final = "key-twice"
NO_QUORUM: Final = "no-quorum"
OTHER_KEY: Final = "other-key"
RESTORED: Final = "restored"
NOT_SYNCED: Final = frozenset({CUT_OFF, KEY_TWICE})
"""With one of these a node is not synced, whatever it has."""
COUNTS_AS_DOWN: Final = frozenset({CUT_OFF, CANNOT_SAVE, KEY_TWICE, RESTORED})
"""With one of these a named node decides nothing, though it answers."""
WARNINGS: Final[dict[str, str]] = {
    # Codes of NodeWarning, and what each says.
    CUT_OFF: "the network has other nodes, and this one is joined to none",
    CANNOT_SAVE: "this node's disk or database refuses, and so it refuses votes",
    "clock-off": "this node's clock differs from those of its peers",
    "peer-clock-off": "the clock of one peer differs from this node's",
    KEY_TWICE: "another process has proved to have the key of this node",
    NO_QUORUM: "this named node reaches fewer than a quorum of named nodes: nothing becomes final",
    OTHER_KEY: "another node answers at the address where a named node was",
    RESTORED: "this named node came back from a backup, and says nothing in the consensus yet",
    "key-claimed": "a peer says that another process has the key of this node",
    "bootstrap-failed": "a bootstrap server does not answer, or refused to register this node",
    "not-reached": "peers cannot dial the address that this node names",
    "unproven-address": "a peer does not know the address at which this node dials it as its own",
}


class EvidenceList(Message, frozen=True, tag="evidence_list"):
    """All evidence that a node has: one for each named node and kind."""

    lies: tuple[Lie, ...]
    id: RequestId = None


class GetEvidence(OpenMessage, frozen=True, tag="get_evidence"):
    replies = (EvidenceList,)
    id: RequestId = None


class FinalityStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is decided in an election with named nodes, as one node knows it. Nodes are written as indexes.

    `named` nodes are named, `quorum` must agree. `index` is of this node, None at a relay. `reachable`
    are the named nodes that it is joined to, and itself. `decided` is the height of the last decided block,
    `round` the consensus round of the block after it (None at a relay). `certificate` is the height of the
    newest certificate, 0 for none, and `signers` have cosigned it. `leaves_lists`: this node was restored,
    takes part again, and signs a closing list only where too few others do; absent for false.
    """

    named: Unsigned
    quorum: Unsigned
    index: Unsigned | None
    reachable: tuple[Unsigned, ...]
    decided: Unsigned
    round: Unsigned | None
    certificate: Unsigned
    signers: tuple[Unsigned, ...]
    leaves_lists: bool = False


class NodeStatus(Message, frozen=True, tag="node_status"):
    """`peer_bytes_…`: all that went over links to peers since the start. `uptime` in seconds.

    `synced` is false while the node is behind a peer, or cut off. `warnings`: what its operator should know.
    `lies`: what named nodes are proven to have done, a sentence each. `closes` is in force, with so many
    `amendments` on the chain.
    `finality` is null where the election names no nodes: nothing is ever final there.
    `clock`: the time there, Unix seconds; `disk_free`: bytes that are free where it keeps its data. None: it
    does not tell, as nodes before version 0.2.
    """

    name: Label
    version: Label
    node_key: Hex32
    network_id: Hex32
    listen: OptionalAddress
    height: Unsigned
    tip: Hex32
    work: HexWork
    bits: int
    votes: Unsigned
    waiting: Unsigned
    peers: Unsigned
    known_peers: Unsigned
    synced: bool
    mining: bool
    kernel: Label
    uptime: int
    peer_bytes_sent: Unsigned = 0
    peer_bytes_received: Unsigned = 0
    opens: int | None = None
    closes: int | None = None
    warnings: tuple[NodeWarning, ...] = ()
    lies: tuple[Line, ...] = ()
    finality: FinalityStatus | None = None
    amendments: Unsigned = 0
    cancelled: bool = False
    clock: Unsigned | None = None
    disk_free: Unsigned | None = None
    id: RequestId = None

    @property
    def cut_off(self) -> str:
        """Why this node is joined to no other though the network has others; empty if it is, or has none."""
        return next((warning.message for warning in self.warnings if warning.code == CUT_OFF), "")


class GetStatus(OpenMessage, frozen=True, tag="get_status"):
    replies = (NodeStatus,)
    id: RequestId = None
