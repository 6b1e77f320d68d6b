"""The chain and the pool of a running node in SQLite.

One writer applies changes in one transaction (`apply` returns when they are synced). One reader on its own
connection serves the event loop, another one the threads. Blocks keep their votes as the records they were
hashed from. Every read checks them: they must give the Merkle root of their header, or the digest that
they had when they did. docs/storage.md tells what is saved when, and what each fault does.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.ledger.block import Header, genesis_header, log_start, unpack_header
from votenet.core.ledger.chain import POSITION_BITS
from votenet.core.ledger.extras import decode_extras, encode_extras
from votenet.core.ledger.vote import HashedVote
from votenet.errors import ConfigError, Rejected, StorageCorrupt, StorageError
from votenet.protocol.node.events import (
    Change,
    DropAmendments,
    DropVotes,
    SaveAccepted,
    SaveAmendment,
    SaveBlock,
    SaveCertificate,
    SaveEvidence,
    SaveFinality,
    SaveHours,
    SaveRestored,
    SaveShare,
    SaveTiles,
    SaveVotes,
    SetBest,
)
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.protocol.peers.misbehavior import Ban
from votenet.storage.blocks.block_store import BlockStore, StoredChain
from votenet.storage.blocks.chain_reader import damaged, load_chain, votes_under
from votenet.storage.blocks.commit_mark import CommitMark
from votenet.storage.blocks.tables import (
    CHAIN_SCHEMA,
    DATABASE_NAME,
    WaitingVotes,
    amendment_place,
    commit_place,
    digest_of,
    evidence_place,
    extras_place,
    read_records,
    read_rows,
    read_vote,
    seal,
    share_place,
    tile_place,
    unseal,
    write_body,
)
from votenet.storage.database import open_database, reading, transaction

MARK_NAME: Final = f"{DATABASE_NAME}-commits"
PROBE_NAME: Final = f"{DATABASE_NAME}-probe"
PROBE_BYTES: Final = 256 * 1024
"""Room without which a node does not call itself well again: some hundreds of votes."""


class SqliteBlockStore(BlockStore):
    """The block store of a running node."""

    def __init__(self, data_dir: Path, election: Election) -> None:
        """Open or create `chain.db` in a folder whose lock the caller holds.

        Raises:
            StorageError: with the cause; StorageCorrupt when it is no database of a node.
            ConfigError: code network-mismatch; the folder belongs to another election.
        """
        self.path = data_dir / DATABASE_NAME
        self._genesis = genesis_header(election).hash
        self._log = log_start(election) if election.named else None
        self._election = election
        self._digests: dict[bytes, bytes] = {}
        """Of the records of blocks, by hash of the block, as they were when they were checked."""
        self._sharing = threading.Lock()
        """Held by the thread that reads on `_shared`."""
        with contextlib.ExitStack() as opened:

            def connect(*, read_only: bool) -> sqlite3.Connection:
                conn = open_database(self.path, CHAIN_SCHEMA, read_only=read_only)
                return opened.enter_context(contextlib.closing(conn))

            self._writer = connect(read_only=False)
            self._mark = CommitMark(data_dir / MARK_NAME)
            opened.callback(self._mark.close)
            self._waiting = WaitingVotes(self._writer)
            self._check_mark()
            self._claim(election)
            self._reader = connect(read_only=True)
            self._shared = connect(read_only=True)
            self._opened = opened.pop_all()

    def _meta(self, name: str) -> object:
        with reading():
            row = self._writer.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _check_mark(self) -> None:
        commits = self._meta("commits")
        if not isinstance(commits, int):
            raise damaged(self.path, "its number of commits is missing")
        lost = self._mark.read() - commits
        if lost > 0:
            why = f"its last {lost} commits are missing (it or its log was cut, changed or replaced)"
            raise damaged(self.path, why)

    def _claim(self, election: Election) -> None:
        network_id = self._meta("network_id")
        if network_id is None:
            with transaction(self._writer) as conn:
                conn.execute("INSERT INTO meta VALUES ('network_id', ?)", (election.network_id,))
        elif not isinstance(network_id, bytes):
            raise damaged(self.path, "its network id is no hash")
        elif network_id != election.network_id:
            raise ConfigError(
                f"{self.path} holds the chain of another election ({network_id.hex()[:16]}…)",
                code="network-mismatch",
                next_step="Give this node the genesis file of that election, or another --data-dir.",
            )

    def close(self) -> None:
        with self._sharing:
            self._opened.close()

    # -- writing -------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        try:
            with transaction(self._writer) as conn:
                for change in changes:
                    self._write(conn, change)
                [(commits,)] = conn.execute(
                    "UPDATE meta SET value = value + 1 WHERE name = 'commits' RETURNING value"
                )
        except BaseException:
            self._waiting.forget()
            raise
        self._mark.write(commits)

    def _write(self, conn: sqlite3.Connection, change: Change) -> None:
        if isinstance(change, SaveVotes):
            self._waiting.add(change.votes)
        elif isinstance(change, DropVotes):
            self._waiting.drop(change.ids)
        elif isinstance(change, SaveBlock):
            self._write_block(conn, change)
        elif isinstance(change, SaveFinality):
            _write_sealed(conn, "finality", change.state)
        elif isinstance(change, SaveAccepted):
            _write_sealed(conn, "accepted", b"%d" % change.time)
        elif isinstance(change, SaveHours):
            _write_sealed(conn, "hours", change.state)
        elif isinstance(change, SaveRestored):
            _write_sealed(conn, "restored", change.state)
        elif isinstance(change, SaveAmendment):
            number = change.amendment.number
            sealed = seal(amendment_place(number), canonical(change.amendment))
            conn.execute("INSERT OR REPLACE INTO amendments VALUES (?, ?)", (number, sealed))
        elif isinstance(change, DropAmendments):
            numbers = [(number,) for number in change.numbers]
            conn.executemany("DELETE FROM amendments WHERE number = ?", numbers)
        elif isinstance(change, SaveTiles):
            sealed_tiles = [
                (level, n, seal(tile_place(level, n), hashes)) for level, n, hashes in change.tiles
            ]
            conn.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)", sealed_tiles)
        elif isinstance(change, SaveEvidence):
            node, kind, proof, sentence = change
            sealed = seal(evidence_place(node, kind, sentence), proof)
            conn.execute(
                "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?)", (node, kind, sealed, sentence)
            )
        elif isinstance(change, SaveShare):
            sealed = seal(share_place(change.place), change.share.encode())
            conn.execute("INSERT OR REPLACE INTO shares VALUES (?, ?)", (change.place, sealed))
        elif isinstance(change, SaveCertificate):
            _write_sealed(conn, "certificate", msgspec.json.encode((change.height, change.note)))
        else:
            self._write_best(conn, change)

    def _write_block(self, conn: sqlite3.Connection, change: SaveBlock) -> None:
        entry = change.entry
        extras = seal(extras_place(entry.hash), encode_extras(entry.extras))
        saved = conn.execute(
            "INSERT OR IGNORE INTO blocks (hash, height, best, header, extras) VALUES (?, ?, 0, ?, ?)",
            (entry.hash, entry.height, entry.header.pack(), extras),
        )
        if saved.rowcount:
            assert saved.lastrowid is not None
            self._digests[entry.hash] = write_body(conn, saved.lastrowid, change.votes)

    def _write_best(self, conn: sqlite3.Connection, change: SetBest) -> None:
        conn.execute("UPDATE blocks SET best = 0 WHERE height > ? AND best = 1", (change.fork_height,))
        for entry, _ in change.blocks:
            best = conn.execute(
                "UPDATE blocks SET best = 1, precommits = ? WHERE hash = ?",
                (seal(commit_place(entry.hash), entry.commit), entry.hash),
            )
            if best.rowcount != 1:
                raise StorageError(f"block {entry.hash.hex()} is on the best branch but not stored")
            if entry.extras.miner is not None:
                self._delete_rivals(conn, entry.height)
        conn.execute("DELETE FROM meta WHERE name = 'tip'")
        tip = "SELECT 'tip', hash FROM blocks WHERE best = 1 ORDER BY height DESC LIMIT 1"
        conn.execute(f"INSERT INTO meta {tip}")

    def _delete_rivals(self, conn: sqlite3.Connection, height: int) -> None:
        """Named nodes have decided the block of a height: the others that were proposed there go."""
        rivals = conn.execute("SELECT number, hash FROM blocks WHERE height = ? AND best = 0", (height,))
        for number, block_hash in rivals.fetchall():
            places = number << POSITION_BITS, (number + 1) << POSITION_BITS
            conn.execute("DELETE FROM bodies WHERE place >= ? AND place < ?", places)
            conn.execute("DELETE FROM blocks WHERE number = ?", (number,))
            self._digests.pop(block_hash, None)

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        with transaction(self._writer) as conn:
            conn.execute("DELETE FROM peers")
            conn.executemany("INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)", peers)

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        with transaction(self._writer) as conn:
            conn.execute("DELETE FROM bans")
            conn.executemany("INSERT INTO bans VALUES (?, ?, ?, ?)", bans)

    def try_writing(self) -> None:
        """A commit that changes nothing, and room for the votes of a moment.

        Raises:
            StorageError: the disk is full or read-only, or another program keeps the database locked.
        """
        probe = self.path.with_name(PROBE_NAME)
        step = "Free some space on that disk, and make the folder writable for this user."
        told = StorageError.of_os_errors(f"cannot write in {probe.parent}", next_step=step)
        try:
            with told, probe.open("wb", buffering=0) as file:
                file.write(bytes(PROBE_BYTES))
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        with transaction(self._writer) as conn:
            conn.execute("UPDATE meta SET value = value WHERE name = 'commits'")

    # -- reading -------------------------------------------------------------------------------

    def damaged(self, cause: object) -> StorageCorrupt:
        return damaged(self.path, cause)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Around reads: stored values that have changed since they were saved become StorageCorrupt."""
        try:
            with reading():
                yield
        except (ValueError, TypeError, Rejected) as error:
            raise damaged(self.path, error) from error

    def load(self) -> StoredChain:
        with reading():
            return load_chain(
                self._writer,
                self._waiting,
                self.path,
                self._genesis,
                self._digests,
                self._election,
                self._log,
            )

    def votes_of(self, block_hash: bytes) -> Sequence[HashedVote]:
        with self._reading():
            number, header, extras = _block(self._reader, block_hash)
            return _votes_in(header, _rows(self._reader, number), extras)

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> HashedVote:
        with self._reading():
            return _vote_at(self._reader, _block(self._reader, block_hash)[0], position, voter_id)

    def votes_at(self, locations: Sequence[tuple[bytes, int, str]]) -> list[HashedVote]:
        with self._sharing, self._reading():
            blocks = {block_hash for block_hash, _, _ in locations}
            numbers = {block_hash: _block(self._shared, block_hash)[0] for block_hash in blocks}
            return [
                _vote_at(self._shared, numbers[block_hash], position, voter_id)
                for block_hash, position, voter_id in locations
            ]

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        with self._sharing, self._reading():
            return read_records(self._shared, _block(self._shared, block_hash)[0], start, count)

    def tile(self, level: int, number: int) -> bytes:
        with self._sharing, self._reading():
            row = self._shared.execute(
                "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number)
            ).fetchone()
            return b"" if row is None else unseal(tile_place(level, number), row[0])

    def block_line(self, block_hash: bytes) -> bytes | None:
        with self._sharing, self._reading():
            try:
                number, header, extras = _block(self._shared, block_hash)
            except StorageError:
                return None
            rows = _rows(self._shared, number)
        # Votes that are not the header's would cost us a score at the peer.
        if digest_of(rows) != self._digests.get(block_hash):
            with self._reading():
                _votes_in(header, rows, extras)
            self._digests[block_hash] = digest_of(rows)
        return join_block_line(header, *rows, extras=extras)

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[HashedVote]]]:
        """On a connection of its own: a long read may run beside the loop's short ones."""
        conn = open_database(self.path, CHAIN_SCHEMA, read_only=True)
        with contextlib.closing(conn), self._reading():
            for block_hash, header, number, extras in conn.execute(
                "SELECT hash, header, number, extras FROM blocks WHERE best = 1 ORDER BY height"
            ):
                read = unseal(extras_place(block_hash), extras)
                yield unpack_header(header), _votes_in(header, _rows(conn, number), read)

    def known_peers(self) -> list[CachedPeer]:
        with reading():
            rows = self._writer.execute("SELECT address, source, met, anchor FROM peers ORDER BY address")
            peers = [CachedPeer(address, source, met, bool(anchor)) for address, source, met, anchor in rows]
        for peer in peers:
            if not all(isinstance(v, kind) for v, kind in zip(peer, (str, str, int, bool), strict=True)):
                raise damaged(self.path, "a cached peer is no address")
        return peers

    def known_bans(self) -> list[Ban]:
        with reading():
            rows = self._writer.execute("SELECT subject, until, times, code FROM bans ORDER BY subject")
            return [Ban(*row) for row in rows]


