"""Getting blocks from peers: headers first, then the votes of the branch with the most work.

What lives here: what each peer is known to have, what is asked of whom, and bodies that wait for
the block before them. What must not: votes outside blocks, mining, the order of save and send.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.core.block import Header, check_sequence, header_from_hex
from votenet.core.chain import Chain, Entry
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.core.vote import SealedVote
from votenet.errors import PowError, Rejected
from votenet.pow import work_of
from votenet.protocol.connection import Greeted
from votenet.protocol.messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    Headers,
)

ANSWER_SECONDS: Final = 20.0
"""A peer that has not sent asked headers or blocks by then is passed over for another. Time in which we
check blocks does not count: while we are behind we do not read what it has sent."""
MAX_WAITING_BODIES: Final = 4 * MAX_BLOCKS_ASKED
"""Blocks asked for or waiting for their parent at one time, if they are small."""
MAX_WAITING_VOTES: Final = 64_000
MAX_WAITING_BYTES: Final = 24 * 1024 * 1024
"""Votes in all of these, and the bytes of their records, as far as that can be foretold: 100 MB of memory."""
MAX_SIDE_HEADERS: Final = 100_000
"""Headers with less work than our tip that are kept: about 70 MB, and as many as a partition may have that
still heals under an attack. Each cost its sender a proof of work of genesis difficulty at least."""


@dataclass(slots=True)
class Peer:
    """What is known of one peer. `best` is the best header of its that we have checked."""

    link: int
    greeted: Greeted
    outbound: bool
    best: Entry | None = None
    neighbours: frozenset[bytes] = frozenset()
    """Short keys of the nodes that it says it is joined to."""
    short_key: bytes = b""
    """Its own."""
    headers_due: float | None = None
    """When the answer to our last `get_headers` is overdue; None when none is owed."""
    again: int | None = None
    """When it is asked for headers that were too far ahead of our clock."""
    late: bool = False
    """It did not send what was asked in time, and has sent no block since: others are asked first."""


class Sync:
    """Decides which headers and blocks to ask for. Sends nothing: callers collect `requests`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.peers: dict[int, Peer] = {}
        self.requests: list[tuple[int, GetHeaders | GetBlocks | GetBlockVotes]] = []
        self._asked: dict[bytes, tuple[int, float]] = {}
        self._checking: set[bytes] = set()
        self._busy_since, self._busy_before = 0.0, 0.0
        """Since when blocks are being checked without a pause, and for how long they were until then."""
        self._waiting: dict[bytes, Sequence[SealedVote]] = {}
        self._usual_votes = chain.election.definition.chain.max_block_votes
        self._usual_bytes = 1
        """How many votes the next blocks may have (as many as they may, until some have come), and bytes."""
        self._side_headers = 0
        self._goal: Entry | None = None
        self._way: list[Entry] = []
        """What was missing on the way to the goal when it was set, from the goal back."""

    # -- peers ---------------------------------------------------------------------------------

    def add_peer(self, peer: Peer, now: float) -> None:
        """A new peer: ask it for headers if it may have another branch with as much work as ours."""
        self.peers[peer.link] = peer
        if peer.greeted.work >= max(self.chain.tip.work, 1):
            self._ask_headers(peer, now)

    def drop_peer(self, link: int, now: float) -> None:
        self.peers.pop(link, None)
        for block_hash in [h for h, (asked, _) in self._asked.items() if asked == link]:
            del self._asked[block_hash]
        self.ask_bodies(now)

    @property
    def caught_up(self) -> bool:
        """No peer owes us headers, and no checked header has more work than our tip.

        Peers that did not keep their promises have no say: they could keep us waiting for ever.
        """
        prompt = self._prompt(self.peers.values())
        return self._target(prompt) is None and all(peer.headers_due is None for peer in prompt)

    def follows(self, link: int) -> bool:
        """Whether a peer is there, and has told of no header that is too far ahead of our clock."""
        peer = self.peers.get(link)
        return peer is not None and peer.again is None

    @property
    def goal(self) -> Entry | None:
        """The best header that prompt peers have (or, failing them, late ones); None: our tip is as good."""
        return self._target(self._prompt(self.peers.values())) or self._target(self.peers.values())

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
        hashes, fault = check_sequence(headers)
        for index, (header, block_hash) in enumerate(zip(headers, hashes, strict=False)):
            if self._is_early(peer, header, now):
                self.ask_bodies(now)
                return
            try:
                peer.best = self._better(peer.best, self._add_header(header, now, block_hash))
            except Rejected as error:
                if (
                    error.code == "unknown-parent"
                    and index == 0
                    and (due is None or len(message.headers) == 1)
                ):
                    # A new tip. It may have crossed our question: then the answer is still to come.
                    peer.headers_due = due
                    self._ask_headers(peer, now)
                    return
                raise
        if fault is not None:
            raise fault
        if len(message.headers) == MAX_HEADERS:
            self._ask_headers(peer, now)
        self.ask_bodies(now)

    def take_new_header(self, link: int, header: Header, now: float) -> Entry | None:
        """A header pushed with a new block; None when its parent is not known (headers are asked), or when it
        is of the future (then later).

        Raises:
            Rejected: it breaks a rule.
        """
        peer = self.peers[link]
        if not self._worth_keeping([header]) or self._is_early(peer, header, now):
            return None
        try:
            entry = self._add_header(header, now)
        except Rejected as error:
            if error.code != "unknown-parent":
                raise
            self._ask_headers(peer, now)
            return None
        peer.best = self._better(peer.best, entry)
        return entry

    def _is_early(self, peer: Peer, header: Header, now: float) -> bool:
        """Whether a header is too far ahead of our clock to be taken yet: it, or ours, may be wrong.

        No fault of the peer, which has taken it by its own clock: it is asked again when it is time.
        """
        until = header.time - MAX_CLOCK_AHEAD
        if until <= int(now) or header.hash in self.chain.entries:
            return False
        peer.again = until if peer.again is None else min(peer.again, until)
        return True

    def _add_header(self, header: Header, now: float, block_hash: bytes | None = None) -> Entry:
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
        except PowError:  # no target at all: the chain says so in its own words
            return True

    def _better(self, known: Entry | None, found: Entry) -> Entry:
        return found if known is None or found.work >= known.work else known

    def _ask_headers(self, peer: Peer, now: float) -> None:
        if peer.headers_due is not None:
            return
        locator = self.chain.locator()
        if peer.best is not None and self.chain.on_best(peer.best.hash) is None:
            locator.insert(0, peer.best.hash)
        peer.headers_due = self._patience(now) + ANSWER_SECONDS
        self.requests.append((peer.link, GetHeaders(locator=tuple(h.hex() for h in locator))))

    # -- bodies --------------------------------------------------------------------------------

    def wanted(self, entry: Entry) -> bool:
        """Whether the votes of this block are neither here nor being checked."""
        here = entry.hash in self._checking or entry.hash in self._waiting
        return not (entry.available or entry.invalid or here)

    def ask_for(self, link: int, entry: Entry, now: float, missing: tuple[int, ...] | None = None) -> bool:
        """Ask one peer for a block, or for its `missing` votes, unless it is on its way or the peer is gone.

        Returns whether it was asked.
        """
        if link not in self.peers or not self.wanted(entry) or entry.hash in self._asked:
            return False
        block = entry.hash.hex()
        asking = (
            GetBlocks(hashes=(block,)) if missing is None else GetBlockVotes(hash=block, positions=missing)
        )
        self._asked[entry.hash] = (link, self._patience(now) + ANSWER_SECONDS)
        self.requests.append((link, asking))
        return True

    def ask_bodies(self, now: float) -> None:
        """Ask for the next blocks of the best known branch, spread over the peers that have it."""
        target = self.goal
        path = [] if target is None else self._way_to(target)
        self._forget_waiting_but(path)
        if target is None:
            return
        small = MAX_WAITING_VOTES // max(self._usual_votes, 1), MAX_WAITING_BYTES // self._usual_bytes
        most = max(min(MAX_WAITING_BODIES, *small), 1)
        room = most - len(self._asked) - len(self._waiting) - len(self._checking)
        missing = [e for e in path if self.wanted(e) and e.hash not in self._asked][: max(room, 0)]
        holders = [p for p in self.peers.values() if p.best is not None and p.best.work >= target.work]
        holders = self._prompt(holders) or holders
        due = self._patience(now) + ANSWER_SECONDS
        batches: dict[int, list[str]] = {}
        for index, entry in enumerate(missing):
            if not holders:
                break
            holder = holders[index // MAX_BLOCKS_ASKED % len(holders)]
            self._asked[entry.hash] = (holder.link, due)
            batches.setdefault(holder.link, []).append(entry.hash.hex())
        for link, hashes in batches.items():
            for start in range(0, len(hashes), MAX_BLOCKS_ASKED):
                batch = tuple(hashes[start : start + MAX_BLOCKS_ASKED])
                self.requests.append((link, GetBlocks(hashes=batch)))

    def _way_to(self, target: Entry) -> list[Entry]:
        """The oldest entries before `target`, itself included, whose votes are not here yet.

        The whole way is walked once for a target, not once for each body that comes in.
        """
        if self._goal is not target:
            self._goal, self._way = target, self.chain.missing_bodies(target)
        while self._way and self._way[-1].available:
            self._way.pop()
        return self._way[: -MAX_WAITING_BODIES - 1 : -1]

    def _forget_waiting_but(self, path: Sequence[Entry]) -> None:
        """Bodies that lead nowhere we want to go would take the room of those that do, for ever."""
        useful = {entry.hash for entry in path}
        for block_hash in [h for h in self._waiting if h not in useful]:
            del self._waiting[block_hash]

    def begin_check(self, entry: Entry, link: int, now: float) -> bool:
        """A body has come: claim it for checking. False when it is not needed any more."""
        self._asked.pop(entry.hash, None)
        if link in self.peers:
            self.peers[link].late = False
        if not self.wanted(entry):
            return False
        if not self._checking:
            self._busy_since = now
        self._checking.add(entry.hash)
        return True

    def end_check(self, entry: Entry, now: float) -> None:
        self._checking.discard(entry.hash)
        if not self._checking:
            self._busy_before += max(now - self._busy_since, 0.0)

    def _patience(self, now: float) -> float:
        """A clock for the promises of peers: it stands still while blocks are being checked."""
        return (min(self._busy_since, now) if self._checking else now) - self._busy_before

    def refused(self, block_hash: bytes, link: int) -> None:
        """A peer does not have a block of the branch it announced: it does not have that branch."""
        owed = self._asked.get(block_hash, (None, 0.0))[0] == link
        if owed:
            del self._asked[block_hash]
        peer = self.peers.get(link)
        if peer is not None and peer.best is not None and (owed or peer.best.hash == block_hash):
            peer.best = None

    def put_body(self, entry: Entry, votes: Sequence[SealedVote]) -> list[tuple[Entry, Sequence[SealedVote]]]:
        """A checked body: returns the blocks that can now be counted in, parents first."""
        ready: list[tuple[Entry, Sequence[SealedVote]]] = []
        if entry.invalid:  # a block before it was found invalid meanwhile
            return ready
        self._waiting[entry.hash] = votes
        self._usual_votes = max(len(votes), self._usual_votes // 2)
        self._usual_bytes = max(sum(len(vote.record) for vote in votes), self._usual_bytes // 2, 1)
        if not self.chain.parent(entry).available:
            return ready
        queue = [entry]
        while queue:
            found = queue.pop(0)
            ready.append((found, self._waiting.pop(found.hash)))
            queue += [self.chain.entries[child] for child in found.children if child in self._waiting]
        return ready

    def overdue(self, now: float) -> None:
        """Give up on answers that are late, and ask somebody else."""
        clock = self._patience(now)
        for block_hash in [h for h, (_, due) in self._asked.items() if due <= clock]:
            link, _ = self._asked.pop(block_hash)
            if link in self.peers:
                self.peers[link].late = True
        for peer in self.peers.values():
            if peer.headers_due is not None and peer.headers_due <= clock:
                peer.headers_due, peer.late = None, True
            if peer.again is not None and peer.again <= int(now):
                peer.again = None
                self._ask_headers(peer, now)
        self.ask_bodies(now)

    def _prompt(self, peers: Iterable[Peer]) -> list[Peer]:
        return [peer for peer in peers if not peer.late]

    def _target(self, peers: Iterable[Peer]) -> Entry | None:
        """The checked header of these peers with the most work, if it has more than our tip."""
        best = None
        for peer in peers:
            entry = peer.best
            if entry is None or entry.invalid or entry.work <= self.chain.tip.work:
                continue
            if best is None or entry.work > best.work:
                best = entry
        return best
