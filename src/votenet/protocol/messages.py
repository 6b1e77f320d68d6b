"""Every message of the node port: its fields, who may send it, which answer may follow.

What lives here: frozen records, the two tables (`SENDERS`, `REPLIES`), encoding and decoding of
one line. What must not: what a message makes a node do (`protocol/node.py`).

A line is a JSON object with a `type`. The chapter's four messages carry `data` in base64, or null
as Go writes an empty slice, and need no hello. Requests of clients carry an optional `id` that the
answer repeats.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final

import msgspec

from votenet.core.encoding import Hex32, Hex64, Unsigned
from votenet.core.limits import HEADER_BYTES, MAX_BLOCK_VOTES, MAX_CANDIDATES, MAX_NAME
from votenet.core.mempool import SHORT_ID
from votenet.core.outcome import Outcome
from votenet.core.text import NEVER
from votenet.core.vote import Vote, VoterId
from votenet.errors import RemoteProtocolError
from votenet.protocol.lines import with_id

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
ANNOUNCED: Final = 2 * SHORT_ID
"""Bytes of one announced vote."""
_ANNOUNCED: Final = struct.Struct(f"{SHORT_ID}s{SHORT_ID}s")
SHORT_KEY: Final = 8
"""Bytes of a node key in `neighbours`: whoever makes another key with the same ones gains nothing by it."""
MAX_NEIGHBOURS: Final = 1000
MAX_PEERS_IN_LINE: Final = 1000
MAX_DIALLED: Final = 2
"""Spellings of the address that was dialled: as a name, and as the IP address that it led to."""
MAX_BOOTSTRAPS_IN_LINE: Final = 8
MAX_TEXT: Final = 1000
"""Characters of a sentence that another program made: what is wrong, and what to do."""
MAX_LABEL: Final = 100
"""Characters of the name of a node, of its version, of its kernel."""

Data = str | None
_code = re.compile(r"[a-z0-9_-]{1,64}")
Code = Annotated[str, msgspec.Meta(pattern=rf"^{_code.pattern}\Z")]
"""Of an error, a warning, a state, a method, a kernel."""
HexHeader = Annotated[str, msgspec.Meta(min_length=2 * HEADER_BYTES, max_length=2 * HEADER_BYTES)]
HexSeed = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
HexWork = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,64}\Z")]
RequestId = Unsigned | None
_address = re.compile(r"[0-9A-Za-z_.:%\[\]-]{1,262}")
AddressText = Annotated[str, msgspec.Meta(pattern=rf"^{_address.pattern}\Z")]
"""`host:port`, or an IP address alone: characters that are safe in any log or terminal."""
OptionalAddress = Annotated[str, msgspec.Meta(pattern=rf"^({_address.pattern})?\Z")]
_one_line: Final = rf"^[^{NEVER}]*\Z"
Line = Annotated[str, msgspec.Meta(pattern=_one_line, max_length=MAX_TEXT)]
"""A text of another program: one line, nothing that steers a terminal or turns the order of letters."""
Label = Annotated[str, msgspec.Meta(pattern=_one_line, max_length=MAX_LABEL)]
Name = Annotated[str, msgspec.Meta(pattern=_one_line, max_length=MAX_NAME)]
"""Of an election or a candidate, as a node tells it."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


# -- the chapter's messages (no hello, read-only) -----------------------------------------------


class RequestBlockchain(_Message, frozen=True, tag="request_blockchain"):
    data: Data = None


class BlockchainUpdate(_Message, frozen=True, tag="blockchain_update"):
    data: Data = None


class NewPeerJoined(_Message, frozen=True, tag="new_peer_joined"):
    data: Data = None


class ShutdownPeer(_Message, frozen=True, tag="shutdown_peer"):
    data: Data = None


# -- handshake ----------------------------------------------------------------------------------


class Hello(_Message, frozen=True, tag="hello"):
    """First line in both directions. `proof` (answering side only) signs both hellos.

    `listen` is where this node accepts connections, empty if it does not; `work` is cumulative;
    `mines` is false for a node that only keeps the chain. `seed` is what its short ids are made with.
    `dialled` (dialling side only): the address that was dialled, as it is written and as an IP address.
    `own_address` (answering side only): the answering node knows one of these as its own. `time`: the
    clock of the node, Unix seconds.
    """

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


