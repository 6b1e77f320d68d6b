"""Reading a stored chain back at the start of a node, and finding out whether it is still the same.

What lives here: the queries of a starting node and every check of stored data. What must not:
writing, rules of the ledger (all of it was checked before it was saved).

Nothing is believed because it is stored. SQLite checks its own structure and indexes; a header must
have the hash it is stored under, the votes of a block must give the header's Merkle root, a voter may be
on the best branch once, a batch of waiting votes must have its digest. A proof of work covers the headers,
so what was saved and what is read agree in every bit that counts. Only the roll is outside the headers, so
each vote is looked up in it. 80,000 votes take well under a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from votenet.core.block import Header, unpack_header, votes_root
from votenet.core.chain import place_at
from votenet.core.vote import SealedVote, check_registered
from votenet.errors import Rejected, StorageCorrupt
from votenet.storage.bodies import digest_of, read_rows, split_records
from votenet.storage.interface import StoredChain
from votenet.storage.waiting import WaitingVotes


def load_chain(
    conn: sqlite3.Connection,
    waiting: WaitingVotes,
    path: Path,
    genesis: bytes,
    digests: dict[bytes, bytes],
    registered: Mapping[str, str] | None = None,
) -> StoredChain:
    """Everything a starting node needs.

    Args:
        genesis: hash of the election's first header.
        digests: gets the digest of each block's records (`bodies.digest_of`), by the hash of the block.
        registered: key of every voter on the roll, where the election has one. The headers do not cover
            it: a folder that was made elsewhere may hold votes that this roll does not allow.

    Raises:
        StorageCorrupt: what is stored contradicts itself; code not-on-roll or wrong-key for such a vote.
        sqlite3.Error: it cannot be read.
    """
    stored = StoredChain()
    allowed = _nothing if registered is None else partial(_check_roll, registered, path)
    try:
        _check_structure(conn)
        _load_blocks(conn, genesis, stored, digests, allowed)
        stored.waiting = waiting.load()
        allowed(stored.waiting)
    except (ValueError, TypeError, Rejected) as error:
        raise damaged(path, error) from error
    return stored


def votes_under(header: Header, records: bytes) -> list[SealedVote]:
    """The votes of a stored block.

    Raises:
        ValueError, TypeError: they are not those that its header commits to.
    """
    votes = split_records(records)
    if votes_root(votes) != header.merkle_root:
        raise ValueError("the votes of a block are not those that its header names")
    return votes


def damaged(path: Path, cause: object) -> StorageCorrupt:
    """The error for stored data that is not what was saved, with what an operator does next."""
    return StorageCorrupt(
        f"{path} is damaged: {cause}",
        next_step=f"Move {path}* away (all files whose names begin so) and start again:"
        " the node fetches the chain from its peers. Check the disk.",
    )


def _check_structure(conn: sqlite3.Connection) -> None:
    (verdict,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(" ".join(str(verdict).split()))


def _nothing(votes: Iterable[SealedVote]) -> None:
    """The check of an election without a roll."""


def _check_roll(registered: Mapping[str, str], path: Path, votes: Iterable[SealedVote]) -> None:
    """A look-up a vote: 80,000 take some 20 ms. Raises StorageCorrupt."""
    for sealed in votes:
        if registered.get(sealed.vote.voter_id) == sealed.vote.voter_key:
            continue
        try:
            check_registered(sealed.vote, registered)
        except Rejected as error:
            raise StorageCorrupt(
                f"{path} holds a vote that the roll does not allow: {error.message}",
                code=error.code,
                next_step=f"Move {path}* away (all files whose names begin so) and start again: the node"
                " fetches the chain from its peers. Or import the archive again, with --roll.",
            ) from error


def _load_blocks(
    conn: sqlite3.Connection,
    genesis: bytes,
    stored: StoredChain,
    digests: dict[bytes, bytes],
    allowed: Callable[[Iterable[SealedVote]], None],
) -> None:
    heights, tip = {genesis: 0}, genesis
    rows = conn.execute("SELECT hash, height, best, header, number FROM blocks ORDER BY height, number")
    for block_hash, height, best, raw, number in rows:
        header = unpack_header(raw)
        if header.hash != block_hash:
            raise ValueError("a header is not the one that was saved")
        if heights.get(header.previous, -1) + 1 != height or height == 0:
            raise ValueError("a block does not stand on the one before it")
        heights[block_hash] = height
        records = read_rows(conn, number)
        digest, joined = digest_of(records), b",".join(records)
        del records  # else a start would need the memory of a block more
        votes = votes_under(header, joined)
        allowed(votes)
        digests[block_hash] = digest
        stored.headers.append((header, bool(best)))
        if best:
            if header.previous != tip:
                raise ValueError("the best branch has a gap")
            tip = block_hash
            _count_in(height, votes, stored)
    (saved,) = conn.execute("SELECT max(value) FROM meta WHERE name = 'tip'").fetchone()
    if (saved or genesis) != tip:
        raise ValueError("the best branch does not end where it did")
    if len(stored.voters) != stored.tally.votes:
        raise ValueError("a voter is on the best branch twice")


def _count_in(height: int, votes: list[SealedVote], stored: StoredChain) -> None:
    first = place_at(height, 0)
    voters = [sealed.vote.voter_id for sealed in votes]
    stored.voters.update(zip(voters, range(first, first + len(voters)), strict=True))
    stored.tally.add(sealed.vote.choices for sealed in votes)
