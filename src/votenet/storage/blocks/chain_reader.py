"""Reading a stored chain: all of it when a node starts, or its best branch while the node may be running.

Nothing is believed because it is stored. SQLite checks its own structure and indexes; a header must
have the hash it is stored under, the votes of a block must give the header's Merkle root, a voter may be
on the best branch once, a batch of waiting votes must have its digest. A proof of work covers the headers,
so what was saved and what is read agree in every bit that counts. Only the roll is outside the headers, so
each vote is looked up in it. 80,000 votes take well under a second.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header, log_leaves, unpack_header, votes_root
from votenet.core.ledger.chain import pack_location
from votenet.core.ledger.extras import NO_EXTRAS, HashedRecord, amendments_in, decode_extras
from votenet.core.ledger.vote import HashedVote, ballots, check_on_roll
from votenet.core.log.tiles import LogFrontier
from votenet.errors import ConfigError, Rejected, StorageCorrupt
from votenet.protocol.node.events import SaveEvidence
from votenet.protocol.node.signed_hours import SignedHours
from votenet.storage.blocks.block_store import StoredChain
from votenet.storage.blocks.tables import (
    CHAIN_SCHEMA,
    DATABASE_NAME,
    META_NAMES,
    SEALED_META,
    WaitingVotes,
    amendment_place,
    commit_place,
    digest_of,
    evidence_place,
    extras_place,
    read_body,
    read_rows,
    share_place,
    split_records,
    tile_place,
    unseal,
)
from votenet.storage.database import open_database, reading


def load_chain(
    conn: sqlite3.Connection,
    waiting: WaitingVotes,
    path: Path,
    genesis: bytes,
    digests: dict[bytes, bytes],
    election: Election,
    log: LogFrontier | None = None,
) -> StoredChain:
    """Everything a starting node needs.

    Args:
        genesis: hash of the election's first header.
        digests: gets the digest of each block's records (`digest_of`), by the hash of the block.
        election: with its roll, if it has one. The headers do not cover that: a folder that was made
            elsewhere may hold votes that this roll does not allow.
        log: the election's log with genesis alone; None where no nodes are named.

    Raises:
        StorageCorrupt: what is stored contradicts itself; code not-on-roll or wrong-key for such a vote.
        sqlite3.Error: it cannot be read.
    """
    tally = election.new_tally()
    stored = StoredChain(election, tally, frontier=log or LogFrontier(), log_sizes=[log.size] if log else [])
    check_roll = partial(_check_roll, path)
    try:
        (verdict,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise ValueError(" ".join(str(verdict).split()))
        _load_blocks(conn, genesis, stored, digests, check_roll)
        stored.waiting = waiting.load()
        # A vote in our closing list waits until the end, whatever an amendment says of its voter meanwhile.
        listed = frozenset(SignedHours(stored.hours).of(stored.election.closes).listed)
        check_roll(stored.election, [hashed for hashed in stored.waiting if hashed.id not in listed])
    except (ValueError, TypeError, Rejected) as error:
        raise damaged(path, error) from error
    return stored


def votes_under(header: Header, records: bytes, others: Sequence[HashedRecord] = ()) -> list[HashedVote]:
    """The votes of a stored block, whose other records are `others`.

    Raises:
        ValueError, TypeError: they are not those that its header commits to.
    """
    votes = split_records(records)
    if votes_root(votes, others) != header.merkle_root:
        raise ValueError("the votes of a block are not those that its header names")
    return votes


def damaged(path: Path, cause: object) -> StorageCorrupt:
    """The error for stored data that has changed since it was saved, with the operator's next step."""
    return StorageCorrupt(
        f"{path} is damaged: {cause}",
        next_step=f"Move {path}* away (all files whose names begin so) and start again:"
        " the node fetches the chain from its peers. Check the disk.",
    )


def _check_roll(path: Path, election: Election, votes: Iterable[HashedVote]) -> None:
    """One look-up for each vote: 80,000 take some 20 ms. Raises StorageCorrupt."""
    registered = election.registered
    if registered is None:
        return
    for hashed in votes:
        if registered.get(hashed.vote.voter_id) == hashed.vote.voter_key:
            continue
        try:
            check_on_roll(hashed.vote, election)
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
    check_roll: Callable[[Election, Iterable[HashedVote]], None],
) -> None:
    heights, tip = {genesis: 0}, genesis
    tiles: dict[tuple[int, int], bytes] = {}
    rows = conn.execute(
        "SELECT hash, height, best, header, number, extras, precommits FROM blocks ORDER BY height, number"
    )
    for block_hash, height, best, raw, number, written, precommits in rows:
        header = unpack_header(raw)
        if header.hash != block_hash:
            raise ValueError("a header is not the one that was saved")
        if heights.get(header.previous, -1) + 1 != height or height == 0:
            raise ValueError("a block does not stand on the one before it")
        heights[block_hash] = height
        records = read_rows(conn, number)
        digest, joined = digest_of(records), b",".join(records)
        del records  # else a start would need the memory of a block more
        extras = decode_extras(unseal(extras_place(block_hash), written))
        commit = unseal(commit_place(block_hash), precommits) if best or precommits is not None else b""
        votes = votes_under(header, joined, extras.records)
        check_roll(stored.election, votes)
        if extras != NO_EXTRAS or commit:
            stored.beside[block_hash] = extras, commit
        digests[block_hash] = digest
        stored.headers.append((header, bool(best)))
        if best:
            if header.previous != tip:
                raise ValueError("the best branch has a gap")
            tip = block_hash
            if stored.frontier.size:
                stored.frontier, new = stored.frontier.append(log_leaves(header, votes, extras.records))
                stored.log_sizes.append(stored.frontier.size)
                tiles.update(((tile.level, tile.number), tile.hashes) for tile in new)
            voters = [hashed.vote.voter_id for hashed in votes]
            stored.voters.update(zip(voters, itertools.count(pack_location(height, 0)), strict=False))
            stored.tally.add(ballots(votes), stored.election.weights_of(voters))
            stored.election = stored.election.amended(amendments_in(extras.records))
    if _read_tiles(conn) != tiles:
        raise ValueError("the tiles of the log are not those of its records")
    if _load_meta(conn, stored).get("tip", genesis) != tip:
        raise ValueError("the best branch does not end where it did")
    if len(stored.voters) != stored.tally.votes:
        raise ValueError("a voter is on the best branch twice")


