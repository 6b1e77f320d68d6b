"""The end of an election with named nodes: closing lists, the closing block, the late votes that it counts.

Named nodes sign which votes they hold in time that are in no block. The closing block has the lists of a
quorum of them and, beside them, the ids of all these votes with a bit for each list. The ids that stand in
more lists than nodes may lie are the late votes. The blocks that follow hold exactly these.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import ge, itemgetter
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from votenet.core.election.amendment import amend, bad_amendment
from votenet.core.election.definition import Election
from votenet.core.election.quorum import faults_of, quorum_of
from votenet.core.keys import SigningKey
from votenet.core.ledger.extras import (
    BlockExtras,
    ClosingIds,
    ClosingList,
    HashedRecord,
    NotCounted,
    amendments_in,
    hash_record,
)
from votenet.core.ledger.statement import ClosingListStatement, Signed
from votenet.core.ledger.vote import HashedVote, check_ballot, check_on_roll, hash_vote
from votenet.core.limits import MAX_BLOCK_BYTES, MAX_CLOSING_IDS
from votenet.core.log.merkle import merkle_root
from votenet.errors import Rejected

ID_BYTES: Final = 32

# -- one list --------------------------------------------------------------------------------------


def sign_list(
    key: SigningKey, *, network_hex: str, node: int, closes: int, height: int, vote_ids: Collection[bytes]
) -> ClosingList:
    """A node's closing list; `height` is of its last decided block, the votes are in no block up to it."""
    statement = ClosingListStatement(
        closes=closes,
        count=len(vote_ids),
        height=height,
        network_id=network_hex,
        node=node,
        root=merkle_root(sorted(vote_ids)).hex(),
    )
    return list_record(statement, statement.sign(key))


def list_record(statement: ClosingListStatement, signature: str) -> ClosingList:
    """The record of a block that shows a signed list."""
    return ClosingList(**msgspec.structs.asdict(statement), signature=signature)


def statement_of(record: ClosingList) -> ClosingListStatement:
    members = msgspec.structs.asdict(record)
    del members["signature"]
    return ClosingListStatement(**members)


def signed_of(record: ClosingList) -> Signed[ClosingListStatement]:
    return Signed(signature=record.signature, statement=statement_of(record))


def check_list(record: ClosingList, *, network_hex: str, closes: int | None, keys: Sequence[bytes]) -> None:
    """Check who signed a list, and for which closing time; `keys` are the statement keys by index.

    Raises:
        Rejected: bad-closing.
    """
    if record.network_id != network_hex:
        raise _bad("a closing list is of another network")
    if closes is None or record.closes != closes:
        raise _bad(
            f"a closing list is for the closing time {record.closes}, which is not that of the election"
        )
    if record.node >= len(keys):
        raise _bad(f"there is no named node {record.node}")
    if not statement_of(record).holds(keys[record.node], record.signature):
        raise _bad(f"a closing list is not signed by named node {record.node}")


def list_holds_ids(record: ClosingList, vote_ids: Sequence[bytes]) -> bool:
    """Whether these ids, in ascending order, are those of a list."""
    ascending = not any(map(ge, vote_ids, vote_ids[1:]))
    return ascending and record.count == len(vote_ids) and record.root == merkle_root(vote_ids).hex()


# -- the closing block -----------------------------------------------------------------------------


class ListedIds(NamedTuple):
    """The votes of the closing lists: `ids` ascending, and for each the lists with it, a bit for each node
    of `nodes` (the smallest index is the lowest bit)."""

    nodes: tuple[int, ...]
    ids: list[bytes]
    bits: list[int]

    def in_list(self, place: int) -> list[bytes]:
        """The ids in the list of node `nodes[place]`, ascending."""
        mask = 1 << place
        return [vote_id for vote_id, bits in zip(self.ids, self.bits, strict=True) if bits & mask]

    def counted(self, nodes: int) -> list[bytes]:
        """The ids in more lists than may be those of liars, of `nodes` named nodes; ascending."""
        liars = faults_of(nodes)
        return [
            vote_id for vote_id, bits in zip(self.ids, self.bits, strict=True) if bits.bit_count() > liars
        ]


