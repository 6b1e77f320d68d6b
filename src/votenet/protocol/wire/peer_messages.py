"""Messages between peers, and of the reference client: handshake, votes, blocks, addresses."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from votenet.core.election.amendment import Amendment
from votenet.core.encoding import Hex32, Hex64, Unsigned
from votenet.core.ledger.extras import BlockRecord, ClosingIds, Miner
from votenet.core.ledger.mempool import SHORT_ID
from votenet.core.ledger.statement import Commit
from votenet.core.ledger.vote import Vote
from votenet.core.limits import (
    HEADER_BYTES,
    MAX_BLOCK_VOTES,
    MAX_OTHER_RECORDS,
    MAX_RECORD_BYTES,
    MAX_TRUSTEE_KEYS,
)
from votenet.protocol.wire.fields import (
    ANNOUNCED,
    SHORT_KEY,
    AddressText,
    Data,
    HexHeader,
    HexSeed,
    HexWork,
    OptionalAddress,
    RequestId,
)
from votenet.protocol.wire.message import LinkRole, Message, OpenMessage, PeerMessage, StrangerMessage

PROTOCOL_VERSION: Final = 2
"""Of the handshake; 1 signed no address."""
MAX_HEADERS: Final = 2000
"""Headers in one answer: 320 KB of text, as many as Bitcoin sends."""
MAX_BLOCKS_ASKED: Final = 16
"""Blocks asked for in one message: at most 16 lines of bounded length follow."""
MAX_VOTES_IN_LINE: Final = 1000
"""Votes in one submission or relay: about 450 KB, checked in about 60 ms of one core."""
MAX_IDS_IN_LINE: Final = MAX_BLOCK_VOTES
"""Announced votes in one line, votes of a compact block."""
Share = Annotated[str, msgspec.Meta(max_length=MAX_RECORD_BYTES)]
"""A trustee's share (`secret/decryption_share.py`) as text: it is shorter than a ballot."""
Shares = Annotated[tuple[Share, ...], msgspec.Meta(max_length=MAX_TRUSTEE_KEYS)]
MAX_NEIGHBOURS: Final = 1000
MAX_PEERS_IN_LINE: Final = 1000
MAX_DIALLED: Final = 2
"""Spellings of the address that was dialled: as a name, and as the IP address that it led to."""
MAX_BOOTSTRAPS_IN_LINE: Final = 8


# -- the reference client's messages (read-only) -------------------------------------------------


class BlockchainUpdate(StrangerMessage, frozen=True, tag="blockchain_update"):
    data: Data = None


class RequestBlockchain(OpenMessage, frozen=True, tag="request_blockchain"):
    replies = (BlockchainUpdate,)
    data: Data = None


class NewPeerJoined(StrangerMessage, frozen=True, tag="new_peer_joined"):
    data: Data = None


class ShutdownPeer(StrangerMessage, frozen=True, tag="shutdown_peer"):
    data: Data = None


# -- handshake ----------------------------------------------------------------------------------


class HelloProof(Message, frozen=True, tag="hello_proof"):
    """Third and last line of the handshake, by the side that dialled."""

    senders = frozenset({LinkRole.GREETING})
    proof: Hex64


class Hello(Message, frozen=True, tag="hello"):
    """First line in both directions. `proof` (answering side only) signs both hellos.

    `listen` is where this node accepts connections, empty if it does not; `work` is cumulative;
    `mines` is false for a node that only keeps the chain. `seed` is what its short ids are made with.
    `dialled` (dialling side only): the address that was dialled, as it is written and as an IP address.
    `own_address` (answering side only): the answering node knows one of these as its own. `time`: the
    clock of the node, Unix seconds.
    """

    senders = frozenset({LinkRole.STRANGER, LinkRole.GREETING})
    challenge: Hex32
    height: Unsigned
    network_id: Hex32
    node_key: Hex32
    seed: HexSeed
    version: Unsigned
    work: HexWork
    dialled: Annotated[tuple[AddressText, ...], msgspec.Meta(max_length=MAX_DIALLED)] = ()
    listen: OptionalAddress = ""
    mines: bool = True
    own_address: bool = False
    proof: Hex64 | None = None
    time: Unsigned = 0


Hello.replies = (Hello, HelloProof)

# -- votes between peers -------------------------------------------------------------------------


class Votes(PeerMessage, frozen=True, tag="votes"):
    """Votes in full: new ones from the node that accepted them, or, with its `id`, an answer to `get_votes`.

    `asker`: the sender's index among the named nodes, if it wants the signatures of those that hold these
    votes. Id and asker make a line unlike every one before it: the filter of duplicate lines lets it pass.
    """

    votes: Annotated[tuple[Vote, ...], msgspec.Meta(max_length=MAX_VOTES_IN_LINE)]
    id: RequestId = None
    asker: Unsigned | None = None


class AmendmentMessage(PeerMessage, frozen=True, tag="amendment"):
    """An amendment that waits for a block."""

    amendment: Amendment


class SharesMessage(PeerMessage, frozen=True, tag="shares"):
    """Trustees' shares that the sender has checked. With `asks` it wants those that the reader has."""

    shares: Shares
    asks: bool = False