class HelloProof(_Message, frozen=True, tag="hello_proof"):
    """Third and last line of the handshake, by the side that dialled."""

    proof: Hex64


# -- between peers ------------------------------------------------------------------------------


class Votes(_Message, frozen=True, tag="votes"):
    """Votes in full: new ones from the node that accepted them, or, with its `id`, an answer to `get_votes`.

    The id also makes an answer unlike every line before it, so that it is not dropped as seen before.
    """

    votes: Annotated[tuple[Vote, ...], msgspec.Meta(max_length=MAX_VOTES_IN_LINE)]
    id: RequestId = None


class HaveVotes(_Message, frozen=True, tag="have_votes"):
    """Announces votes; whoever lacks one asks with `get_votes`.

    `ids` (base64) holds ANNOUNCED bytes a vote: its short id with the reader's seed, by which the
    reader knows whether it is there, then with the sender's seed, by which the sender finds it again.
    """

    ids: Annotated[bytes, msgspec.Meta(max_length=ANNOUNCED * MAX_IDS_IN_LINE)]


class GetVotes(_Message, frozen=True, tag="get_votes"):
    """Asks for announced votes. `ids`: short ids with the seed of the node that is asked."""

    ids: Annotated[bytes, msgspec.Meta(max_length=SHORT_ID * MAX_VOTES_IN_LINE)]
    id: RequestId = None


class CompactBlock(_Message, frozen=True, tag="compact_block"):
    """A new block: header and the short ids of its votes, with the reader's seed, in block order."""

    header: Annotated[bytes, msgspec.Meta(min_length=HEADER_BYTES, max_length=HEADER_BYTES)]
    ids: Annotated[bytes, msgspec.Meta(max_length=SHORT_ID * MAX_IDS_IN_LINE)]


class Neighbours(_Message, frozen=True, tag="neighbours"):
    """Whom the sender is joined to: the first SHORT_KEY bytes of each node key. Sent when that changes."""

    keys: Annotated[bytes, msgspec.Meta(max_length=SHORT_KEY * MAX_NEIGHBOURS)]


class GetBlockVotes(_Message, frozen=True, tag="get_block_votes"):
    """Asks for what is missing of a compact block: positions in the block, ascending, from 0."""

    hash: Hex32
    positions: Annotated[tuple[Unsigned, ...], msgspec.Meta(min_length=1, max_length=MAX_IDS_IN_LINE)]


class BlockVotes(_Message, frozen=True, tag="block_votes"):
    """The votes at these positions, in their order. Instead, the whole block may be sent."""

    hash: Hex32
    votes: tuple[Vote, ...]


class GetHeaders(_Message, frozen=True, tag="get_headers"):
    """Asks for what follows the first locator hash that the other side has on its best branch."""

    locator: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=100)]
    id: RequestId = None


class Headers(_Message, frozen=True, tag="headers"):
    headers: Annotated[tuple[HexHeader, ...], msgspec.Meta(max_length=MAX_HEADERS)]
    id: RequestId = None


class GetBlocks(_Message, frozen=True, tag="get_blocks"):
    hashes: Annotated[tuple[Hex32, ...], msgspec.Meta(max_length=MAX_BLOCKS_ASKED)]


class BlockMessage(_Message, frozen=True, tag="block"):
    """A block in full, votes in block order."""

    header: HexHeader
    votes: tuple[Vote, ...]


class NoBlock(_Message, frozen=True, tag="no_block"):
    """The answer to `get_blocks` for a hash that is not here."""

    hash: Hex32


class Peers(_Message, frozen=True, tag="peers"):
    """Where this node listens, then addresses at which it has met peers of its own (peer exchange).

    `bootstraps` are bootstrap servers that answer it.
    """

    addresses: Annotated[tuple[AddressText, ...], msgspec.Meta(max_length=MAX_PEERS_IN_LINE)]
    bootstraps: Annotated[tuple[AddressText, ...], msgspec.Meta(max_length=MAX_BOOTSTRAPS_IN_LINE)] = ()
    id: RequestId = None


