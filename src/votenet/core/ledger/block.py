"""Block headers and blocks: layout, hash, and the rules that need only the block itself.

The 80-byte header is Bitcoin's on purpose: real mainnet headers are test vectors, and any miner's nonce
scan is a yardstick.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter, ge
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.ledger.extras import NO_EXTRAS, BlockExtras, HashedRecord
from votenet.core.ledger.vote import HashedVote, check_header_hours, check_vote
from votenet.core.limits import BLOCK_VERSION, HEADER_BYTES, MAX_BLOCK_BYTES
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.log.tiles import LogFrontier
from votenet.errors import Rejected
from votenet.pow import HeaderFault, header_hash, verify_headers

NO_PARENT: Final = bytes(32)
_LAYOUT: Final = struct.Struct("<I32s32sIII")


class Header(NamedTuple):
    """version u32, previous hash 32, Merkle root 32, time u32 (Unix s), bits u32, nonce u32."""

    version: int
    previous: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int

    def pack(self) -> bytes:
        """The 80 bytes that are hashed; integers little-endian."""
        return _LAYOUT.pack(*self)

    @property
    def hash(self) -> bytes:
        """SHA-256 of SHA-256 of the 80 bytes, in the order the hash function gives them."""
        return header_hash(self.pack())


def unpack_header(raw: bytes) -> Header:
    """Raises Rejected bad-header for another length than 80 bytes."""
    if len(raw) != HEADER_BYTES:
        raise Rejected("bad-header", f"a header has {HEADER_BYTES} bytes, not {len(raw)}")
    return Header._make(_LAYOUT.unpack(raw))


def header_from_hex(text: str) -> Header:
    """Raises Rejected bad-header for anything but 160 hexadecimal digits."""
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise Rejected("bad-header", "a header is written in hexadecimal") from error
    return unpack_header(raw)


def check_sequence(headers: Sequence[Header]) -> tuple[list[bytes], Rejected | None]:
    """Check links, targets and work of headers that should follow each other, all at once.

    Returns the hashes of those that hold, from the start, and why the next one does not.
    """
    verified = verify_headers(b"".join(header.pack() for header in headers))
    if verified.fault is None:
        return verified.hashes, None
    code, what = _FAULTS[verified.fault]
    return verified.hashes, Rejected(code, f"header {len(verified.hashes)} of {len(headers)}: {what}")


_FAULTS: Final = {
    HeaderFault.LINK: ("broken-chain", "it does not name the hash of the one before it"),
    HeaderFault.BITS: ("bad-bits", "its bits stand for no target"),
    HeaderFault.WORK: ("bad-work", "its hash does not meet its target"),
}


class Block(NamedTuple):
    """A header, the votes that its Merkle root covers, ordered by vote id, and the extras."""

    header: Header
    votes: tuple[HashedVote, ...]
    extras: BlockExtras = NO_EXTRAS


def genesis_header(election: Election) -> Header:
    """The genesis block's header. It follows from the definition alone, so it needs no work."""
    definition = election.definition
    return Header(BLOCK_VERSION, NO_PARENT, election.network_id, definition.created, election.bits, 0)


def order_votes(votes: Sequence[HashedVote]) -> tuple[HashedVote, ...]:
    """Block order: ascending vote id. It depends on nothing a miner can choose."""
    return tuple(sorted(votes, key=attrgetter("id")))


def votes_root(votes: Sequence[HashedVote], records: Sequence[HashedRecord] = ()) -> bytes:
    """The Merkle root that a header with these votes and other records names."""
    return merkle_root([hashed.id for hashed in votes] + [hashed.id for hashed in records])


def log_leaves(
    header: Header, votes: Sequence[HashedVote], records: Sequence[HashedRecord] = ()
) -> list[bytes]:
    """The leaf hashes that a block adds to the election's log: its records, then its header."""
    ids = [hashed.id for hashed in votes]
    return [*ids, *(record.id for record in records), leaf_hash(header.pack())]


def log_start(election: Election) -> LogFrontier:
    """The election's log with the genesis header alone."""
    return LogFrontier().append([leaf_hash(genesis_header(election).pack())])[0]


class WrongVotes(Rejected):
    """What came with a header is not covered by it: it says nothing about the block."""


def check_body(block: Block, election: Election, unchecked: Sequence[HashedVote] | None = None) -> None:
    """Check every rule about a block's votes that needs neither the chain nor signatures.

    `unchecked` are those of its votes that have not passed `check_vote` here before; by default all.

    Raises:
        Rejected: bad-merkle-root, if these are not the votes that the header names; else, about the
            block itself, block-too-large, bad-order, voter-twice, not-open, closed, or what
            `check_vote` says of one of its votes.
    """
    votes = block.votes
    # First: votes that the header does not name say nothing about the block, whatever else is wrong with
    # them. A node that blamed the header for them could be turned against any honest block.
    if votes_root(votes, block.extras.records) != block.header.merkle_root:
        raise WrongVotes("bad-merkle-root", "the Merkle root does not cover these votes")
    limit = election.definition.chain.max_block_votes
    if len(votes) > limit:
        raise Rejected("block-too-large", f"a block holds at most {limit} votes, not {len(votes)}")
    others = block.extras.records
    if sum([len(v.record) for v in votes]) + sum([len(r.record) for r in others]) > MAX_BLOCK_BYTES:
        raise Rejected("block-too-large", f"the records of a block have at most {MAX_BLOCK_BYTES} bytes")
    _check_record_order(others)
    ids = [hashed.id for hashed in votes]
    if any(map(ge, ids, ids[1:])):
        raise Rejected("bad-order", "the votes are not in ascending order of their ids")
    if len({hashed.vote.voter_id for hashed in votes}) != len(votes):
        raise Rejected("voter-twice", "a voter has two votes in this block")
    if votes:
        check_header_hours(block.header.time, election)
    for hashed in votes if unchecked is None else unchecked:
        check_vote(hashed, election)


def _check_record_order(records: Sequence[HashedRecord]) -> None:
    places = [hashed[:2] for hashed in records]
    if any(here >= after for here, after in pairwise(places)):
        raise Rejected("bad-order", "the records of a block are not in ascending order of kind and id")