class GetVotes(PeerMessage, frozen=True, tag="get_votes"):
    """Asks for announced votes. `ids`: short ids with the seed of the node that is asked."""

    replies = (Votes,)
    ids: Annotated[bytes, msgspec.Meta(max_length=SHORT_ID * MAX_VOTES_IN_LINE)]
    id: RequestId = None


class HaveVotes(PeerMessage, frozen=True, tag="have_votes"):
    """Announces votes; a peer that lacks some asks with `get_votes`.

    `ids` (base64) holds ANNOUNCED bytes for each vote: its short id with the reader's seed, by which the
    reader knows whether it is there, then with the sender's seed, by which the sender finds it again.
    """

    ids: Annotated[bytes, msgspec.Meta(max_length=ANNOUNCED * MAX_IDS_IN_LINE)]


# -- blocks --------------------------------------------------------------------------------------


PackedHeader = Annotated[bytes, msgspec.Meta(min_length=HEADER_BYTES, max_length=HEADER_BYTES)]
ShortIds = Annotated[bytes, msgspec.Meta(max_length=SHORT_ID * MAX_IDS_IN_LINE)]
MAX_HELD_AMENDMENTS: Final = 256
"""Amendments that wait for a block at one node: those with the next numbers."""
OtherRecords = Annotated[tuple[BlockRecord, ...], msgspec.Meta(max_length=MAX_OTHER_RECORDS)]


class CompactBlock(PeerMessage, frozen=True, tag="compact_block"):
    """A new block: header and the short ids of its votes, with the reader's seed, in block order.

    With named nodes: the commit that decided it, and the extras (`core/ledger/extras.py`).
    """

    header: PackedHeader
    ids: ShortIds
    commit: Commit | None = None
    miner: Miner | None = None
    records: OtherRecords = ()
    closing: ClosingIds | None = None


class BlockMessage(PeerMessage, frozen=True, tag="block"):
    """A block in full, votes in block order. The last three: `core/ledger/block.py`, extras."""

    header: HexHeader
    votes: tuple[Vote, ...]
    miner: Miner | None = None
    records: OtherRecords = ()
    closing: ClosingIds | None = None


class NoBlock(PeerMessage, frozen=True, tag="no_block"):
    """The answer to `get_blocks` for a hash that is not here."""

    hash: Hex32


class GetBlocks(PeerMessage, frozen=True, tag="get_blocks"):
    replies = (BlockMessage, NoBlock)
    hashes: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=MAX_BLOCKS_ASKED)]


class BlockVotes(PeerMessage, frozen=True, tag="block_votes"):
    """The votes at these positions, in their order. Instead, the whole block may be sent."""

    hash: Hex32
    votes: tuple[Vote, ...]


class GetBlockVotes(PeerMessage, frozen=True, tag="get_block_votes"):
    """Asks for missing votes of a compact block: positions in the block, ascending, from 0."""

    replies = (BlockVotes, BlockMessage, NoBlock)
    hash: Hex32
    positions: Annotated[tuple[Unsigned, ...], msgspec.Meta(min_length=1, max_length=MAX_IDS_IN_LINE)]


class Headers(PeerMessage, frozen=True, tag="headers"):
    """With named nodes: `commit` is that of the last header, and so decides all before it."""

    headers: Annotated[tuple[HexHeader, ...], msgspec.Meta(max_length=MAX_HEADERS)]
    commit: Commit | None = None
    id: RequestId = None


class GetHeaders(OpenMessage, frozen=True, tag="get_headers"):
    """Asks for what follows the first locator hash that the other side has on its best branch."""

    replies = (Headers,)
    locator: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=100)]
    id: RequestId = None


# -- peers ---------------------------------------------------------------------------------------


class Neighbours(PeerMessage, frozen=True, tag="neighbours"):
    """The peers of the sender: the first SHORT_KEY bytes of each node key. Sent when that changes."""

    keys: Annotated[bytes, msgspec.Meta(max_length=SHORT_KEY * MAX_NEIGHBOURS)]


class Peers(PeerMessage, frozen=True, tag="peers"):
    """Where this node listens, then addresses at which it has met peers of its own (peer exchange).

    `bootstraps` are bootstrap servers that answer it.
    """

    addresses: Annotated[tuple[AddressText, ...], msgspec.Meta(max_length=MAX_PEERS_IN_LINE)]
    bootstraps: Annotated[tuple[AddressText, ...], msgspec.Meta(max_length=MAX_BOOTSTRAPS_IN_LINE)] = ()
    id: RequestId = None


class GetPeers(OpenMessage, frozen=True, tag="get_peers"):
    replies = (Peers,)
    id: RequestId = None


class NotReached(PeerMessage, frozen=True, tag="not_reached"):
    """Tells a peer that no node with its key answers at the address in its hello.

    `seen`: the IP address that its link comes from.
    """

    address: AddressText
    seen: OptionalAddress = ""


class Pong(PeerMessage, frozen=True, tag="pong"):
    id: RequestId = None


class Ping(OpenMessage, frozen=True, tag="ping"):
    replies = (Pong,)
    id: RequestId = None
