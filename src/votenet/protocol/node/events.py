"""What goes into a node's core and what comes out: events, changes to save, checks, Ready. Plain records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from votenet.core.election.amendment import Amendment
from votenet.core.ledger.block import Header
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.signed_note import SignedNote
from votenet.core.log.tiles import Tile
from votenet.errors import VotenetError
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.lines import Numbered
from votenet.protocol.wire.message import Message


class Portions:
    """A check in portions, between which those of other links may come. Called, it does what is left.

    Args:
        portions: in order; what they return is joined to one list.
    """

    def __init__(self, portions: Iterable[Callable[[], Sequence[object]]]) -> None:
        self._left = deque(portions)
        self._found: list[object] = []

    def do_next(self) -> bool:
        """Do the next portion; whether more are left."""
        if self._left:
            self._found += self._left.popleft()()
        return bool(self._left)

    def __call__(self) -> list[object]:
        while self.do_next():
            pass
        return self._found


class CheckJob(NamedTuple):
    """A computation too long for an event loop; `run` has a copy of all its data. It returns as `Checked`.

    A long one may be `Portions`. `size`: bytes of the line that asked for it. `urgent`: a short one that
    other nodes wait for.
    """

    id: int
    link: int
    run: Callable[[], object]
    size: int = 0
    urgent: bool = False


class Served(NamedTuple):
    """An answer as a line, and the units that it cost beside what its bytes cost."""

    line: bytes
    units: float = 0.0


class Question(NamedTuple):
    """A question whose answer is read from the disk, or takes longer than a moment.

    The shell calls `begin` in the core's thread when it is the link's turn, and never for a link that is
    gone. What `begin` returns runs in another thread. `begin` may raise RemoteProtocolError. `size`: bytes
    of votes that are kept until it is answered. `key`: of two questions of one link with the same key, only
    the first is answered if it still waits.
    """

    link: int
    begin: Callable[[], Callable[[], Served]]
    size: int = 0
    key: Hashable = None


class Template(NamedTuple):
    """A block without its nonce."""

    id: int
    header: Header
    votes: tuple[HashedVote, ...]


# -- events: what happened ----------------------------------------------------------------------


class PeerUp(NamedTuple):
    """A handshake finished on a link."""

    link: int
    peer_info: PeerInfo
    outbound: bool


class LinkDown(NamedTuple):
    """A link (of a peer or a client) is gone."""

    link: int


class Received(NamedTuple):
    """A message that its sender was allowed to send; `size`: bytes of its line."""

    link: int
    message: Message
    size: int = 0


class Checked(NamedTuple):
    """A job is done. `result` is what its `run` returned."""

    job: CheckJob
    result: object


class Mined(NamedTuple):
    """A nonce was found for a template; None when its whole range holds none."""

    template: int
    nonce: int | None


class Witnessed(NamedTuple):
    """A witness cosigned a checkpoint of ours: its lines below the text."""

    note: SignedNote


class Tick(NamedTuple):
    """Time has passed: look at deadlines."""


Event = PeerUp | LinkDown | Received | Checked | Mined | Witnessed | Tick

# -- changes: what must be on disk before anything is sent ---------------------------------------


class SaveVotes(NamedTuple):
    """Votes that now wait in the pool."""

    votes: list[HashedVote]


class DropVotes(NamedTuple):
    """Votes that no longer wait: they, or another vote of their voter, are in a block."""

    ids: Sequence[bytes]


class SaveBlock(NamedTuple):
    """A block whose votes were checked, on whatever branch."""

    entry: BlockIndexEntry
    votes: Sequence[HashedVote]


class SetBest(NamedTuple):
    """The best branch now: blocks above `fork_height` left it, these (oldest first) joined it."""

    fork_height: int
    blocks: Sequence[tuple[BlockIndexEntry, Sequence[HashedVote]]]


class SaveFinality(NamedTuple):
    """What a named node must know of its own statements before it sends them, in place of what was saved."""

    state: bytes


class SaveAccepted(NamedTuple):
    """The time of our latest acceptance, Unix seconds."""

    time: int


class SaveHours(NamedTuple):
    """What this node has signed about the end of the election, in place of what was saved."""

    state: bytes


class SaveRestored(NamedTuple):
    """What a node remembers of its restore from a backup, in place of what was saved; empty: no more."""

    state: bytes


class SaveAmendment(NamedTuple):
    """An amendment that waits for a block."""

    amendment: Amendment


class DropAmendments(NamedTuple):
    """Amendments, by their numbers, that no longer wait."""

    numbers: Sequence[int]


class SaveTiles(NamedTuple):
    """Tiles of the election's log that are new, or wider than before."""

    tiles: tuple[Tile, ...]


