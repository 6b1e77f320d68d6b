"""The chain: a tree of headers, the branch with the most work, and who has voted on it.

A block is *available* when its votes have been checked and those of all its ancestors too. The best
block is the available one with the most cumulative work, first seen on a tie. The votes of the branch to
it are on the chain, at most one for each voter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header, genesis_header
from votenet.core.ledger.difficulty import next_bits
from votenet.core.ledger.extras import NO_EXTRAS, BlockExtras
from votenet.core.ledger.vote import HashedVote, ballots
from votenet.core.limits import BLOCK_VERSION, HEADER_BYTES, MAX_CLOCK_AHEAD, MEDIAN_SPAN
from votenet.core.methods.tally import ElectionTally
from votenet.errors import Rejected
from votenet.pow import bits_to_target, hash_to_int, work_of

MAX_LOCATOR: Final = 64
"""Hashes in a locator: 10 in a row, then doubling steps, reach back 2**54 blocks."""

POSITION_BITS: Final = 20
"""Bits of a packed location that hold the position in the block: no block has a million votes."""

VotesOf = Callable[[bytes], Sequence[HashedVote]]
"""Gives the votes of an available block by its hash."""


def pack_location(height: int, position: int) -> int:
    """Where a vote is, in one number: a tuple for each vote on the chain would take 60 bytes more."""
    return height << POSITION_BITS | position


def unpack_location(location: int) -> tuple[int, int]:
    """(height, position in the block)."""
    return location >> POSITION_BITS, location & ((1 << POSITION_BITS) - 1)


@dataclass(slots=True)
class BlockIndexEntry:
    """One header in the tree. `work` is cumulative: expected hashes from genesis to here.

    `median` is the median time of the block and its ancestors, MEDIAN_SPAN at most, in Unix seconds:
    no child may be older. `gap` is by how much it is above the parent's. `commit`: the precommits that
    decided it, as they are written; empty without named nodes, and while the block is only proposed.
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
    extras: BlockExtras = NO_EXTRAS
    commit: bytes = b""


class TipChange(NamedTuple):
    """How the best branch changed: blocks removed (tip first), blocks added (oldest first)."""

    disconnected: tuple[BlockIndexEntry, ...]
    connected: tuple[BlockIndexEntry, ...]


class UnknownParent(Rejected):
    """The block before this one is not known here."""