class NotReached(_Message, frozen=True, tag="not_reached"):
    """Tells a peer that nobody with its key answers at the address in its hello.

    `seen`: the IP address that its link comes from.
    """

    address: AddressText
    seen: OptionalAddress = ""


# -- anybody ------------------------------------------------------------------------------------


class Ping(_Message, frozen=True, tag="ping"):
    id: RequestId = None


class Pong(_Message, frozen=True, tag="pong"):
    id: RequestId = None


class GetPeers(_Message, frozen=True, tag="get_peers"):
    id: RequestId = None


# -- clients ------------------------------------------------------------------------------------


class GetElection(_Message, frozen=True, tag="get_election"):
    id: RequestId = None


class ElectionInfo(_Message, frozen=True, tag="election"):
    definition: msgspec.Raw
    network_id: Hex32
    id: RequestId = None


class SubmitVotes(_Message, frozen=True, tag="submit_votes"):
    votes: Annotated[tuple[Vote, ...], msgspec.Meta(min_length=1, max_length=MAX_VOTES_IN_LINE)]
    id: RequestId = None


class VoteOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one submitted vote. `error` is None when it was accepted and is on disk."""

    vote_id: Hex32
    error: dict[str, object] | None = None


class VotesTaken(_Message, frozen=True, tag="votes_taken"):
    """Answers `submit_votes`, one outcome per vote in the order of the request."""

    outcomes: tuple[VoteOutcome, ...]
    id: RequestId = None


class GetVoteStatus(_Message, frozen=True, tag="get_vote_status"):
    voter_id: VoterId
    id: RequestId = None


class VoteStatus(_Message, frozen=True, tag="vote_status"):
    """`state`: unknown, accepted (waiting, on disk) or in_block (then the block's fields are set)."""

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


class GetProof(_Message, frozen=True, tag="get_proof"):
    """Asks for what proves that the vote of a voter is on the chain."""

    voter_id: VoterId
    id: RequestId = None


class Proof(_Message, frozen=True, tag="proof"):
    """The vote, and the audit path from it to the Merkle root of a header. No vote: in no block yet.

    `headers` are those from genesis' successor up to that block, as many as fit; the rest is asked
    for with `get_headers`.
    """

    vote: Vote | None = None
    header: HexHeader = ""
    height: int = 0
    position: int = 0
    size: int = 0
    path: tuple[Hex32, ...] = ()
    headers: Annotated[tuple[HexHeader, ...], msgspec.Meta(max_length=MAX_HEADERS)] = ()
    id: RequestId = None


class GetResults(_Message, frozen=True, tag="get_results"):
    id: RequestId = None


class Results(_Message, frozen=True, tag="results"):
    """The count of the best branch. `counts` is ordered, most votes first.

    `outcome` says who won by the method; `registered` how many are on the roll, where there is one.
    """

    title: Name
    method: Code
    counts: Annotated[tuple[tuple[Name, int], ...], msgspec.Meta(max_length=MAX_CANDIDATES)]
    votes: int
    waiting: int
    height: int
    tip: Hex32
    network_id: Hex32
    outcome: Outcome | None = None
    opens: int | None = None
    closes: int | None = None
    registered: int | None = None
    id: RequestId = None


class GetStatus(_Message, frozen=True, tag="get_status"):
    id: RequestId = None


class NodeWarning(msgspec.Struct, frozen=True):
    """What is wrong at a node: `code` for programs (`WARNINGS`), `message` a sentence for people."""

    code: Code
    message: Line


CUT_OFF: Final = "cut-off"
CANNOT_SAVE: Final = "cannot-save"
KEY_TWICE: Final = "key-twice"
NOT_SYNCED: Final = frozenset({CUT_OFF, KEY_TWICE})
"""With one of these a node is not synced, whatever it has."""
WARNINGS: Final[dict[str, str]] = {
    # Codes of NodeWarning, and what each says.
    CUT_OFF: "the network has other nodes, and this one is joined to none",
    CANNOT_SAVE: "this node's disk or database refuses, and so it refuses votes",
    "clock-off": "this node's clock differs from those of its peers",
    "peer-clock-off": "the clock of one peer differs from this node's",
    KEY_TWICE: "another process has proved to have the key of this node",
    "key-claimed": "a peer says that another process has the key of this node",
    "bootstrap-failed": "a bootstrap server does not answer, or refused to register this node",
    "not-reached": "peers cannot dial the address that this node names",
    "unproven-address": "a peer does not know the address at which this node dials it as its own",
}


class NodeStatus(_Message, frozen=True, tag="node_status"):
    """`peer_bytes_…`: all that went over links to peers since the start. `uptime` in seconds.

    `synced` is false while the node is behind a peer, or cut off. `warnings`: what its operator should know.
    """

    name: Label
    version: Label
    node_key: Hex32
    network_id: Hex32
    listen: OptionalAddress
    height: int
    tip: Hex32
    work: HexWork
    bits: int
    votes: int
    waiting: int
    peers: int
    known_peers: int
    synced: bool
    mining: bool
    kernel: Label
    uptime: int
    peer_bytes_sent: int = 0
    peer_bytes_received: int = 0
    opens: int | None = None
    closes: int | None = None
    warnings: tuple[NodeWarning, ...] = ()
    id: RequestId = None

    @property
    def cut_off(self) -> str:
        """Why this node is joined to no other though the network has others; empty if it is, or has none."""
        return next((warning.message for warning in self.warnings if warning.code == CUT_OFF), "")


Message = (
    RequestBlockchain
    | BlockchainUpdate
    | NewPeerJoined
    | ShutdownPeer
    | Hello
    | HelloProof
    | Votes
    | HaveVotes
    | GetVotes
    | CompactBlock
    | Neighbours
    | GetBlockVotes
    | BlockVotes
    | GetHeaders
    | Headers
    | GetBlocks
    | BlockMessage
    | NoBlock
    | Peers
    | NotReached
    | Ping
    | Pong
    | GetPeers
    | GetElection
    | ElectionInfo
    | SubmitVotes
    | VotesTaken
    | GetVoteStatus
    | VoteStatus
    | GetProof
    | Proof
    | GetResults
    | Results
    | GetStatus
    | NodeStatus
)


class Role(Enum):
    """What the other side of a link has shown itself to be."""

    STRANGER = "stranger"
    """No hello: the chapter's programs and votenet's clients."""
    GREETING = "greeting"
    """Between hello and its proof."""
    PEER = "peer"
    """The handshake is done."""


_ANYBODY: Final = frozenset({Role.STRANGER, Role.PEER})
_STRANGER: Final = frozenset({Role.STRANGER})
_PEER: Final = frozenset({Role.PEER})

SENDERS: Final[dict[type[_Message], frozenset[Role]]] = {
    # Which roles may send a message to a node. Answers that only clients read have none.
    RequestBlockchain: _ANYBODY,
    BlockchainUpdate: _STRANGER,
    NewPeerJoined: _STRANGER,
    ShutdownPeer: _STRANGER,
    Hello: frozenset({Role.STRANGER, Role.GREETING}),
    HelloProof: frozenset({Role.GREETING}),
    Votes: _PEER,
    HaveVotes: _PEER,
    GetVotes: _PEER,
    CompactBlock: _PEER,
    Neighbours: _PEER,
    GetBlockVotes: _PEER,
    BlockVotes: _PEER,
    GetHeaders: _ANYBODY,
    Headers: _PEER,
    GetBlocks: _PEER,
    BlockMessage: _PEER,
    NoBlock: _PEER,
    Peers: _PEER,
    NotReached: _PEER,
    Ping: _ANYBODY,
    Pong: _PEER,
    GetPeers: _ANYBODY,
    GetElection: _ANYBODY,
    ElectionInfo: frozenset(),
    SubmitVotes: _ANYBODY,
    VotesTaken: frozenset(),
    GetVoteStatus: _ANYBODY,
    VoteStatus: frozenset(),
    GetProof: _ANYBODY,
    Proof: frozenset(),
    GetResults: _ANYBODY,
    Results: frozenset(),
    GetStatus: _ANYBODY,
    NodeStatus: frozenset(),
}

REPLIES: Final[dict[type[_Message], tuple[type[_Message], ...]]] = {
    # Which answers a request may get, beside an error line.
    RequestBlockchain: (BlockchainUpdate,),
    Hello: (Hello, HelloProof),
    GetVotes: (Votes,),
    GetBlockVotes: (BlockVotes, BlockMessage, NoBlock),
    GetHeaders: (Headers,),
    GetBlocks: (BlockMessage, NoBlock),
    GetPeers: (Peers,),
    Ping: (Pong,),
    GetElection: (ElectionInfo,),
    SubmitVotes: (VotesTaken,),
    GetVoteStatus: (VoteStatus,),
    GetProof: (Proof,),
    GetResults: (Results,),
    GetStatus: (NodeStatus,),
}

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def encode_message(message: _Message) -> bytes:
    """One line, without its newline."""
    return _encoder.encode(message)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A long answer that many wait for, and the id of one of them: put together when it is sent, not before.

    Two thousand questions on one link must not make two thousand copies before the first one is written.
    """

    line: bytes
    request_id: RequestId


def line_of(message: _Message | bytes | Numbered) -> bytes:
    """A message as a line; one that is a line already stays as it is."""
    if isinstance(message, Numbered):
        return with_id(message.line, message.request_id)
    return message if isinstance(message, bytes) else _encoder.encode(message)


def decode_message(line: bytes) -> Message:
    """One line to a message.

    Raises:
        RemoteProtocolError: bad-json, unknown-type or bad-message, with the field that is wrong.
    """
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        text = str(error)
        if text.startswith("Invalid value") and text.endswith("`$.type`"):
            raise RemoteProtocolError("unknown-type", "this message type is not known") from None
        raise RemoteProtocolError("bad-message", f"the message is not valid: {text[:200]}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RemoteProtocolError("bad-json", f"the line is not JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise RemoteProtocolError("bad-json", "the line is nested too deeply") from None


def decode_data(data: Data) -> bytes:
    """The bytes in a `data` field of the chapter; empty for null, as Go reads it.

    Raises:
        RemoteProtocolError: bad-message, when it is not base64.
    """
    try:
        return base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("bad-message", "the data field is not base64") from None


def encode_data(payload: bytes) -> str:
    """Base64 with padding, as Go's encoder writes a byte slice."""
    return base64.b64encode(payload).decode("ascii")


def split_ids(ids: bytes, size: int) -> list[bytes]:
    """Entries of `size` bytes out of a field of short ids.

    Raises:
        RemoteProtocolError: bad-message, when the last one is cut.
    """
    if len(ids) % size:
        raise RemoteProtocolError("bad-message", f"short ids come in {size} bytes each")
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def split_keys(keys: bytes) -> frozenset[bytes]:
    """The short keys in `neighbours`.

    Raises:
        RemoteProtocolError: bad-message, when the last one is cut.
    """
    if len(keys) % SHORT_KEY:
        raise RemoteProtocolError("bad-message", f"keys of neighbours come in {SHORT_KEY} bytes each")
    return frozenset(keys[start : start + SHORT_KEY] for start in range(0, len(keys), SHORT_KEY))


def split_announced(ids: bytes) -> list[tuple[bytes, bytes]]:
    """(short id with the reader's seed, with the sender's) of each vote in `have_votes`.

    Raises:
        RemoteProtocolError: bad-message, when the last one is cut.
    """
    if len(ids) % ANNOUNCED:
        raise RemoteProtocolError("bad-message", f"announced votes come in {ANNOUNCED} bytes each")
    return list(_ANNOUNCED.iter_unpack(ids))


def as_line(text: str, longest: int = MAX_TEXT) -> str:
    """A sentence as `Line` takes it: cut, a question mark for what is not printable."""
    return (text if text.isascii() and text.isprintable() else _unprintable().sub("?", text))[:longest]


@functools.cache
def _unprintable() -> re.Pattern[str]:
    """Compiled when it is needed: every command starts with this module."""
    return re.compile(f"[{NEVER}\\ud800-\\udfff]")


def is_address(text: str) -> bool:
    """Whether this may be an address, by its characters and its length."""
    return _address.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Whether this may be the code of an error."""
    return _code.fullmatch(text) is not None


def work_to_hex(work: int) -> str:
    return format(work, "x")