def merge_lists(ids_of: Mapping[int, Iterable[bytes]]) -> ListedIds:
    """The closing lists of several nodes, by their index, in one."""
    nodes = tuple(sorted(ids_of))
    bits: dict[bytes, int] = {}
    for place, node in enumerate(nodes):
        for vote_id in ids_of[node]:
            bits[vote_id] = bits.get(vote_id, 0) | 1 << place
    ids = sorted(bits)
    return ListedIds(nodes, ids, [bits[vote_id] for vote_id in ids])


def choose_lists(ids_of: Mapping[int, Collection[bytes]], quorum: int) -> ListedIds | None:
    """All lists, or as many as a closing block has room for; None if a quorum has no room.

    A list full of invented ids is left out: first goes the list with the most ids of its own.
    """
    chosen = dict(ids_of)
    while len(chosen) >= quorum:
        listed = merge_lists(chosen)
        if len(listed.ids) <= MAX_CLOSING_IDS:
            return listed
        alone = {node: listed.bits.count(1 << place) for place, node in enumerate(listed.nodes)}
        del chosen[max(alone, key=lambda node: (alone[node], node))]
    return None


def encode_listed(listed: ListedIds) -> ClosingIds:
    width = _width(len(listed.nodes))
    bits = b"".join([one.to_bytes(width, "little") for one in listed.bits])
    return ClosingIds(
        bits=base64.b64encode(bits).decode(), ids=base64.b64encode(b"".join(listed.ids)).decode()
    )


def check_closing(
    lists: Sequence[ClosingList],
    closing: ClosingIds,
    *,
    network_hex: str,
    closes: int | None,
    height: int,
    keys: Sequence[bytes],
) -> ListedIds:
    """Check the lists of the closing block at `height` and the ids beside them; returns what they list.

    Args:
        closes: the closing time of the election; None where it has none.
        keys: the statement keys of all named nodes, by index.

    Raises:
        Rejected: bad-closing.
    """
    # 1. Signed lists of a quorum of different nodes, none from the future.
    for record in lists:
        check_list(record, network_hex=network_hex, closes=closes, keys=keys)
        if record.height > height:
            raise _bad(f"the list of named node {record.node} is from after this block")
    of_node = {record.node: record for record in lists}
    if len(of_node) != len(lists):
        raise _bad("a named node has two lists in this block")
    if len(of_node) < quorum_of(len(keys)):
        raise _bad(f"{len(of_node)} of {len(keys)} named nodes have a list, {quorum_of(len(keys))} must")
    # 2. The ids have one spelling: ascending, each with a bit, no bit without a list.
    listed = decode_listed(closing, of_node)
    # 3. Each list is rebuilt from them.
    for place, node in enumerate(listed.nodes):
        if not list_holds_ids(of_node[node], listed.in_list(place)):
            raise _bad(f"the ids are not those that named node {node} has signed")
    return listed


def decode_listed(closing: ClosingIds, with_lists: Iterable[int]) -> ListedIds:
    """The ids beside the lists of these nodes. Raises Rejected bad-closing: they have another spelling."""
    nodes = tuple(sorted(with_lists))
    raw_ids, raw_bits, width = _decode_base64(closing.ids), _decode_base64(closing.bits), _width(len(nodes))
    count, rest = divmod(len(raw_ids), ID_BYTES)
    if rest or len(raw_bits) != count * width:
        raise _bad("ids and bits have not the lengths that the lists ask for")
    if count > MAX_CLOSING_IDS:
        raise _bad(f"closing lists have at most {MAX_CLOSING_IDS} ids together, not {count}")
    ids = [raw_ids[start : start + ID_BYTES] for start in range(0, len(raw_ids), ID_BYTES)]
    bits = [
        int.from_bytes(raw_bits[start : start + width], "little") for start in range(0, count * width, width)
    ]
    if any(map(ge, ids, ids[1:])):
        raise _bad("the ids are not in ascending order")
    if not all(0 < one < 1 << len(nodes) for one in bits):
        raise _bad("an id is in no list, or in one that is not there")
    return ListedIds(nodes, ids, bits)


def _width(lists: int) -> int:
    """Bytes of the bits of one id."""
    return (lists + 7) // 8


