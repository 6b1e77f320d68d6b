"""Getting blocks from peers: headers first, then the votes of the branch with the most work.

1. A peer whose hello names more work than ours is asked for headers, 2,000 at a time, until it has no more.
   Headers are checked as they come: each cost its sender a proof of work.
2. The best header that any prompt peer has is the target. The blocks between us and it are asked for in
   their order, a window of them at a time, spread over the peers that have the target.
3. Blocks come and are checked in any order; one that comes before its parent waits.
4. A peer that does not answer in time is late: its requests go to others, which are asked first from then on.
   What it was asked for still waits there, and counts: a slow peer is not asked for more and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from votenet.core.encoding import canonical
from votenet.core.ledger.block import Header, check_sequence, header_from_hex
from votenet.core.ledger.chain import BlockIndexEntry, Chain, UnknownParent
from votenet.core.ledger.statement import Commit
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.errors import PowError, Rejected
from votenet.pow import work_of
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.peer_messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    Headers,
)

SYNC_ANSWER_SECONDS: Final = 20.0
"""Time to send headers or blocks. While we check blocks it does not pass: we do not read what has come."""
MAX_WINDOW_BLOCKS: Final = 4 * MAX_BLOCKS_ASKED
"""The window: blocks asked for or waiting for their parent at one time, if they are small."""
MAX_WINDOW_VOTES: Final = 64_000
MAX_WINDOW_BYTES: Final = 24 * 1024 * 1024
"""Votes in the window, and bytes of their records, as far as that can be foretold: 100 MB of memory."""
MAX_SIDE_HEADERS: Final = 100_000
"""Headers with less work than our tip that are kept: about 70 MB, and as many as a partition may have that
still heals under an attack."""


@dataclass(slots=True)
class Peer:
    """Known facts about one peer."""

    link: int
    peer_info: PeerInfo
    outbound: bool
    short_key: bytes = b""
    best: BlockIndexEntry | None = None
    """The best header of its that we have checked."""
    neighbours: frozenset[bytes] = frozenset()
    """Short keys of the nodes that it says it is joined to."""
    headers_due: float | None = None
    """When the answer to our last `get_headers` is overdue; None when none is owed."""
    retry_at: int | None = None
    """When it is asked again for headers that were too far ahead of our clock."""
    late: bool = False
    """It did not send what was asked in time, and has sent no block since: others are asked first."""
    owes: set[bytes] = field(default_factory=set)
    """Blocks that it was asked for and has not answered for yet, even if others were asked meanwhile."""

    def may_be_asked(self, block_hash: bytes) -> bool:
        """Whether it owes few blocks, or this one: a node refuses a link with too many open questions."""
        return len(self.owes) < MAX_WINDOW_BLOCKS or block_hash in self.owes


class Sync:
    """Decides which headers and blocks to ask for. Sends nothing: callers collect `requests`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.peers: dict[int, Peer] = {}
        self.requests: list[tuple[int, GetHeaders | GetBlocks | GetBlockVotes]] = []
        self._side_headers = 0
        self._asked: dict[bytes, tuple[int, float]] = {}
        """Blocks that are on their way: from which link, and when they are overdue."""
        self._checking: set[bytes] = set()
        self._waiting: dict[bytes, tuple[Sequence[HashedVote], int]] = {}
        """Checked blocks whose parents are not here: their votes, and the links that they came from."""
        self._busy_since, self._busy_before = 0.0, 0.0
        """Since when blocks are being checked without a pause, and for how long they were until then."""
        self._usual_votes = chain.election.definition.chain.max_block_votes
        self._usual_bytes = 1
        """Votes that the next blocks may have (as many as they may, until some have come), and bytes."""
        self._target: BlockIndexEntry | None = None
        self._path: list[BlockIndexEntry] = []
        """Blocks that were missing up to the target when it was set, from the target back."""

    # -- peers ---------------------------------------------------------------------------------

    def add_peer(self, peer: Peer, now: float) -> None:
        """A new peer: ask it for headers if it may have another branch with as much work as ours."""
        self.peers[peer.link] = peer
        if peer.peer_info.work >= max(self.chain.tip.work, 1):
            self._ask_headers(peer, now)

    def drop_peer(self, link: int, now: float) -> None:
        self.peers.pop(link, None)
        for block_hash in [h for h, (asked, _) in self._asked.items() if asked == link]:
            del self._asked[block_hash]
        self.ask_bodies(now)

    @property
    def caught_up(self) -> bool:
        """No peer owes us headers, and no checked header has more work than our tip.

        Peers that did not keep their promises have no say: they could keep us waiting for ever. Nor has a
        stranger's promise where named nodes decide, and one of them is a peer.
        """
        prompt = _prompt(self.peers.values())
        node_index = self.chain.election.node_index
        promising = [p for p in prompt if node_index(p.peer_info.node_key) is not None] or prompt
        return self._best_of(prompt) is None and all(peer.headers_due is None for peer in promising)

    def follows(self, link: int) -> bool:
        """Whether a peer is there, and has sent no header that is too far ahead of our clock."""
        peer = self.peers.get(link)
        return peer is not None and peer.retry_at is None

    @property
    def target(self) -> BlockIndexEntry | None:
        """The best header of prompt peers (or else of late ones); None when our tip is as good."""
        return self._best_of(_prompt(self.peers.values())) or self._best_of(self.peers.values())

    # -- headers -------------------------------------------------------------------------------

    def take_headers(self, link: int, message: Headers, now: float) -> None:
        """Headers, asked for or announced.

        Raises:
            Rejected: one of them breaks a rule (or several do not attach, in an asked answer).
        """
        peer = self.peers[link]
        due, peer.headers_due = peer.headers_due, None
        headers = [header_from_hex(text) for text in message.headers]
        if not self._worth_keeping(headers):
            return
        # 1. Work and links of all of them at once, then one after another into the tree. The commit of the
        #    last one decides only headers that lead to it: with a fault among them none is taken.
        hashes, fault = check_sequence(headers)
        if self.chain.election.named and headers:
            if fault is not None:
                raise fault
            self._check_decided(headers, message.commit)
        known, best = len(self.chain.entries), peer.best
        for index, (header, block_hash) in enumerate(zip(headers, hashes, strict=False)):
            if self._is_early(peer, header, now):
                self.ask_bodies(now)
                return
            try:
                peer.best = _better(peer.best, self._add_header(header, now, block_hash))
            except UnknownParent:
                if index or (due is not None and len(headers) > 1):
                    raise
                # A new tip. It may have crossed our question: then the answer is still to come.
                peer.headers_due = due
                self._ask_headers(peer, now)
                return
        if fault is not None:
            raise fault
        self._note_commit(headers, message.commit)
        # 2. A full answer has more behind it (if it had no news, the next one would be the same), and so may
        #    one that ends where a commit is known. What is known now says which blocks to ask for.
        news = len(self.chain.entries) > known or peer.best is not best
        more = message.commit is not None and due is not None and bool(headers)
        if (len(headers) == MAX_HEADERS and news) or more:
            self._ask_headers(peer, now)
        self.ask_bodies(now)

    def take_new_header(
        self, link: int, header: Header, now: float, commit: Commit | None = None
    ) -> BlockIndexEntry | None:
        """A header pushed with a new block; None when it cannot be taken yet: its parent is not known (then
        headers are asked for), its time is ahead of ours, or named nodes have not decided it.

        Raises:
            Rejected: it breaks a rule.
        """
        peer = self.peers[link]
        if not self._worth_keeping([header]) or self._is_early(peer, header, now):
            return None
        if self.chain.election.named:
            if commit is None and header.hash not in self.chain.entries:
                return None
            self._check_decided([header], commit)
        try:
            entry = self._add_header(header, now)
        except UnknownParent:
            self._ask_headers(peer, now)
            return None
        peer.best = _better(peer.best, entry)
        self._note_commit([header], commit)
        return entry

    def _check_decided(self, headers: Sequence[Header], commit: Commit | None) -> None:
        """Check that a quorum of the named nodes has decided the last of these headers.

        Nothing is checked where the header before them is not known: then they are not taken; nor where the
        last one is here, and its commit too.

        Raises:
            Rejected: bad-commit.
        """
        election, last = self.chain.election, headers[-1].hash
        parent, known = self.chain.entries.get(headers[0].previous), self.chain.entries.get(last)
        if parent is None or (known is not None and (commit is None or known.commit)):
            return
        if commit is None:
            raise Rejected("bad-commit", "these headers come without the commit of the named nodes")
        height = parent.height + len(headers)
        commit.check(election.network_hex, height, last.hex(), election.statement_keys, election.quorum)

    def _note_commit(self, headers: Sequence[Header], commit: Commit | None) -> None:
        """Keep a commit that `_check_decided` has checked."""
        entry = self.chain.entries.get(headers[-1].hash) if headers and self.chain.election.named else None
        if entry is not None and commit is not None and not entry.commit:
            entry.commit = canonical(commit)

    def _is_early(self, peer: Peer, header: Header, now: float) -> bool:
        """Whether a header is too far ahead of our clock to be taken yet. The peer is asked again when it is
        time, and not refused: our clock may be wrong.
        """
        until = header.time - MAX_CLOCK_AHEAD
        if until <= int(now) or header.hash in self.chain.entries:
            return False
        peer.retry_at = until if peer.retry_at is None else min(peer.retry_at, until)
        return True

    def _add_header(self, header: Header, now: float, block_hash: bytes | None = None) -> BlockIndexEntry:
        known = len(self.chain.entries)
        entry = self.chain.add_header(header, int(now), block_hash)
        if len(self.chain.entries) > known and entry.work < self.chain.tip.work:
            self._side_headers += 1
        return entry

    def _worth_keeping(self, headers: Sequence[Header]) -> bool:
        """Whether there is room for side headers, or these end in at least as much work as our tip has."""
        parent = self.chain.entries.get(headers[0].previous) if headers else None
        if self._side_headers < MAX_SIDE_HEADERS or parent is None or headers[-1].hash in self.chain.entries:
            return True
        try:
            return parent.work + sum(work_of(header.bits) for header in headers) >= self.chain.tip.work
        except PowError:  # no target at all: the chain refuses it in its own words
            return True

    def ask_peer(self, link: int, now: float) -> None:
        """Ask a peer that is ahead of us for headers."""
        if link in self.peers:
            self._ask_headers(self.peers[link], now)

    def _ask_headers(self, peer: Peer, now: float) -> None:
        if peer.headers_due is not None:
            return
        locator = self.chain.locator()
        if peer.best is not None and self.chain.on_best(peer.best.hash) is None:
            locator.insert(0, peer.best.hash)
        peer.headers_due = self._clock(now) + SYNC_ANSWER_SECONDS
        self.requests.append((peer.link, GetHeaders(locator=tuple(h.hex() for h in locator))))

    # -- bodies --------------------------------------------------------------------------------

    def wanted(self, entry: BlockIndexEntry) -> bool:
        """Whether the votes of this block are neither here nor being checked."""
        here = entry.hash in self._checking or entry.hash in self._waiting
        return not (entry.available or entry.invalid or here)

    def ask_for(
        self, link: int, entry: BlockIndexEntry, now: float, missing: tuple[int, ...] | None = None
    ) -> bool:
        """Ask one peer for a block, or for its `missing` votes, unless it is on its way or the peer is gone
        or owes too many.

        Returns whether it was asked.
        """
        peer = self.peers.get(link)
        if peer is None or not self.wanted(entry) or entry.hash in self._asked:
            return False
        if not peer.may_be_asked(entry.hash):
            return False
        block = entry.hash.hex()
        asking = (
            GetBlocks(hashes=(block,)) if missing is None else GetBlockVotes(hash=block, positions=missing)
        )
        self._note_asked(peer, entry.hash, now)
        self.requests.append((link, asking))
        return True

    def _note_asked(self, peer: Peer, block_hash: bytes, now: float) -> None:
        self._asked[block_hash] = (peer.link, self._clock(now) + SYNC_ANSWER_SECONDS)
        peer.owes.add(block_hash)

    def answered(self, link: int, block_hash: bytes) -> None:
        """A peer has sent a block, or votes of it."""
        if link in self.peers:
            self.peers[link].owes.discard(block_hash)

    def ask_bodies(self, now: float) -> None:
        """Ask for the next blocks up to the target, spread over the peers that have it."""
        target = self.target
        path = [] if target is None else self._path_to(target)
        # 1. Blocks that wait on another branch would take the room of these for ever.
        useful = {entry.hash for entry in path}
        for block_hash in [h for h in self._waiting if h not in useful]:
            del self._waiting[block_hash]
        if target is None:
            return
        # 2. What is missing next, as much as fits into the window.
        small = MAX_WINDOW_VOTES // max(self._usual_votes, 1), MAX_WINDOW_BYTES // self._usual_bytes
        window = max(min(MAX_WINDOW_BLOCKS, *small), 1)
        room = window - len(self._asked) - len(self._waiting) - len(self._checking)
        missing = [e for e in path if self.wanted(e) and e.hash not in self._asked][: max(room, 0)]
        # 3. The peers that have it take turns: those that owe few blocks, and prompt ones before late ones.
        peers = [p for p in self.peers.values() if p.best is not None and p.best.work >= target.work]
        peers = [p for p in peers if len(p.owes) < MAX_WINDOW_BLOCKS] or peers
        peers = _prompt(peers) or peers
        asked: dict[int, list[str]] = {}
        for index, entry in enumerate(missing if peers else ()):
            peer = peers[index // MAX_BLOCKS_ASKED % len(peers)]
            if peer.may_be_asked(entry.hash):
                self._note_asked(peer, entry.hash, now)
                asked.setdefault(peer.link, []).append(entry.hash.hex())
        for link, hashes in asked.items():
            for start in range(0, len(hashes), MAX_BLOCKS_ASKED):
                batch = tuple(hashes[start : start + MAX_BLOCKS_ASKED])
                self.requests.append((link, GetBlocks(hashes=batch)))

    def _path_to(self, target: BlockIndexEntry) -> list[BlockIndexEntry]:
        """The oldest entries up to `target` whose votes are not here yet, the oldest first.

        The whole path is walked once for a target, not once for each block that comes.
        """
        if self._target is not target:
            self._target, self._path = target, self.chain.missing_bodies(target)
        while self._path and self._path[-1].available:
            self._path.pop()
        return self._path[: -MAX_WINDOW_BLOCKS - 1 : -1]

    def begin_check(self, entry: BlockIndexEntry, link: int, now: float) -> bool:
        """The votes of a block have come. False when they are not needed any more."""
        self._asked.pop(entry.hash, None)
        if link in self.peers:
            self.peers[link].late = False
        if not self.wanted(entry):
            return False
        if not self._checking:
            self._busy_since = now
        self._checking.add(entry.hash)
        return True

    def end_check(self, entry: BlockIndexEntry, now: float) -> None:
        self._checking.discard(entry.hash)
        if not self._checking:
            self._busy_before += max(now - self._busy_since, 0.0)

    def _clock(self, now: float) -> float:
        """A clock for the deadlines of peers: it stands still while blocks are being checked."""
        return (min(self._busy_since, now) if self._checking else now) - self._busy_before

    def refused(self, block_hash: bytes, link: int) -> None:
        """A peer does not have a block of the branch it announced: it does not have that branch."""
        owed = self._asked.get(block_hash, (None, 0.0))[0] == link
        if owed:
            del self._asked[block_hash]
        self.answered(link, block_hash)
        peer = self.peers.get(link)
        if peer is not None and peer.best is not None and (owed or peer.best.hash == block_hash):
            peer.best = None

    def accept_block(
        self, entry: BlockIndexEntry, votes: Sequence[HashedVote], link: int
    ) -> list[tuple[BlockIndexEntry, Sequence[HashedVote], int]]:
        """Take a checked block that came from a link.

        Returns those that can be connected now, parents first, each with its votes and the link that it came
        from.
        """
        ready: list[tuple[BlockIndexEntry, Sequence[HashedVote], int]] = []
        if entry.invalid:  # a block before it turned out to be invalid meanwhile
            return ready
        self._waiting[entry.hash] = votes, link
        self._usual_votes = max(len(votes), self._usual_votes // 2)
        self._usual_bytes = max(sum([len(vote.record) for vote in votes]), self._usual_bytes // 2, 1)
        if not self.chain.parent(entry).available:
            return ready
        queue = [entry]
        while queue:
            parent = queue.pop(0)
            ready.append((parent, *self._waiting.pop(parent.hash)))
            queue += [self.chain.entries[child] for child in parent.children if child in self._waiting]
        return ready

    def give_up_late(self, now: float) -> None:
        """Give up on answers that are late, and ask other peers."""
        clock = self._clock(now)
        for block_hash in [h for h, (_, due) in self._asked.items() if due <= clock]:
            link, _ = self._asked.pop(block_hash)
            if link in self.peers:
                self.peers[link].late = True
        for peer in self.peers.values():
            if peer.headers_due is not None and peer.headers_due <= clock:
                peer.headers_due, peer.late = None, True
            if peer.retry_at is not None and peer.retry_at <= int(now):
                peer.retry_at = None
                self._ask_headers(peer, now)
        self.ask_bodies(now)

    def _best_of(self, peers: Iterable[Peer]) -> BlockIndexEntry | None:
        """The checked header of these peers with the most work, if it has more than our tip."""
        tip = self.chain.tip
        known = [peer.best for peer in peers if peer.best is not None and not peer.best.invalid]
        better = [entry for entry in known if entry.work > tip.work]
        return max(better, key=lambda entry: entry.work, default=None)


def _prompt(peers: Iterable[Peer]) -> list[Peer]:
    return [peer for peer in peers if not peer.late]


def _better(known: BlockIndexEntry | None, new: BlockIndexEntry) -> BlockIndexEntry:
    return new if known is None or new.work >= known.work else known