class SaveCertificate(NamedTuple):
    """The certificate of the log behind the block at `height`, in place of the one before."""

    height: int
    note: str


class SaveEvidence(NamedTuple):
    """Evidence against a named node, without the definition; `sentence` says the lie to a person."""

    node: int
    kind: str
    proof: bytes
    sentence: str


class SaveShare(NamedTuple):
    """A trustee's share of the decryption, checked; one for each place."""

    place: int
    share: str


Change = (
    SaveVotes
    | DropVotes
    | SaveBlock
    | SetBest
    | SaveFinality
    | SaveAccepted
    | SaveHours
    | SaveRestored
    | SaveAmendment
    | DropAmendments
    | SaveTiles
    | SaveCertificate
    | SaveEvidence
    | SaveShare
)

# -- what the core needs to read ------------------------------------------------------------------


class VoteLocation(NamedTuple):
    """Where a vote stands on the best branch; `time` is the vote's own, in Unix seconds."""

    vote_id: bytes
    entry: BlockIndexEntry
    position: int
    time: int


class BlockSource(Protocol):
    """What is on disk already, for reading. Every method raises StorageError for what is not there."""

    def votes_of(self, block_hash: bytes) -> Sequence[HashedVote]:
        """Votes of a saved block in block order."""
        ...

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> HashedVote:
        """One vote of a saved block."""
        ...

    def votes_at(self, locations: Sequence[tuple[bytes, int, str]]) -> list[HashedVote]:
        """`vote_at` of each (block hash, position, voter id). From any thread."""
        ...

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a saved tile of the election's log. From any thread."""
        ...

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        """Records of a saved block from a position on, fewer where it ends before. From any thread.

        They are not compared with what was saved: `core/log/merkle.py` can do that.
        """
        ...


class Hint(NamedTuple):
    """An address that a link named, unproven. `kind`: how (see `peers/discovery.py`), or HINT_LEFT."""

    kind: str
    address: str
    link: int


HINT_LEFT: Final = "left"
"""Kind of a hint that no node listens there any more."""


@dataclass(slots=True)
class Ready:
    """What a shell must do now, in the order of these fields: save, then send, then everything else."""

    save: list[Change] = field(default_factory=list)
    """Goes to disk in one transaction, before anything below is carried out."""
    send: list[tuple[int, Message | bytes | Numbered]] = field(default_factory=list)
    """Each with its link."""
    charge: list[tuple[int, float]] = field(default_factory=list)
    """Link, and the units that an answer cost beyond the price of its question."""
    questions: list[Question] = field(default_factory=list)
    """They, blocks and chains take turns: their answers may come later than what follows."""
    send_blocks: list[tuple[int, bytes]] = field(default_factory=list)
    """Link, and the hash of a stored block."""
    send_reference_chain: list[int] = field(default_factory=list)
    """Links that asked for the chain in the reference client's form."""
    refuse: list[tuple[int, VotenetError]] = field(default_factory=list)
    """One error line, then close."""
    hints: list[Hint] = field(default_factory=list)
    servers: list[tuple[int, str]] = field(default_factory=list)
    """Bootstrap servers that a peer named: its link, and the address."""
    not_reached: list[tuple[int, str, str]] = field(default_factory=list)
    """Complaints of peers that our hello names a wrong address: link, that address, the host they see."""
    log: list[str] = field(default_factory=list)
    mining_changed: bool = False
    template: Template | None = None
    """What to mine from now on, when `mining_changed`; None stops the search."""