def _decode_base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _bad("ids and bits are written in base64") from error
    if base64.b64encode(raw).decode() != text:
        raise _bad("base64 is written with its padding, and with its unused bits 0")
    return raw


def _bad(what: str) -> Rejected:
    return Rejected("bad-closing", what)


# -- late votes ------------------------------------------------------------------------------------

HasVoted = Callable[[str], bool]
"""Whether a voter has a vote in a block."""


class LateBlock(NamedTuple):
    """The content of a block after the closing block, in block order."""

    votes: tuple[HashedVote, ...]
    records: tuple[HashedRecord, ...]
    """The late votes of voters who have a vote in a block already."""


def late_block(
    waiting: Iterable[HashedVote],
    has_voted: HasVoted,
    max_block_votes: int,
    given_keys: Mapping[str, str] = MappingProxyType({}),
) -> LateBlock:
    """The one block that may follow: the first of the late votes that wait, as many as fit.

    Args:
        waiting: the late votes that are in no block yet, in ascending order of their ids.
        given_keys: keys that amendments gave voters: votes with the keys before are passed over.
    """
    votes: list[HashedVote] = []
    records: list[HashedRecord] = []
    voters: set[str] = set()
    size = 0
    for hashed in waiting:
        counts = not (
            hashed.voter_id in voters or has_voted(hashed.voter_id) or _replaced(hashed, given_keys)
        )
        record = None if counts else hash_record(NotCounted(vote=hashed.vote))
        size += len(hashed.record if record is None else record.record)
        if len(votes) + len(records) == max_block_votes or size > MAX_BLOCK_BYTES:
            break
        if record is None:
            votes.append(hashed)
            voters.add(hashed.voter_id)
        else:
            records.append(record)
    return LateBlock(tuple(votes), tuple(sorted(records, key=lambda one: one.id)))


def _replaced(hashed: HashedVote, given_keys: Mapping[str, str]) -> bool:
    """Whether a vote is signed by another key than the one that an amendment gave its voter."""
    return given_keys.get(hashed.voter_id, hashed.vote.voter_key) != hashed.vote.voter_key


@dataclass(frozen=True, slots=True)
class LateVotes:
    """The late votes of a closing block, of which the first `place` are in blocks.

    Blocks are checked one by one, without the votes that are still to come: whether a block had room for the
    next vote shows when that comes, in the block after it.
    """

    ids: Sequence[bytes]
    """Of all late votes, ascending."""
    max_block_votes: int
    place: int = 0
    room: tuple[int, int] = (0, 0)
    """Records and bytes that the block before had room for."""

    @property
    def waiting(self) -> int:
        """How many of them are in no block yet: after the last one no block may follow."""
        return len(self.ids) - self.place

    def take(
        self,
        votes: Sequence[HashedVote],
        records: Sequence[HashedRecord],
        has_voted: HasVoted,
        given_keys: Mapping[str, str] = MappingProxyType({}),
    ) -> LateVotes:
        """What is left behind the next block. Its votes are checked elsewhere, each by itself.

        `given_keys` as for `late_block`.

        Raises:
            Rejected: bad-late-votes.
        """
        # 1. The next ids, no other ones.
        late = [(hashed.id, hashed, len(hashed.record), True) for hashed in votes]
        for record, inner in passed_over(records):
            late.append((inner.id, inner, len(record.record), False))
        late.sort(key=itemgetter(0))
        ids = [vote_id for vote_id, *_ in late]
        if len(late) < len(votes) + len(records) or not late or ids != self._next(len(ids)):
            raise _wrong("these are not the late votes that come next")
        # 2. The block before this one had no room for the first of them.
        sizes = [size for _, _, size, _ in late]
        if self.room[0] > 0 and self.room[1] >= sizes[0]:
            raise _wrong("the block before this one had room for more late votes")
        room = self.max_block_votes - len(late), MAX_BLOCK_BYTES - sum(sizes)
        if min(room) < 0:
            raise _wrong("these are more late votes than a block holds")
        # 3. The first vote of each voter counts.
        voters: set[str] = set()
        for _, hashed, _, counts in late:
            voter_id = hashed.voter_id
            if counts == (voter_id in voters or has_voted(voter_id) or _replaced(hashed, given_keys)):
                raise _wrong(f"of the votes of {voter_id!r} the first counts, and no other")
            if counts:
                voters.add(voter_id)
        return LateVotes(self.ids, self.max_block_votes, self.place + len(ids), room)

    def _next(self, count: int) -> list[bytes]:
        return list(self.ids[self.place : self.place + count])


