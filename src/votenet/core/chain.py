"""The chain: a tree of headers, the branch with the most work, and who has voted on it.

What lives here: header rules, fork choice, connecting and disconnecting blocks, all in memory and
without a clock (time is an argument). What must not: the disk, peers, signatures.

A block is *available* when its votes have been checked and those of all its ancestors too. The
best block is the available one with the most cumulative work, first seen on a tie; votes of the
branch to it are on the chain, each voter once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from votenet.core.block import Header, genesis_header
from votenet.core.difficulty import next_bits
from votenet.core.election import Election
from votenet.core.limits import BLOCK_VERSION, HEADER_BYTES, MAX_CLOCK_AHEAD, MEDIAN_SPAN
from votenet.core.tally import Tally
from votenet.core.vote import SealedVote
from votenet.errors import Rejected
from votenet.pow import bits_to_target, hash_to_int, work_of

MAX_LOCATOR: Final = 64
"""Hashes in a locator: 10 in a row, then doubling steps, reach back 2**54 blocks."""

POSITION_BITS: Final = 20
"""Bits of a place that hold the position in the block: no block holds a million votes."""

VotesOf = Callable[[bytes], Sequence[SealedVote]]
"""Gives the votes of an available block by its hash; from memory or from the disk."""


def place_at(height: int, position: int) -> int:
    """Where a vote stands, in one number: a tuple for each vote on the chain would take 60 bytes more."""
    return height << POSITION_BITS | position


def split_place(place: int) -> tuple[int, int]:
    """(height, position in the block) of `place_at`."""
    return place >> POSITION_BITS, place & ((1 << POSITION_BITS) - 1)


@dataclass(slots=True)
class Entry:
    """One header in the tree. `work` is cumulative: expected hashes from genesis to here.

    `median` is the median time of the block and its ancestors, MEDIAN_SPAN at most, in Unix seconds:
    no child may be older. `gap` is by how much it is above the parent's.
    """

    hash: bytes
    header: Header
    height: int
    work: int
    median: int
    gap: int
    available: bool = False
    invalid: bool = False
    children: list[bytes] = field(default_factory=list)


class Move(NamedTuple):
    """How the best branch changed: blocks taken off (tip first), blocks put on (oldest first)."""

    disconnected: tuple[Entry, ...]
    connected: tuple[Entry, ...]


class Chain:
    """Headers, best branch, voters and tally of one election."""

    def __init__(self, election: Election) -> None:
        self.election = election
        header = genesis_header(election)
        genesis = Entry(header.hash, header, 0, 0, header.time, 0, available=True)
        self.entries: dict[bytes, Entry] = {genesis.hash: genesis}
        self.best: list[Entry] = [genesis]
        self.packed = bytearray(header.pack())
        """The headers of the best branch, genesis first, HEADER_BYTES each."""
        self.voters: dict[str, int] = {}
        """Voter id to the place of that voter's vote (`place_at`)."""
        self.tally = Tally()
        self._by_work: dict[int, list[Entry]] = {0: [genesis]}
        """Headers by cumulative work, in order of arrival."""

    # -- looking -------------------------------------------------------------------------------

    @property
    def genesis(self) -> Entry:
        return self.best[0]

    @property
    def tip(self) -> Entry:
        return self.best[-1]

    def on_best(self, block_hash: bytes) -> Entry | None:
        """The entry, if it is on the best branch."""
        entry = self.entries.get(block_hash)
        if entry is None or entry.height >= len(self.best) or self.best[entry.height] is not entry:
            return None
        return entry

    def rivals(self) -> list[Entry]:
        """Other blocks with exactly as much work as the tip: branches that nobody has decided yet."""
        tip = self.tip
        return [entry for entry in self._by_work[tip.work] if entry is not tip and not entry.invalid]

    def parent(self, entry: Entry) -> Entry:
        return self.entries[entry.header.previous]

    def next_bits(self, parent: Entry) -> int:
        """The compact target of a child of `parent`: genesis' as long as medians are of fewer blocks."""
        if parent.height < MEDIAN_SPAN:
            return self.election.bits
        interval = self.election.definition.chain.block_seconds
        return next_bits(
            parent.header.bits, self.election.bits, interval, parent.gap, self.parent(parent).gap
        )

    def locator(self) -> list[bytes]:
        """Hashes of the best branch from the tip back: ten in a row, then in doubling steps."""
        hashes: list[bytes] = []
        step, height = 1, len(self.best) - 1
        while height > 0 and len(hashes) < MAX_LOCATOR - 1:
            hashes.append(self.best[height].hash)
            if len(hashes) >= 10:
                step *= 2
            height -= step
        return [*hashes, self.genesis.hash]

    def headers_after(self, locator: Sequence[bytes], limit: int) -> bytes:
        """Headers of the best branch that follow the first locator hash found on it, packed."""
        start = next((e.height for h in locator if (e := self.on_best(h)) is not None), 0)
        return self.packed_headers(start + 1, limit)

    def packed_headers(self, height: int, limit: int) -> bytes:
        """Headers of the best branch from a height on, as far as there are some."""
        return bytes(self.packed[HEADER_BYTES * height : HEADER_BYTES * (height + limit)])

    def missing_bodies(self, tip: Entry) -> list[Entry]:
        """Entries on the way to `tip` whose votes are not here yet, from `tip` back."""
        missing = []
        for entry in self._upwards(tip):
            if entry.available:
                break
            missing.append(entry)
        return missing

    # -- headers -------------------------------------------------------------------------------

    def add_header(self, header: Header, now: int, block_hash: bytes | None = None) -> Entry:
        """Check a header against its parent and put it into the tree; known ones are returned.

        `block_hash` is the header's hash where a batch check has computed it already.

        Raises:
            Rejected: unknown-parent, invalid-block, bad-version, bad-bits, bad-work, bad-time.
        """
        if block_hash is None:
            block_hash = header.hash
        known = self.entries.get(block_hash)
        if known is not None:
            if known.invalid:
                raise Rejected("invalid-block", "this block or one before it was found invalid")
            return known
        parent = self.entries.get(header.previous)
        if parent is None:
            raise Rejected("unknown-parent", "the block before this one is not known here")
        if parent.invalid:
            raise Rejected("invalid-block", "a block before this one was found invalid")
        self._check_header(header, block_hash, parent, now)
        return self._put(header, block_hash, parent)

    def _put(self, header: Header, block_hash: bytes, parent: Entry) -> Entry:
        times = [
            header.time,
            *(found.header.time for found in islice(self._upwards(parent), MEDIAN_SPAN - 1)),
        ]
        median = sorted(times)[len(times) // 2]
        work = parent.work + work_of(header.bits)
        entry = Entry(block_hash, header, parent.height + 1, work, median, median - parent.median)
        self.entries[block_hash] = entry
        parent.children.append(block_hash)
        self._by_work.setdefault(work, []).append(entry)
        return entry

    def _check_header(self, header: Header, block_hash: bytes, parent: Entry, now: int) -> None:
        if header.version != BLOCK_VERSION:
            raise Rejected("bad-version", f"block version {header.version} is not known")
        bits = self.next_bits(parent)
        if header.bits != bits:
            raise Rejected("bad-bits", f"the difficulty here is {bits:#010x}")
        if hash_to_int(block_hash) > bits_to_target(bits):
            raise Rejected("bad-work", "the block's hash does not meet its target")
        if header.time < parent.median:
            raise Rejected("bad-time", f"the block's time is before {parent.median}, its ancestors' median")
        if header.time > now + MAX_CLOCK_AHEAD:
            raise Rejected("bad-time", "the block's time is more than two hours from now")

    # -- bodies --------------------------------------------------------------------------------

    def add_body(self, entry: Entry, votes_of: VotesOf) -> Move | None:
        """The votes of `entry` are checked and its parent is available: count it in.

        `votes_of` must already answer for `entry`. Returns the change of the best branch, or None
        when another branch has as much work.

        Raises:
            Rejected: voter-twice, when a voter of this block (or of one before it on a new best
                branch) had voted on that branch before; the entry is then marked invalid and
                the best branch is as it was.
        """
        if entry.available:
            return None
        entry.available = True
        if entry.work <= self.tip.work:
            return None
        return self._switch(entry, votes_of)

    def restore(self, entries: Sequence[tuple[Header, bool]], voters: dict[str, int], tally: Tally) -> None:
        """Rebuild from what a store kept: (header, on the best branch) by height, then the counts.

        Raises:
            Rejected: unknown-parent, when the headers do not hang together.
        """
        for header, on_best in entries:
            parent = self.entries.get(header.previous)
            if parent is None:
                raise Rejected("unknown-parent", "a stored block has no parent")
            entry = self._put(header, header.hash, parent)
            entry.available = True
            if on_best:
                if parent is not self.tip:
                    raise Rejected("unknown-parent", "the stored best branch has a gap")
                self._append(entry)
        self.voters, self.tally = voters, tally

    def _switch(self, target: Entry, votes_of: VotesOf) -> Move:
        branch = []
        entry = target
        while self.on_best(entry.hash) is None:
            branch.append(entry)
            entry = self.parent(entry)
        fork_height = entry.height
        disconnected = tuple(reversed(self.best[fork_height + 1 :]))
        for old in disconnected:
            self._disconnect(votes_of(old.hash))
        connected: list[Entry] = []
        for new in reversed(branch):
            try:
                self._connect(new, votes_of(new.hash))
            except Rejected:
                self.mark_invalid(new)
                for undone in reversed(connected):
                    self._disconnect(votes_of(undone.hash))
                for again in reversed(disconnected):
                    self._connect(again, votes_of(again.hash))
                raise
            connected.append(new)
        return Move(disconnected, tuple(connected))

    def _connect(self, entry: Entry, votes: Sequence[SealedVote]) -> None:
        voters = [sealed.vote.voter_id for sealed in votes]
        if not self.voters.keys().isdisjoint(voters):
            twice = next(voter for voter in voters if voter in self.voters)
            raise Rejected("voter-twice", f"{twice!r} has voted earlier on this chain")
        self._append(entry)
        first = place_at(entry.height, 0)
        self.voters.update(zip(voters, range(first, first + len(voters)), strict=True))
        self.tally.add(sealed.vote.choices for sealed in votes)

    def _append(self, entry: Entry) -> None:
        self.best.append(entry)
        self.packed += entry.header.pack()

    def _disconnect(self, votes: Sequence[SealedVote]) -> None:
        self.best.pop()
        del self.packed[-HEADER_BYTES:]
        for sealed in votes:
            del self.voters[sealed.voter_id]
        self.tally.take_back(sealed.vote.choices for sealed in votes)

    def mark_invalid(self, entry: Entry) -> None:
        """The votes of `entry` (not on the best branch) broke a rule: nothing built on it counts."""
        doubtful = [entry]
        while doubtful:
            found = doubtful.pop()
            found.invalid, found.available = True, False
            doubtful += [self.entries[child] for child in found.children]

    def _upwards(self, entry: Entry) -> Iterator[Entry]:
        """`entry` and its ancestors up to genesis."""
        yield entry
        while entry.height:
            entry = self.entries[entry.header.previous]
            yield entry
