"""Reading a stored chain back at the start of a node, and finding out whether it is still the same.

What lives here: the queries of a starting node and every check of stored data. What must not:
writing, rules of the ledger (all of it was checked before it was saved).

Nothing is believed because it is stored. SQLite checks its own structure and indexes; a header must
have the hash it is stored under, the votes of a block must give the header's Merkle root, the table of
voters must be what the best branch says, a waiting vote must have its id. A proof of work covers the
headers, so what was saved and what is read agree in every bit that counts. 80,000 votes take
well under a second.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from pathlib import Path

import msgspec

from votenet.core.block import Header, unpack_header, votes_root
from votenet.core.merkle import leaf_hash
from votenet.core.vote import SealedVote, Vote, unseal
from votenet.errors import Rejected, StorageCorrupt
from votenet.storage.interface import StoredChain


def load_chain(conn: sqlite3.Connection, path: Path, genesis: bytes) -> StoredChain:
    """Everything a starting node needs. `genesis` is the hash of the election's first header.

    Raises:
        StorageCorrupt: what is stored contradicts itself.
        sqlite3.Error: it cannot be read.
    """
    stored = StoredChain()
    try:
        _check_structure(conn)
        _load_blocks(conn, genesis, stored)
        stored.waiting = _load_waiting(conn)
    except (ValueError, TypeError, Rejected) as error:
        raise damaged(path, error) from error
    return stored


_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_vote_list = msgspec.json.Decoder(list[Vote])


def split_records(records: bytes) -> list[SealedVote]:
    """Joined records back into votes, each with exactly the bytes it was hashed from.

    Raises:
        ValueError, TypeError: they are not vote records.
    """
    joined = b"[" + records + b"]"
    raw = list(map(bytes, _raw_list.decode(joined)))
    return list(map(SealedVote, _vote_list.decode(joined), raw, map(leaf_hash, raw)))


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


def _load_blocks(conn: sqlite3.Connection, genesis: bytes, stored: StoredChain) -> None:
    heights, tip = {genesis: 0}, genesis
    rows = conn.execute("SELECT hash, height, best, header, records FROM blocks ORDER BY height, rowid")
    for block_hash, height, best, raw, records in rows:
        header = unpack_header(raw)
        if header.hash != block_hash:
            raise ValueError("a header is not the one that was saved")
        if heights.get(header.previous, -1) + 1 != height or height == 0:
            raise ValueError("a block does not stand on the one before it")
        heights[block_hash] = height
        votes = votes_under(header, records)
        stored.headers.append((header, bool(best)))
        if best:
            if header.previous != tip:
                raise ValueError("the best branch has a gap")
            tip = block_hash
            _count_in(conn, height, votes, stored)
    (saved,) = conn.execute("SELECT max(value) FROM meta WHERE name = 'tip'").fetchone()
    if (saved or genesis) != tip:
        raise ValueError("the best branch does not end where it did")
    (voters,) = conn.execute("SELECT count(*) FROM voters").fetchone()
    if not voters == len(stored.voters) == stored.tally.votes:
        raise ValueError("the voters are not those of the best branch")


def _count_in(conn: sqlite3.Connection, height: int, votes: list[SealedVote], stored: StoredChain) -> None:
    found = conn.execute(
        "SELECT voter_id, vote_id, position, time, choices FROM voters WHERE height = ? ORDER BY position",
        (height,),
    )
    expected = [
        (sealed.voter_id, sealed.id, position, sealed.vote.time, choices_json(sealed.vote.choices))
        for position, sealed in enumerate(votes)
    ]
    if found.fetchall() != expected:
        raise ValueError(f"the voters at height {height} are not those of the block")
    stored.voters.update((sealed.voter_id, height) for sealed in votes)
    stored.tally.add(sealed.vote.choices for sealed in votes)


@lru_cache(maxsize=1024)
def choices_json(choices: tuple[str, ...]) -> str:
    """The choices as the `voters` table holds them."""
    return msgspec.json.encode(choices).decode()


def _load_waiting(conn: sqlite3.Connection) -> list[SealedVote]:
    waiting = []
    for vote_id, record in conn.execute("SELECT vote_id, record FROM waiting ORDER BY arrival"):
        sealed = unseal(record)
        if sealed.id != vote_id:
            raise ValueError("a waiting vote is not the one that was saved")
        waiting.append(sealed)
    return waiting