class Chain:
    """Headers, best branch, voters and tally of one election."""

    def __init__(self, election: Election) -> None:
        self.election = election
        """As it is in force behind the tip; what reads amendments (`PollEnd`) sets it."""
        header = genesis_header(election)
        genesis = BlockIndexEntry(header.hash, header, 0, 0, header.time, 0, available=True)
        self.entries: dict[bytes, BlockIndexEntry] = {genesis.hash: genesis}
        self.best: list[BlockIndexEntry] = [genesis]
        self.packed = bytearray(header.pack())
        """The headers of the best branch, genesis first, HEADER_BYTES each."""
        self.voters: dict[str, int] = {}
        """Voter id to the packed location of the vote."""
        self.tally = election.new_tally()
        self._by_work: dict[int, list[BlockIndexEntry]] = {0: [genesis]}
        """Headers by cumulative work, in order of arrival."""

    # -- looking -------------------------------------------------------------------------------

    @property
    def genesis(self) -> BlockIndexEntry:
        return self.best[0]

    @property
    def tip(self) -> BlockIndexEntry:
        return self.best[-1]

    def on_best(self, block_hash: bytes) -> BlockIndexEntry | None:
        entry = self.entries.get(block_hash)
        if entry is None or entry.height >= len(self.best) or self.best[entry.height] is not entry:
            return None
        return entry

    def tied_tips(self) -> list[BlockIndexEntry]:
        """Other blocks with exactly as much work as the tip."""
        tip = self.tip
        return [entry for entry in self._by_work[tip.work] if entry is not tip and not entry.invalid]

    def parent(self, entry: BlockIndexEntry) -> BlockIndexEntry:
        return self.entries[entry.header.previous]

    def next_bits(self, parent: BlockIndexEntry) -> int:
        """The compact target of a child of `parent`; that of genesis until medians cover enough blocks.

        Named nodes take turns, so no work of others can hurry them: their target stays.
        """
        if self.election.named or parent.height < MEDIAN_SPAN:
            return self.election.bits
        interval = self.election.definition.chain.block_seconds
        return next_bits(
            parent.header.bits, self.election.bits, interval, parent.gap, self.parent(parent).gap
        )

    def earliest_time(self, parent: BlockIndexEntry) -> int:
        """The time before which no child of `parent` may be, Unix seconds."""
        return parent.header.time if self.election.named else parent.median

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

    def headers_after(self, locator: Sequence[bytes], limit: int) -> tuple[bytes, BlockIndexEntry]:
        """Headers of the best branch that follow the first locator hash found on it, packed; the last one.

        With named nodes they end with one whose commit is known here.
        """
        start = next((e.height for h in locator if (e := self.on_best(h)) is not None), 0)
        end = min(start + limit, self.tip.height)
        while self.election.named and end > start and not self.best[end].commit:
            end -= 1
        return self.packed_headers(start + 1, end - start), self.best[end]

    def packed_headers(self, height: int, limit: int) -> bytes:
        """Up to `limit` headers of the best branch from a height on."""
        return bytes(self.packed[HEADER_BYTES * height : HEADER_BYTES * (height + limit)])

    def missing_bodies(self, tip: BlockIndexEntry) -> list[BlockIndexEntry]:
        """Entries on the branch to `tip` whose votes are not here yet, from `tip` back."""
        missing = []
        for entry in self._upwards(tip):
            if entry.available:
                break
            missing.append(entry)
        return missing

    # -- headers -------------------------------------------------------------------------------

    def add_header(self, header: Header, now: int, block_hash: bytes | None = None) -> BlockIndexEntry:
        """Check a header against its parent and add it to the tree; returns the entry, known or new.

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
            raise UnknownParent("unknown-parent", "the block before this one is not known here")
        if parent.invalid:
            raise Rejected("invalid-block", "a block before this one was found invalid")
        self._check_header(header, block_hash, parent, now)
        return self._put(header, block_hash, parent)

    def candidate(self, header: Header) -> BlockIndexEntry:
        """The entry of a block that named nodes propose on the tip, outside the tree.

        Its time may be ahead of any clock: `protocol/node/proposed_blocks.py` looks at that.

        Raises:
            Rejected: broken-chain, bad-version, bad-bits, bad-work, bad-time.
        """
        block_hash = header.hash
        if header.previous != self.tip.hash:
            raise Rejected("broken-chain", "the proposed block does not stand on the tip")
        self._check_header(header, block_hash, self.tip, header.time)
        return self._entry(header, block_hash, self.tip)

    def attach(self, entry: BlockIndexEntry) -> BlockIndexEntry:
        """Put a candidate that was decided into the tree; returns the entry there."""
        return self.entries.get(entry.hash) or self._attach(entry)

    def _put(self, header: Header, block_hash: bytes, parent: BlockIndexEntry) -> BlockIndexEntry:
        return self._attach(self._entry(header, block_hash, parent))

    def _attach(self, entry: BlockIndexEntry) -> BlockIndexEntry:
        self.entries[entry.hash] = entry
        self.parent(entry).children.append(entry.hash)
        self._by_work.setdefault(entry.work, []).append(entry)
        return entry

    def _entry(self, header: Header, block_hash: bytes, parent: BlockIndexEntry) -> BlockIndexEntry:
        times = [
            header.time,
            *(entry.header.time for entry in islice(self._upwards(parent), MEDIAN_SPAN - 1)),
        ]
        median = sorted(times)[len(times) // 2]
        work = parent.work + work_of(header.bits)
        return BlockIndexEntry(block_hash, header, parent.height + 1, work, median, median - parent.median)

    def _check_header(self, header: Header, block_hash: bytes, parent: BlockIndexEntry, now: int) -> None:
        if header.version != BLOCK_VERSION:
            raise Rejected("bad-version", f"block version {header.version} is not known")
        bits = self.next_bits(parent)
        if header.bits != bits:
            raise Rejected("bad-bits", f"the difficulty here is {bits:#010x}")
        if hash_to_int(block_hash) > bits_to_target(bits):
            raise Rejected("bad-work", "the block's hash does not meet its target")
        earliest = self.earliest_time(parent)
        if header.time < earliest:
            before = "that of the block before" if self.election.named else "its ancestors' median"
            raise Rejected("bad-time", f"the block's time is before {earliest}, {before}")
        if header.time > now + MAX_CLOCK_AHEAD and not self.election.named:
            raise Rejected("bad-time", "the block's time is more than two hours from now")

    # -- bodies --------------------------------------------------------------------------------

    def add_body(self, entry: BlockIndexEntry, votes_of: VotesOf) -> TipChange | None:
        """Make a block available whose votes are checked and whose parent is available.

        `votes_of` must already answer for `entry`. Returns the change of the best branch, or None
        when another branch has as much work. Named nodes decide once: their best branch only grows.

        Raises:
            Rejected: voter-twice; a voter has two votes on the branch to `entry`. The block with the second
                one is then marked invalid, and the best branch is as it was.
        """
        if entry.available:
            return None
        entry.available = True
        if entry.work <= self.tip.work or (self.election.named and entry.header.previous != self.tip.hash):
            return None
        return self._switch(entry, votes_of)

    def restore(
        self,
        entries: Sequence[tuple[Header, bool]],
        voters: dict[str, int],
        tally: ElectionTally,
        beside: Mapping[bytes, tuple[BlockExtras, bytes]] = MappingProxyType({}),
    ) -> None:
        """Rebuild from what a store kept: (header, on the best branch) by height, then the counts.

        `beside`: extras and commit of blocks that have some, by hash. With named nodes a block off the best
        branch was only proposed: it stays out of the tree.

        Raises:
            Rejected: unknown-parent, when the headers do not hang together.
        """
        for header, on_best in entries:
            parent = self.entries.get(header.previous)
            if parent is None:
                raise UnknownParent("unknown-parent", "a stored block has no parent")
            if not on_best and self.election.named:
                continue
            entry = self._put(header, header.hash, parent)
            entry.available = True
            entry.extras, entry.commit = beside.get(entry.hash, (NO_EXTRAS, b""))
            if on_best:
                if parent is not self.tip:
                    raise UnknownParent("unknown-parent", "the stored best branch has a gap")
                self._append(entry)
        self.voters, self.tally = voters, tally

    def _switch(self, target: BlockIndexEntry, votes_of: VotesOf) -> TipChange:
        # 1. Find the fork: the last block that the branch to `target` shares with the best branch.
        branch = []
        fork = target
        while self.on_best(fork.hash) is None:
            branch.append(fork)
            fork = self.parent(fork)
        # 2. Take the blocks after it off, from the tip back; none where `target` follows the tip.
        disconnected = tuple(reversed(self.best[fork.height + 1 :]))
        for old in disconnected:
            self._disconnect(votes_of(old.hash))
        # 3. Connect the new branch. Only now is it known who has voted on it: a second vote of a voter makes
        #    its block invalid, and the old branch comes back as it was.
        connected: list[BlockIndexEntry] = []
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
        return TipChange(disconnected, tuple(connected))

    def _connect(self, entry: BlockIndexEntry, votes: Sequence[HashedVote]) -> None:
        voters = [hashed.vote.voter_id for hashed in votes]
        if not self.voters.keys().isdisjoint(voters):
            twice = next(voter for voter in voters if voter in self.voters)
            raise Rejected("voter-twice", f"{twice!r} has voted earlier on this chain")
        self._append(entry)
        first = pack_location(entry.height, 0)
        self.voters.update(zip(voters, range(first, first + len(voters)), strict=True))
        self.tally.add(ballots(votes), self.election.weights_of(voters))

    def _append(self, entry: BlockIndexEntry) -> None:
        self.best.append(entry)
        self.packed += entry.header.pack()

    def _disconnect(self, votes: Sequence[HashedVote]) -> None:
        self.best.pop()
        del self.packed[-HEADER_BYTES:]
        voters = [hashed.voter_id for hashed in votes]
        for voter in voters:
            del self.voters[voter]
        self.tally.take_back(ballots(votes), self.election.weights_of(voters))

    def mark_invalid(self, entry: BlockIndexEntry) -> None:
        """Mark a block off the best branch, whose votes broke a rule, and all its descendants."""
        doubtful = [entry]
        while doubtful:
            bad = doubtful.pop()
            bad.invalid, bad.available = True, False
            doubtful += [self.entries[child] for child in bad.children]

    def _upwards(self, entry: BlockIndexEntry) -> Iterator[BlockIndexEntry]:
        yield entry
        while entry.height:
            entry = self.entries[entry.header.previous]
            yield entry