def _block(conn: sqlite3.Connection, block_hash: bytes) -> tuple[int, bytes, bytes]:
    """Number, packed header and extras of a block.

    Raises:
        StorageError: it is not there.
        ValueError, TypeError: the extras are not those that were saved.
    """
    row = conn.execute("SELECT number, header, extras FROM blocks WHERE hash = ?", (block_hash,)).fetchone()
    if row is None:
        raise StorageError(f"block {block_hash.hex()} is not stored")
    number, header, extras = row
    return number, header, unseal(extras_place(block_hash), extras)


def _write_sealed(conn: sqlite3.Connection, name: str, value: bytes) -> None:
    conn.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, seal(name, value)))


def _rows(conn: sqlite3.Connection, number: int) -> list[bytes]:
    rows = read_rows(conn, number)
    if not all(isinstance(records, bytes) for records in rows):
        raise TypeError("the votes of a block are no records")
    return rows


def _votes_in(header: bytes, rows: Sequence[bytes], extras: bytes) -> list[HashedVote]:
    return votes_under(unpack_header(header), b",".join(rows), decode_extras(extras).records)


def _vote_at(conn: sqlite3.Connection, number: int, position: int, voter_id: str) -> HashedVote:
    vote = read_vote(conn, number, position)
    if vote is None or vote.voter_id != voter_id:
        raise ValueError(f"the vote of {voter_id!r} is not where it was saved")
    return vote


def join_block_line(header: bytes, *rows: bytes, extras: bytes = b"{}") -> bytes:
    """The `block` message out of a packed header, rows of comma-separated vote records, and extras in JSON.

    The votes are copied once.
    """
    head = b'{"type":"block","header":"%s","votes":[' % header.hex().encode()
    tail = b"]}" if extras == b"{}" else b"]," + extras[1:]
    first, *rest = rows or (b"",)
    if not rest:
        return b"".join((head, first, tail))
    return b",".join((head + first, *rest[:-1], rest[-1] + tail))
