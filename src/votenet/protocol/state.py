"""What the parts of a node's core share: chain, pool, peers, and the Ready being collected.

What lives here: NodeState and the few acts that every part needs (send, save, start a job, read a
block). What must not: decisions about messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.core.chain import Chain, split_place
from votenet.core.mempool import Mempool, Origin
from votenet.core.signature_cache import SignatureCache
from votenet.core.vote import SealedVote
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.events import BlockSource, CheckJob, Question, Ready, SaveVotes, Served, VotePlace
from votenet.protocol.limits import sent_units
from votenet.protocol.messages import Message, Numbered
from votenet.protocol.sync import Sync

COVERED_SECONDS: Final = 10.0
"""What others should have from their neighbours they are told of after this long, if it still matters."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What the core is told of the program around it. `started` in Unix seconds."""

    name: str
    version: str
    node_key: str
    listen: str
    kernel: str
    mining: bool
    started: float
    seed: int
    """Of our short ids: 64 random bits, others at every start."""


class NodeState:
    """Shared state of one node. `now` is always Unix time in seconds, with fractions."""

    def __init__(self, chain: Chain, pool: Mempool, source: BlockSource, info: NodeInfo) -> None:
        self.chain, self.pool, self.source, self.info = chain, pool, source, info
        self.election = chain.election
        self.signatures = SignatureCache()
        self.sync = Sync(chain)
        self.ready = Ready()
        self.unsaved: dict[bytes, Sequence[SealedVote]] = {}
        """Votes of blocks that are not on the disk yet, or not yet on the best branch there."""
        self.origin_of: Callable[[int], Origin] = lambda link: Origin(f"link {link}", 1)
        """Whom votes of a link are counted to in the pool: the shell knows addresses."""
        self._jobs: dict[int, Callable[[object, float], None]] = {}
        self._last_id = 0

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def send(self, link: int, message: Message) -> None:
        self.ready.send.append((link, message))

    def answer(self, link: int, line: bytes | Numbered) -> None:
        """Answer with a line, and charge for a long one."""
        self.ready.send.append((link, line))
        units = sent_units(len(line if isinstance(line, bytes) else line.line))
        if units:
            self.ready.charge.append((link, units))

    def ask(self, link: int, begin: Callable[[], Callable[[], Served]], size: int = 0) -> None:
        """Have a question answered when it is this link's turn; see `Question`."""
        self.ready.questions.append(Question(link, begin, size))

    def refuse(self, link: int, error: Rejected | RemoteProtocolError) -> None:
        """Blame the other side of a link: one error line, then close. It is no peer from now on."""
        self.sync.peers.pop(link, None)
        if isinstance(error, Rejected):
            error = RemoteProtocolError(error.code, error.message)
        self.ready.refuse.append((link, error))

    def covered(self, link: int) -> set[int]:
        """Links to nodes that the one at `link` is joined to, as both of them say.

        What it has sent unasked it has sent to all of those, or knows them to be covered by the node it has
        it from: so all of them are being sent it, and we need not. It is a hint. One that lies, or is
        killed in the middle of sending, withholds something for COVERED_SECONDS, or until it is gone.
        """
        source = self.sync.peers.get(link)
        if source is None:
            return set()
        return {
            other
            for other, peer in self.sync.peers.items()
            if peer.short_key in source.neighbours and source.short_key in peer.neighbours
        }

    def save_votes(self, votes: list[SealedVote]) -> None:
        """Votes that wait now; one change for all of a batch of events."""
        last = self.ready.save[-1] if self.ready.save else None
        if isinstance(last, SaveVotes) and isinstance(last.votes, list):
            last.votes.extend(votes)
        else:
            self.ready.save.append(SaveVotes(votes))

    def start_job(self, link: int, run: Callable[[], object], done: Callable[[object, float], None]) -> None:
        """Have `run` computed outside; `done(result, now)` is called with the event that returns."""
        job = self.next_id()
        self._jobs[job] = done
        self.ready.check.append(CheckJob(job, link, run))

    def finish_job(self, job: int, result: object, now: float) -> None:
        done = self._jobs.pop(job, None)
        if done is not None:
            done(result, now)

    def votes_of(self, block_hash: bytes) -> Sequence[SealedVote]:
        """Votes of an available block, from memory or from the disk."""
        votes = self.unsaved.get(block_hash)
        return self.source.votes_of(block_hash) if votes is None else votes

    def place_of(self, voter_id: str) -> VotePlace:
        """Where the vote of a voter stands who has one on the best branch."""
        height, position = split_place(self.chain.voters[voter_id])
        block_hash = self.chain.best[height].hash
        unsaved = self.unsaved.get(block_hash)
        sealed = unsaved[position] if unsaved else self.source.vote_at(block_hash, position, voter_id)
        return VotePlace(sealed.id, height, position, sealed.vote.time)

    def places_of(self, voter_ids: Sequence[str]) -> Callable[[], list[VotePlace]]:
        """As `place_of` for each, for a thread to find out."""
        places = [split_place(self.chain.voters[voter_id]) for voter_id in voter_ids]
        blocks = [self.chain.best[height].hash for height, _ in places]
        unsaved = {block: self.unsaved[block] for block in blocks if block in self.unsaved}

        def find() -> list[VotePlace]:
            asked = [
                (block, position, voter_id)
                for block, (_, position), voter_id in zip(blocks, places, voter_ids, strict=True)
                if block not in unsaved
            ]
            read = iter(self.source.votes_at(asked))
            found = [
                unsaved[block][position] if block in unsaved else next(read)
                for block, (_, position) in zip(blocks, places, strict=True)
            ]
            return [
                VotePlace(sealed.id, height, position, sealed.vote.time)
                for sealed, (height, position) in zip(found, places, strict=True)
            ]

        return find
