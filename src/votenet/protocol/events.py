"""What goes into a node's core and what comes out: events, changes to save, jobs, Ready.

What lives here: plain records. What must not: decisions (`protocol/node.py`) and their carrying out
(`network/node_service.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from votenet.core.block import Header
from votenet.core.chain import Entry
from votenet.core.vote import SealedVote
from votenet.errors import VotenetError
from votenet.protocol.connection import Greeted
from votenet.protocol.messages import Message, Numbered

# -- events: what happened ----------------------------------------------------------------------


class PeerUp(NamedTuple):
    """A handshake finished on a link."""

    link: int
    greeted: Greeted
    outbound: bool


class LinkDown(NamedTuple):
    """A link (of a peer or a client) is gone."""

    link: int


class Received(NamedTuple):
    """A message that its sender was allowed to send."""

    link: int
    message: Message


class Checked(NamedTuple):
    """A job is done. `result` is what its `run` returned."""

    job: int
    result: object


class Mined(NamedTuple):
    """A nonce was found for a template; None when its whole range holds none."""

    template: int
    nonce: int | None


class Tick(NamedTuple):
    """Time has passed: look at deadlines."""


Event = PeerUp | LinkDown | Received | Checked | Mined | Tick

# -- changes: what must be on disk before anything is sent ---------------------------------------


class SaveVotes(NamedTuple):
    """Votes that now wait in the pool."""

    votes: Sequence[SealedVote]


class DropVotes(NamedTuple):
    """Votes that no longer wait: they, or another vote of their voter, are in a block."""

    ids: Sequence[bytes]


class SaveBlock(NamedTuple):
    """A block whose votes were checked, on whatever branch."""

    entry: Entry
    votes: Sequence[SealedVote]


class SetBest(NamedTuple):
    """The best branch: what was above `fork_height` is off, these blocks (oldest first) are on."""

    fork_height: int
    blocks: Sequence[tuple[Entry, Sequence[SealedVote]]]


Change = SaveVotes | DropVotes | SaveBlock | SetBest

# -- work for threads -----------------------------------------------------------------------------


class CheckJob(NamedTuple):
    """A pure computation too long for an event loop. Its result returns as `Checked`."""

    id: int
    link: int
    run: Callable[[], object]


class Served(NamedTuple):
    """An answer as a line, and the units that it cost beside what its bytes cost."""

    line: bytes
    units: float = 0.0


class Question(NamedTuple):
    """A question whose answer is read from the disk, or takes longer than a moment.

    The shell calls `begin` when it is the link's turn, in the core's thread: until then only the question is
    kept, and nothing at all for a link that is gone. What `begin` returns runs in another thread. `begin` may
    raise RemoteProtocolError. `size`: bytes of votes that are kept until it is answered.
    """

    link: int
    begin: Callable[[], Callable[[], Served]]
    size: int = 0


class Template(NamedTuple):
    """A block without its nonce."""

    id: int
    header: Header
    votes: tuple[SealedVote, ...]


# -- what the core needs to read ------------------------------------------------------------------


class VotePlace(NamedTuple):
    """Where a vote stands on the best branch; `time` is the vote's own, in Unix seconds."""

    vote_id: bytes
    height: int
    position: int
    time: int


class BlockSource(Protocol):
    """What is on disk already, for reading."""

    def votes_of(self, block_hash: bytes) -> Sequence[SealedVote]:
        """Votes of a saved block in block order. Raises StorageError if it is not there."""
        ...

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> SealedVote:
        """One vote of a saved block. Raises StorageError if that voter's vote is not there."""
        ...

    def votes_at(self, places: Sequence[tuple[bytes, int, str]]) -> list[SealedVote]:
        """`vote_at` of each (block hash, position, voter id). From any thread."""
        ...

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        """Records of a saved block from a position on, fewer where it ends before. From any thread.

        They are not compared with what was saved: `core/merkle.py` can do that. Raises StorageError if the
        block is not there.
        """
        ...


class Hint(NamedTuple):
    """Somebody named an address: `kind` says how (see `finder.py`), or LEFT; `link` says who."""

    kind: str
    address: str
    link: int


LEFT: Final = "left"
"""Kind of a hint that nobody listens there any more."""


# -- Ready ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ready:
    """What a shell must do now, in this order: save, then send, then everything else.

    `save` goes to disk in one transaction. Only then are `send` (link, message or line), `charge` (link,
    units: what an answer cost beyond the price of its question), `send_blocks` (link, block hash: the stored
    block, read from the disk), `questions`, `send_chapter` (links that asked for the chain in the chapter's
    form) and `refuse` (link, error: one error line, then close) carried out. Blocks, questions and chapters
    take turns, and their answers may come later than what follows. `hints` are addresses that somebody named,
    unproved; `servers` are bootstrap servers that a peer named (link, address); `not_reached` are complaints
    of peers that we are not where our hello says (link, that address, the host they see). `template` is what
    to mine when `mining_changed`; None stops the search.
    """

    save: list[Change] = field(default_factory=list)
    send: list[tuple[int, Message | bytes | Numbered]] = field(default_factory=list)
    charge: list[tuple[int, float]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    send_blocks: list[tuple[int, bytes]] = field(default_factory=list)
    send_chapter: list[int] = field(default_factory=list)
    refuse: list[tuple[int, VotenetError]] = field(default_factory=list)
    check: list[CheckJob] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    servers: list[tuple[int, str]] = field(default_factory=list)
    not_reached: list[tuple[int, str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    mining_changed: bool = False
    template: Template | None = None