def passed_over(records: Sequence[HashedRecord]) -> list[tuple[HashedRecord, HashedVote]]:
    """The records of late votes that do not count, each with its vote."""
    return [(one, hash_vote(one.value.vote)) for one in records if isinstance(one.value, NotCounted)]


def check_passed_over(hashed: HashedVote, election: Election) -> None:
    """Check a late vote that does not count; the key before an amendment is not on the roll any more.

    Raises:
        Rejected: as `check_vote` does.
    """
    check_ballot(hashed, election)
    if not _replaced(hashed, election.given_keys):
        check_on_roll(hashed.vote, election)


def _wrong(what: str) -> Rejected:
    return Rejected("bad-late-votes", what)


# -- a whole chain ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PollEnd:
    """How far a chain has come: to its closing block, through the late votes, to its last block."""

    election: Election
    """As it is in force behind the last block."""
    listed: ListedIds | None = None
    """The closing lists, once the closing block is there."""
    late: LateVotes | None = None

    @property
    def over(self) -> bool:
        """Whether no block may follow: all that the closing block counts is in blocks, or a cancel."""
        return self.election.cancelled or self.counted

    @property
    def counted(self) -> bool:
        """Whether all that the closing block counts is in blocks."""
        return self.late is not None and self.late.waiting == 0

    def after(
        self,
        votes: Sequence[HashedVote],
        extras: BlockExtras,
        *,
        height: int,
        time: int,
        on_chain: Callable[[bytes], bool],
        has_voted: HasVoted,
    ) -> PollEnd:
        """How far it has come with the block at `height`, whose votes are checked elsewhere.

        Args:
            time: of its header, Unix seconds.
            on_chain: whether a vote is in a block before this one.
            has_voted: whether a voter has a vote in a block before this one.

        Raises:
            Rejected: bad-closing, bad-late-votes, bad-amendment; closed or cancelled, for a block after the
                last one.
        """
        # 1. What kind of block this is, and whether it may stand here.
        lists = [one.value for one in extras.records if isinstance(one.value, ClosingList)]
        amendments = amendments_in(extras.records)
        closes = extras.closing is not None or bool(lists)
        if self.election.cancelled:
            raise Rejected("cancelled", "the election was cancelled: no block follows")
        if amendments and (closes or (self.late is not None and not self.counted)):
            raise bad_amendment("the closing block, and those behind it, have none")
        # 2. Late votes, the closing block, or a block of before.
        if self.late is not None and closes:
            raise _bad("the election has been closed before")
        if self.counted:
            raise Rejected("closed", "the election has ended: no block follows")
        if self.late is not None:
            given = self.election.given_keys
            return replace(self, late=self.late.take(votes, extras.records, has_voted, given))
        if closes:
            return self._closed(votes, extras, lists, height, on_chain)
        if len(amendments) < len(extras.records):
            raise _wrong("votes are passed over before the closing block")
        if not amendments:
            return self
        here = {hashed.voter_id for hashed in votes}
        voted = lambda voter_id: voter_id in here or has_voted(voter_id)  # noqa: E731
        return replace(self, election=amend(self.election, amendments, time=time, has_voted=voted))

    def _closed(
        self,
        votes: Sequence[HashedVote],
        extras: BlockExtras,
        lists: Sequence[ClosingList],
        height: int,
        on_chain: Callable[[bytes], bool],
    ) -> PollEnd:
        election = self.election
        if not election.named:
            raise _bad("an election without named nodes has no closing block")
        if extras.closing is None or votes or len(lists) < len(extras.records):
            raise _bad("a closing block has closing lists and their ids, and no votes")
        listed = check_closing(
            lists,
            extras.closing,
            network_hex=election.network_hex,
            closes=election.closes,
            height=height,
            keys=election.statement_keys,
        )
        late = [vote_id for vote_id in listed.counted(election.named) if not on_chain(vote_id)]
        return PollEnd(election, listed, LateVotes(late, election.definition.chain.max_block_votes))
