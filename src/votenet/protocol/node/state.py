"""What the parts of a core share: chain, pool, peers, and what the current batch of events asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.keys import NodeKeys
from votenet.core.ledger.chain import BlockIndexEntry, Chain, unpack_location
from votenet.core.ledger.mempool import Mempool, Origin
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.node.events import (
    BlockSource,
    CheckJob,
    DropVotes,
    Question,
    Ready,
    SaveVotes,
    Served,
    VoteLocation,
)
from votenet.protocol.node.sync import Sync
from votenet.protocol.wire.client_messages import MAX_SWITCHES, NodeWarning, Switch
from votenet.protocol.wire.limits import sent_units
from votenet.protocol.wire.lines import Numbered
from votenet.protocol.wire.message import Message

NO_LINK: Final = 0
"""Stands for the link of a job that no link, or many, wait for."""
COVERED_SECONDS: Final = 10.0
"""Peers that should have something from their neighbours are told of it after this long."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What the core is told of the program around it. `started` in Unix seconds.

    `seed`: 64 random bits for our short ids, drawn at every start. `keys`: to sign as a named node.
    """

    name: str
    version: str
    node_key: str
    listen: str
    kernel: str
    mining: bool
    started: float
    seed: int
    keys: NodeKeys | None = None


class NodeFacts(NamedTuple):
    """What the core asks of the program around it, whenever it needs it."""

    origin: Callable[[int], Origin] = lambda link: Origin(f"link {link}", 1)
    """To whom the votes of a link are counted in the pool."""
    can_save: Callable[[], bool] = lambda: True
    """Whether the store has worked since it last failed."""
    is_live: Callable[[int], bool] = lambda link: True
    """Whether a link has received something lately."""
    known_peers: Callable[[], int] = lambda: 0
    """Number of addresses known."""
    traffic: Callable[[], tuple[int, int]] = lambda: (0, 0)
    """Bytes sent to peers, and received from them."""
    is_met: Callable[[str], bool] = lambda address: True
    """Whether a node was met at an address; only then it is passed on."""
    bootstraps: Callable[[], list[str]] = list
    """Bootstrap servers that answer."""
    warnings: Callable[[], tuple[NodeWarning, ...]] = tuple
    """What is known to be wrong."""
    disk_free: Callable[[], int | None] = lambda: None
    """Bytes that are free where the node keeps its data; None where that cannot be told."""


NO_FACTS: Final = NodeFacts()
"""Of a core without a program around it."""


class NodeState:
    """Shared state of one node. `now` is always Unix time in seconds, with fractions."""

    def __init__(
        self, chain: Chain, pool: Mempool, source: BlockSource, info: NodeInfo, facts: NodeFacts
    ) -> None:
        self.chain, self.pool, self.source, self.info, self.facts = chain, pool, source, info, facts
        self.index = None if info.keys is None else self.election.node_index(info.node_key)
        """Our place among the named nodes; None for a relay."""
        self.signatures = SignatureCache()
        self.sync = Sync(chain)
        self.ready = Ready()
        self.jobs: list[CheckJob] = []
        """Jobs that the current event has started."""
        self.lies: tuple[str, ...] = ()
        """What named nodes are proven to have done, a sentence each."""
        self.replacing: frozenset[str] = frozenset()
        """Voters whose key an amendment replaces that waits here: no vote by the old one is taken."""
        self.hours_open: Callable[[], bool] | None = None
        """Whether named nodes still take votes; None where each node's clock decides."""
        self.listed: frozenset[bytes] = frozenset()
        """Ids of the votes in our closing list: a block may need one whose voter has another vote."""
        self.unsaved: dict[bytes, Sequence[HashedVote]] = {}
        """Votes of blocks that are not on the disk yet, or not yet on the best branch there."""
        self.own_blocks: set[bytes] = set()
        """Hashes of the blocks that this node has found since its start, for those who ask."""
        self.switches: deque[Switch] = deque(maxlen=MAX_SWITCHES)
        """The latest reorganisations since its start."""
        self._done: dict[int, Callable[[object, float], None]] = {}
        self._last_id = 0

    @property
    def election(self) -> Election:
        """As it is in force behind the tip."""
        return self.chain.election

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # -- what the current batch asks for ---------------------------------------------------------

    def send(self, link: int, message: Message | bytes) -> None:
        self.ready.send.append((link, message))

    def named_links(self) -> dict[int, int]:
        """Index of each other named node that we are joined to, and the link."""
        places = [
            (self.election.node_index(p.peer_info.node_key), link) for link, p in self.sync.peers.items()
        ]
        return {index: link for index, link in places if index is not None and index != self.index}

    def reachable_named(self) -> list[int]:
        """Indexes of the named nodes that we are joined to and hear of, and ours."""
        own = [] if self.index is None else [self.index]
        heard = [index for index, link in self.named_links().items() if self.facts.is_live(link)]
        return sorted([*own, *heard])

    def is_named(self, link: int) -> bool:
        """Whether a peer is a named node."""
        peer = self.sync.peers.get(link)
        return peer is not None and self.election.node_index(peer.peer_info.node_key) is not None

    def tell_named(self, message: Message) -> None:
        """Send a message to every named node that we are joined to."""
        for link in self.named_links().values():
            self.send(link, message)

    def answer(self, link: int, line: bytes | Numbered) -> None:
        """Answer with a line, and charge for a long one."""
        self.ready.send.append((link, line))
        units = sent_units(len(line if isinstance(line, bytes) else line.line))
        if units:
            self.ready.charge.append((link, units))

    def ask(
        self, link: int, begin: Callable[[], Callable[[], Served]], size: int = 0, key: Hashable = None
    ) -> None:
        """Have a question answered when it is this link's turn; see `Question`."""
        self.ready.questions.append(Question(link, begin, size, key))

    def refuse(self, link: int, error: Rejected | RemoteProtocolError) -> None:
        """Send the other side one error line, then close. From now on it is no peer."""
        self.sync.peers.pop(link, None)
        if isinstance(error, Rejected):
            error = RemoteProtocolError(error.code, error.message)
        self.ready.refuse.append((link, error))

    def save_votes(self, votes: list[HashedVote]) -> None:
        """Save votes that now wait; one change for a batch of events."""
        last = self.ready.save[-1] if self.ready.save else None
        if isinstance(last, SaveVotes):
            last.votes.extend(votes)
        else:
            self.ready.save.append(SaveVotes(votes))

    def drop_votes(self, voter_ids: Collection[str], settled: Iterable[HashedVote] = ()) -> int:
        """Have the votes of these voters wait no more; returns how many.

        A vote in our closing list waits on, unless it is `settled`: in a block.
        """
        if self.listed:
            kept = self.listed.difference([hashed.id for hashed in settled])
            waiting = self.pool.of_voters(voter_ids)
            voter_ids = [hashed.voter_id for hashed in waiting if hashed.id not in kept]
        dropped = self.pool.remove_voters(voter_ids)
        if dropped:
            self.ready.save.append(DropVotes(dropped))
        return len(dropped)

    def start_job(
        self,
        link: int,
        run: Callable[[], object],
        done: Callable[[object, float], None],
        *,
        urgent: bool = False,
    ) -> None:
        """Have `run` computed outside; `done(result, now)` is called when it is back."""
        job = CheckJob(self.next_id(), link, run, urgent=urgent)
        self._done[job.id] = done
        self.jobs.append(job)

    def finish_job(self, job: CheckJob, result: object, now: float) -> None:
        done = self._done.pop(job.id, None)
        if done is not None:
            done(result, now)

    # -- what is known ---------------------------------------------------------------------------

    def covered(self, link: int) -> set[int]:
        """Links to the nodes that the peer at `link` is joined to, as both of them say.

        What it sent unasked it sent to all of those, or knows that they have it: we need not send it. A peer
        that lies, or dies while it sends, withholds something for COVERED_SECONDS at most.
        """
        source = self.sync.peers.get(link)
        if source is None:
            return set()
        return {
            other
            for other, peer in self.sync.peers.items()
            if peer.short_key in source.neighbours and source.short_key in peer.neighbours
        }

    def votes_of(self, block_hash: bytes) -> Sequence[HashedVote]:
        """Votes of an available block, from memory or from the disk."""
        votes = self.unsaved.get(block_hash)
        return self.source.votes_of(block_hash) if votes is None else votes

    def vote_location(self, voter_id: str) -> VoteLocation:
        """Where the vote of a voter stands; there must be one on the best branch."""
        entry, position = self._vote_place(voter_id)
        unsaved = self.unsaved.get(entry.hash)
        hashed = unsaved[position] if unsaved else self.source.vote_at(entry.hash, position, voter_id)
        return VoteLocation(hashed.id, entry, position, hashed.vote.time)

    def vote_locations(self, voter_ids: Sequence[str]) -> Callable[[], list[VoteLocation]]:
        """As `vote_location` of each, for a thread to find out."""
        places = [self._vote_place(voter_id) for voter_id in voter_ids]
        unsaved = {entry.hash: self.unsaved.get(entry.hash) for entry, _ in places}

        def find() -> list[VoteLocation]:
            asked = [
                (entry.hash, position, voter_id)
                for (entry, position), voter_id in zip(places, voter_ids, strict=True)
                if not unsaved[entry.hash]
            ]
            read = iter(self.source.votes_at(asked))
            votes = [
                block[position] if (block := unsaved[entry.hash]) else next(read)
                for entry, position in places
            ]
            return [
                VoteLocation(hashed.id, entry, position, hashed.vote.time)
                for hashed, (entry, position) in zip(votes, places, strict=True)
            ]

        return find

    def _vote_place(self, voter_id: str) -> tuple[BlockIndexEntry, int]:
        height, position = unpack_location(self.chain.voters[voter_id])
        return self.chain.best[height], position
