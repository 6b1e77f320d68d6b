"""Block headers and blocks: layout, hash, the rules that need only the block itself.

What lives here: the 80-byte header (Bitcoin's, on purpose: real mainnet headers are test vectors
and any miner's nonce scan is a yardstick), the genesis block, body checks. What must not: the
chain around the block.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import ge
from typing import Final, NamedTuple

from votenet.core.election import Election
from votenet.core.limits import BLOCK_VERSION, HEADER_BYTES, MAX_BLOCK_BYTES
from votenet.core.merkle import merkle_root
from votenet.core.vote import SealedVote, check_hours, check_vote
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
    """80 bytes to a Header. Raises Rejected bad-header for another length."""
    if len(raw) != HEADER_BYTES:
        raise Rejected("bad-header", f"a header has {HEADER_BYTES} bytes, not {len(raw)}")
    return Header._make(_LAYOUT.unpack(raw))


def header_from_hex(text: str) -> Header:
    """160 hexadecimal digits to a Header. Raises Rejected bad-header."""
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise Rejected("bad-header", "a header is written in hexadecimal") from error
    return unpack_header(raw)


def check_sequence(headers: Sequence[Header]) -> tuple[list[bytes], Rejected | None]:
    """Check headers that should follow each other, all at once: links, targets, work.

    Returns the hashes of those that hold, from the start, and why the next one does not.
    """
    found = verify_headers(b"".join(header.pack() for header in headers))
    hashes = [found.hash_at(index) for index in range(found.good)]
    if found.fault is None:
        return hashes, None
    code, what = _FAULTS[found.fault]
    return hashes, Rejected(code, f"header {found.good} of {len(headers)}: {what}")


_FAULTS: Final = {
    HeaderFault.LINK: ("broken-chain", "it does not name the hash of the one before it"),
    HeaderFault.BITS: ("bad-bits", "its bits stand for no target"),
    HeaderFault.WORK: ("bad-work", "its hash does not meet its target"),
}


class Block(NamedTuple):
    """A header and the votes that its Merkle root covers, ordered by vote id."""

    header: Header
    votes: tuple[SealedVote, ...]


def genesis_header(election: Election) -> Header:
    """The genesis block's header. It follows from the definition alone, so it needs no work."""
    definition = election.definition
    return Header(BLOCK_VERSION, NO_PARENT, election.network_id, definition.created, election.bits, 0)


def order_votes(votes: Sequence[SealedVote]) -> tuple[SealedVote, ...]:
    """Block order: ascending vote id. It depends on nothing a miner can choose."""
    return tuple(sorted(votes, key=lambda sealed: sealed.id))


def votes_root(votes: Sequence[SealedVote]) -> bytes:
    return merkle_root([sealed.id for sealed in votes])


def check_body(block: Block, election: Election, unchecked: Sequence[SealedVote] | None = None) -> None:
    """Every rule about a block's votes that needs neither the chain nor signatures.

    `unchecked` are those of its votes that have not passed `check_vote` here before; by default all.

    Raises:
        Rejected: bad-merkle-root, if these are not the votes that the header names; else, about the
            block itself, block-too-large, bad-order, voter-twice, not-open, closed, or what
            `check_vote` says of one of its votes.
    """
    votes = block.votes
    # First: other votes than the header's say nothing about the block, whatever else is wrong with
    # them. A node that blamed the header for them could be turned against any honest block.
    if votes_root(votes) != block.header.merkle_root:
        raise Rejected("bad-merkle-root", "the Merkle root does not cover these votes")
    limit = election.definition.chain.max_block_votes
    if len(votes) > limit:
        raise Rejected("block-too-large", f"a block holds at most {limit} votes, not {len(votes)}")
    if sum([len(sealed.record) for sealed in votes]) > MAX_BLOCK_BYTES:
        raise Rejected("block-too-large", f"the votes of a block have at most {MAX_BLOCK_BYTES} bytes")
    ids = [sealed.id for sealed in votes]
    if any(map(ge, ids, ids[1:])):
        raise Rejected("bad-order", "the votes are not in ascending order of their ids")
    if len({sealed.vote.voter_id for sealed in votes}) != len(votes):
        raise Rejected("voter-twice", "a voter has two votes in this block")
    if votes:
        check_hours(block.header.time, election)
    for sealed in votes if unchecked is None else unchecked:
        check_vote(sealed, election)