def _read_tiles(conn: sqlite3.Connection) -> dict[tuple[int, int], bytes]:
    rows = conn.execute("SELECT level, number, hashes FROM tiles")
    return {(level, number): unseal(tile_place(level, number), hashes) for level, number, hashes in rows}


def _load_meta(conn: sqlite3.Connection, stored: StoredChain) -> dict[str, object]:
    """Fill in what a named node has signed, certificate, evidence, amendments; returns the table `meta`."""
    meta: dict[str, object] = dict(conn.execute("SELECT name, value FROM meta").fetchall())
    if not meta.keys() <= META_NAMES:
        raise ValueError("a saved value has lost its name")
    sealed = {name: unseal(name, meta[name]) for name in SEALED_META & meta.keys()}
    stored.finality, stored.hours = sealed.get("finality", b""), sealed.get("hours", b"")
    stored.restored = sealed.get("restored", b"")
    stored.accepted = int(sealed.get("accepted", b"0"))
    if "certificate" in meta:
        stored.certificate = _read_certificate(meta["certificate"])
    for node, kind, proof, sentence in conn.execute("SELECT node, kind, proof, sentence FROM evidence"):
        read = unseal(evidence_place(node, kind, sentence), proof)
        stored.evidence.append(SaveEvidence(node, kind, read, sentence))
    for number, sealed in conn.execute("SELECT number, record FROM amendments ORDER BY number"):
        stored.amendments.append(_read_amendment(unseal(amendment_place(number), sealed)))
    for place, sealed in conn.execute("SELECT place, share FROM shares ORDER BY place"):
        stored.shares.append(unseal(share_place(place), sealed).decode())
    return meta


_read_amendment = msgspec.json.Decoder(Amendment).decode


# -- from outside ------------------------------------------------------------------------------


def best_height(data_dir: Path) -> int:
    """The height of the stored best branch. Raises StorageError."""
    conn = open_database(data_dir / DATABASE_NAME, CHAIN_SCHEMA, read_only=True)
    with contextlib.closing(conn), reading():
        (height,) = conn.execute("SELECT max(height) FROM blocks WHERE best = 1").fetchone()
        return height or 0


def stored_certificate(data_dir: Path) -> tuple[int, str]:
    """The height and the text of the newest certificate; (0, "") for none. Raises StorageError."""
    path = data_dir / DATABASE_NAME
    conn = open_database(path, CHAIN_SCHEMA, read_only=True)
    with contextlib.closing(conn), reading():
        row = conn.execute("SELECT value FROM meta WHERE name = 'certificate'").fetchone()
    try:
        return (0, "") if row is None else _read_certificate(row[0])
    except (ValueError, TypeError) as error:
        raise damaged(path, error) from error


def stored_shares(data_dir: Path) -> tuple[str, ...]:
    """The trustees' shares in order of place, in the folder of an election with secret ballots.

    Raises StorageError.
    """
    path = data_dir / DATABASE_NAME
    conn = open_database(path, CHAIN_SCHEMA, read_only=True)
    with contextlib.closing(conn), reading():
        rows = conn.execute("SELECT place, share FROM shares ORDER BY place").fetchall()
    try:
        return tuple(unseal(share_place(place), sealed).decode() for place, sealed in rows)
    except (ValueError, TypeError) as error:
        raise damaged(path, error) from error


def _read_certificate(sealed: object) -> tuple[int, str]:
    return msgspec.json.decode(unseal("certificate", sealed), type=tuple[int, str])


def check_election(conn: sqlite3.Connection, path: Path, election: Election) -> None:
    """Raises ConfigError, code network-mismatch: the database belongs to another election."""
    row = conn.execute("SELECT value FROM meta WHERE name = 'network_id'").fetchone()
    if row is None or row[0] != election.network_id:
        raise ConfigError(
            f"{path} holds the chain of another election",
            code="network-mismatch",
            next_step="Give the genesis file of that election with --genesis.",
        )


def read_chain(
    data_dir: Path, election: Election, up_to: int | None = None
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(80 bytes of header, votes as canonical records joined by commas, extras in JSON) by height.

    Args:
        up_to: the height of the last one; all by default.

    One read transaction sees one state of the file, whatever the node commits meanwhile.

    Raises:
        StorageError: with the cause; StorageCorrupt when it is no database of a node.
        ConfigError: code network-mismatch; the folder belongs to another election.
    """
    path = data_dir / DATABASE_NAME
    conn = open_database(path, CHAIN_SCHEMA, read_only=True)
    with contextlib.closing(conn), reading():
        check_election(conn, path, election)
        rows = conn.execute(
            "SELECT hash, header, number, extras FROM blocks WHERE best = 1 AND height <= ? ORDER BY height",
            (2**62 if up_to is None else up_to,),
        )
        try:
            for block_hash, header, number, extras in rows:
                yield header, read_body(conn, number), unseal(extras_place(block_hash), extras)
        except (ValueError, TypeError) as error:
            raise damaged(path, error) from error
