"""A node's SQLite file: its owner, damage, and kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    Ledger,
    make_election,
    make_vote,
    make_votes,
    votes_in_order,
)
from support.named_history import named_history
from votenet.core.ledger.chain import pack_location, unpack_location
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.merkle import leaf_hash
from votenet.errors import ConfigError, StorageCorrupt, StorageError
from votenet.protocol.node.events import SaveBlock, SaveVotes, SetBest
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.storage import database
from votenet.storage.blocks import sqlite_block_store
from votenet.storage.blocks.sqlite_block_store import MARK_NAME, SqliteBlockStore, join_block_line
from votenet.storage.blocks.tables import DATABASE_NAME

ELECTION = make_election(bits=TRIVIAL_BITS)


def fill(folder: Path, blocks: int = 3) -> Ledger:
    """A closed store with some blocks of two votes, and three votes waiting."""
    ledger = Ledger(ELECTION)
    store = SqliteBlockStore(folder, ELECTION)
    for n in range(blocks):
        save(ledger, store, make_votes(ELECTION, 2, first=1 + 2 * n))
    store.apply([SaveVotes(make_votes(ELECTION, 3, first=100))])
    store.close()
    return ledger


def save(ledger: Ledger, store: SqliteBlockStore, votes: list[HashedVote]) -> bytes:
    """Grow the chain by a block; its hash."""
    block, entry = ledger.grow(*votes), ledger.chain.tip
    store.apply([SaveBlock(entry, block.votes), SetBest(entry.height - 1, [(entry, block.votes)])])
    return entry.hash


def alter(folder: Path, sql: str, *values: object) -> None:
    """Change the closed file behind the store's back."""
    conn = sqlite3.connect(folder / DATABASE_NAME)
    try:
        with conn:
            assert conn.execute(sql, values).rowcount != 0
    finally:
        conn.close()


def read_all(folder: Path) -> None:
    """Everything a node reads."""
    store = SqliteBlockStore(folder, ELECTION)
    try:
        stored = store.load()
        for header, _ in stored.headers:
            store.votes_of(header.hash)
            store.block_line(header.hash)
        best = [header for header, on_best in stored.headers if on_best]
        for voter_id, place in stored.voters.items():
            height, position = unpack_location(place)
            store.vote_at(best[height - 1].hash, position, voter_id)
        list(votes_in_order(store))
        store.known_peers()
        store.known_bans()
    finally:
        store.close()


def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    store = SqliteBlockStore(tmp_path, ELECTION)
    try:
        store.apply([SaveVotes([make_vote(ELECTION, "x")])])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        store.close()
    assert DATABASE_NAME in modes
    assert len(modes) > 1, "the log is there too"
    assert set(modes.values()) == {0o600}


def test_another_elections_folder_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    before = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(ConfigError, match="another election") as caught:
        SqliteBlockStore(tmp_path, make_election(title="Another"))
    assert caught.value.code == "network-mismatch"
    assert caught.value.next_step
    assert (tmp_path / DATABASE_NAME).read_bytes() == before
    read_all(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        SqliteBlockStore(tmp_path / "nowhere", ELECTION)


# -- damage ---------------------------------------------------------------------------------------


def test_a_file_of_another_kind_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"not a database, but long enough to be read as one " * 40)
    with pytest.raises(StorageCorrupt):
        SqliteBlockStore(tmp_path, ELECTION)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / DATABASE_NAME)
    conn.executescript("CREATE TABLE other (x); PRAGMA user_version = 1;")
    conn.close()
    with pytest.raises(StorageError, match="meta"):
        SqliteBlockStore(tmp_path, ELECTION)


DAMAGE: dict[str, tuple[str, object]] = {
    "header short": ("UPDATE blocks SET header = ? WHERE height = 2", b"\x01" * 79),
    "header another": ("UPDATE blocks SET header = ? WHERE height = 3", b"\x01" * 80),
    "header text": ("UPDATE blocks SET header = ? WHERE height = 2", "text"),
    "hash another": ("UPDATE blocks SET hash = ? WHERE height = 2", b"\x01" * 32),
    "waiting record": ("UPDATE waiting SET records = ? WHERE batch = 1", b"{}"),
    "waiting records cut": ("UPDATE waiting SET records = substr(records, 1, ?) WHERE batch = 1", 99),
    "waiting not UTF-8": ("UPDATE waiting SET records = ? WHERE batch = 1", b'{"choices":["\xff"]}'),
    "waiting number": ("UPDATE waiting SET records = ? WHERE batch = 1", 7),
    "waiting another vote": (
        "UPDATE waiting SET records = ? WHERE batch = 1",
        make_vote(ELECTION, "somebody else").record,
    ),
    "waiting another digest": ("UPDATE waiting SET digest = ? WHERE batch = 1", bytes(32)),
    "waiting no votes": (
        f"UPDATE waiting SET records = ?, digest = x'{leaf_hash(b'{}').hex()}' WHERE batch = 1",
        b"{}",
    ),
    "best branch cut": ("UPDATE blocks SET best = 0 WHERE height = ?", 3),
    "best branch with a hole": ("UPDATE blocks SET best = 0 WHERE height = ?", 2),
    "tip": ("UPDATE meta SET value = ? WHERE name = 'tip'", b"\x01" * 32),
    "tip lost": ("DELETE FROM meta WHERE name = ?", "tip"),
    "commits": ("UPDATE meta SET value = ? WHERE name = 'commits'", "many"),
    "commits taken back": ("UPDATE meta SET value = value - ? WHERE name = 'commits'", 1),
    "commits lost": ("DELETE FROM meta WHERE name = ?", "commits"),
    "height": ("UPDATE blocks SET height = ? WHERE height = 3", 4),
    "block lost": ("DELETE FROM blocks WHERE height = ?", 2),
    "last block lost": ("DELETE FROM blocks WHERE height = ?", 3),
    "records of a vote fewer": (
        f"UPDATE bodies SET records = ? WHERE place = {pack_location(2, 0)}",
        make_votes(ELECTION, 1, first=3)[0].record,
    ),
    "records of another block": (
        f"UPDATE bodies SET records = (SELECT records FROM bodies WHERE place = ?)"
        f" WHERE place = {pack_location(2, 0)}",
        pack_location(1, 0),
    ),
    "no records": (f"UPDATE bodies SET records = ? WHERE place = {pack_location(2, 0)}", b""),
    "records lost": ("DELETE FROM bodies WHERE place = ?", pack_location(2, 0)),
    "records moved": (
        f"UPDATE bodies SET place = ? WHERE place = {pack_location(2, 0)}",
        pack_location(2, 7),
    ),
    "network id": ("UPDATE meta SET value = ? WHERE name = 'network_id'", "text"),
    "records cut": (
        f"UPDATE bodies SET records = substr(records, 1, ?) WHERE place = {pack_location(2, 0)}",
        99,
    ),
    "records not UTF-8": (
        f"UPDATE bodies SET records = ? WHERE place = {pack_location(2, 0)}",
        b'{"choices":["\xff"]}',
    ),
    "records text": (f"UPDATE bodies SET records = ? WHERE place = {pack_location(2, 0)}", "text"),
    "records of another shape": (
        f"UPDATE bodies SET records = ? WHERE place = {pack_location(2, 0)}",
        b'{"a":1}',
    ),
}
"""What is done to the file that `fill` makes: block number n is at height n."""


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_row_says_so(name: str, tmp_path: Path) -> None:
    fill(tmp_path)
    read_all(tmp_path)
    alter(tmp_path, DAMAGE[name][0], DAMAGE[name][1])
    with pytest.raises(StorageCorrupt) as caught:
        read_all(tmp_path)
    assert caught.value.exit_code == 78
    assert f"Move {tmp_path / DATABASE_NAME}* away" in caught.value.next_step


@pytest.mark.parametrize("name", ["records cut", "records of another block", "no records"])
def test_damage_that_comes_while_the_node_runs_is_found_when_it_is_read(name: str, tmp_path: Path) -> None:
    ledger = fill(tmp_path)
    damaged, good = ledger.chain.best[2].hash, ledger.chain.best[1].hash
    store = SqliteBlockStore(tmp_path, ELECTION)
    try:
        store.load()
        alter(tmp_path, DAMAGE[name][0], DAMAGE[name][1])
        reads: list[Callable[[], object]] = [
            lambda: store.votes_of(damaged),
            lambda: store.block_line(damaged),
            lambda: list(votes_in_order(store)),
        ]
        for read in reads:
            with pytest.raises(StorageCorrupt):
                read()
        assert list(store.votes_of(good)) == list(ledger.votes_of(good))
    finally:
        store.close()


SEALED = {
    "extras": "SELECT rowid, extras FROM blocks",
    "precommits": "SELECT rowid, precommits FROM blocks WHERE best = 1",
    "hashes": "SELECT rowid, hashes FROM (SELECT level * 1000 + number AS rowid, hashes FROM tiles)",
    "proof": "SELECT node, proof FROM evidence",
    **{name: f"SELECT name, value FROM meta WHERE name = '{name}'"
       for name in ("finality", "accepted", "hours", "certificate")},
}  # fmt: skip
WHERE = {
    "extras": ("blocks", "extras", "rowid"),
    "precommits": ("blocks", "precommits", "rowid"),
    "hashes": ("tiles", "hashes", "level * 1000 + number"),
    "proof": ("evidence", "proof", "node"),
}


def named_home(folder: Path) -> SqliteBlockStore:
    election, batches = named_history()
    store = SqliteBlockStore(folder, election)
    for batch in batches:
        store.apply(batch)
    return store


@pytest.mark.parametrize("name", SEALED)
def test_a_flipped_bit_in_what_no_header_covers_is_found_at_the_start(name: str, tmp_path: Path) -> None:
    store = named_home(tmp_path)
    conn = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
    try:
        store.load()
        rows = conn.execute(SEALED[name]).fetchall()
        assert rows
        table, column, key = WHERE.get(name, ("meta", "value", "name"))
        change = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"
        for place, value in rows[:3]:
            for bit in range(0, 8 * len(value), max(1, len(value) // 4)):
                damaged = bytearray(value)
                damaged[bit // 8] ^= 1 << bit % 8
                conn.execute(change, (bytes(damaged), place))
                with pytest.raises(StorageCorrupt):
                    store.load()
            conn.execute(change, (value, place))
        store.load()
    finally:
        conn.close()
        store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE meta SET name = 'finalitx' WHERE name = 'finality'",
        "UPDATE blocks SET precommits = NULL WHERE height = 2",
        "DELETE FROM tiles",
        "UPDATE tiles SET number = 1",
        "UPDATE evidence SET node = 2",
        "UPDATE evidence SET sentence = 'Node 2 lies.'",
        "UPDATE blocks SET extras = (SELECT extras FROM blocks WHERE height = 1) WHERE height = 2",
        "UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'hours') WHERE name = 'finality'",
        "UPDATE meta SET value = 7 WHERE name = 'accepted'",
    ],
)
def test_saved_values_that_moved_or_lost_their_names_are_found_at_the_start(sql: str, tmp_path: Path) -> None:
    store = named_home(tmp_path)
    try:
        store.load()
        alter(tmp_path, sql)
        with pytest.raises(StorageCorrupt):
            store.load()
    finally:
        store.close()


def test_damage_of_a_named_nodes_values_is_found_when_they_are_read(tmp_path: Path) -> None:
    store = named_home(tmp_path)
    try:
        tip = next(header.hash for header, _ in store.load().headers[-1:])
        alter(tmp_path, "UPDATE tiles SET hashes = zeroblob(length(hashes))")
        alter(tmp_path, "UPDATE blocks SET extras = zeroblob(length(extras))")
        reads: list[Callable[[], object]] = [
            lambda: store.tile(0, 0),
            lambda: store.votes_of(tip),
            lambda: store.block_line(tip),
            lambda: list(store.blocks_in_order()),
        ]
        for read in reads:
            with pytest.raises(StorageCorrupt):
                read()
    finally:
        store.close()


def test_a_block_that_was_checked_is_served_as_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked when it was saved, or when the node started: for a peer that asks nothing is taken apart."""
    taken_apart: list[bytes] = []
    ledger, store = Ledger(ELECTION), SqliteBlockStore(tmp_path, ELECTION)
    saved = save(ledger, store, make_votes(ELECTION, 40))
    expected = store.block_line(saved)
    assert expected is not None
    store.close()
    store = SqliteBlockStore(tmp_path, ELECTION)
    try:
        real = sqlite_block_store.votes_under
        monkeypatch.setattr(
            sqlite_block_store, "votes_under", lambda h, r, o: taken_apart.append(r) or real(h, r, o)
        )
        assert [store.block_line(saved), store.block_line(saved)] == [expected, expected]
        assert len(taken_apart) == 1, "not known yet: the node has not read its chain"
        store.close()
        store = SqliteBlockStore(tmp_path, ELECTION)
        store.load()
        fresh = save(ledger, store, make_votes(ELECTION, 40, first=100))
        taken_apart.clear()
        assert store.block_line(saved) == expected
        assert store.block_line(fresh) is not None
        assert taken_apart == []
    finally:
        store.close()


# -- commits that went missing --------------------------------------------------------------------


def copy_unclosed(home: Path, copy: Path) -> Path:
    """A folder as kill -9 leaves it: everything is in the log. Two votes wait, acknowledged one by one."""
    home.mkdir()
    store = SqliteBlockStore(home, ELECTION)
    for vote in make_votes(ELECTION, 2):
        store.apply([SaveVotes([vote])])
    shutil.copytree(home, copy)
    store.close()
    return copy


def test_a_log_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    """SQLite alone would take the log for one that a crash has torn, and forget the last vote."""
    folder = copy_unclosed(tmp_path / "home", tmp_path / "copy")
    log = folder / f"{DATABASE_NAME}-wal"
    os.truncate(log, log.stat().st_size - 10)
    for _ in range(2):
        with pytest.raises(StorageCorrupt, match="last 1 commits are missing") as caught:
            SqliteBlockStore(folder, ELECTION)
        assert f"Move {folder / DATABASE_NAME}* away" in caught.value.next_step
    for path in folder.glob(f"{DATABASE_NAME}*"):
        path.rename(tmp_path / path.name)  # what it says
    read_all(folder)


@pytest.mark.parametrize("content", [None, b"", b"\0" * 16, b"7", b"\xff" * 16, b"\xff" * 99])
def test_an_unreadable_mark_raises_no_alarm(tmp_path: Path, content: bytes | None) -> None:
    # After a power cut it may be anything that was ever written, or nothing.
    folder = copy_unclosed(tmp_path / "home", tmp_path / "copy")
    if content is None:
        (folder / MARK_NAME).unlink()
    else:
        (folder / MARK_NAME).write_bytes(content)
    read_all(folder)
    store = SqliteBlockStore(folder, ELECTION)
    store.apply([SaveVotes(make_votes(ELECTION, 1, first=9))])
    assert len(store.load().waiting) == 3
    store.close()
    read_all(folder)


def test_a_database_that_vanished_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / DATABASE_NAME).unlink()
    with pytest.raises(StorageCorrupt, match="commits are missing"):
        SqliteBlockStore(tmp_path, ELECTION)


def test_damage_anywhere_in_the_file_is_never_a_surprise(tmp_path: Path) -> None:
    """Every page, in two places, inverted: what is read is right, or the error is one of ours."""
    fill(tmp_path, blocks=12)
    path = tmp_path / DATABASE_NAME
    good = path.read_bytes()
    errors = 0
    for offset in range(0, len(good), 2048 + 331):
        piece = bytes(byte ^ 0xFF for byte in good[offset : offset + 48])
        path.write_bytes(good[:offset] + piece + good[offset + 48 :])
        try:
            read_all(tmp_path)
        except (StorageError, ConfigError):
            errors += 1
        for log in (tmp_path / f"{DATABASE_NAME}-wal", tmp_path / f"{DATABASE_NAME}-shm"):
            log.unlink(missing_ok=True)
    assert errors > 3
    path.write_bytes(good)
    read_all(tmp_path)


def test_a_truncated_file_is_corrupt(tmp_path: Path) -> None:
    fill(tmp_path, blocks=12)
    path = tmp_path / DATABASE_NAME
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StorageCorrupt):
        read_all(tmp_path)


# -- writing --------------------------------------------------------------------------------------


def test_using_a_closed_store_fails_in_our_words(tmp_path: Path) -> None:
    store = SqliteBlockStore(tmp_path, ELECTION)
    store.close()
    calls: list[Callable[[], object]] = [
        lambda: store.votes_of(bytes(32)),
        lambda: store.vote_at(bytes(32), 0, "x"),
        lambda: store.block_line(bytes(32)),
        store.load,
        store.known_peers,
        store.known_bans,
        lambda: store.apply([SaveVotes([])]),
        lambda: store.remember_peers([CachedPeer("a:1")]),
    ]
    for call in calls:
        with pytest.raises(StorageError):
            call()


def test_reading_goes_on_beside_a_writer_in_another_thread(tmp_path: Path) -> None:
    store = SqliteBlockStore(tmp_path, ELECTION)
    ledger = Ledger(ELECTION)
    done = threading.Event()
    problems: list[BaseException] = []

    def write() -> None:
        try:
            for n in range(30):
                block = ledger.grow(make_vote(ELECTION, f"v{n}"))
                entry = ledger.chain.tip
                votes = block.votes
                store.apply([SaveBlock(entry, votes), SetBest(entry.height - 1, [(entry, votes)])])
        except BaseException as error:
            problems.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        last = 0
        while not done.is_set():
            seen = [height for height, _ in votes_in_order(store)]
            assert seen == list(range(1, len(seen) + 1)), "one moment, not two halves"
            assert len(seen) >= last
            last = len(seen)
            for n in range(last):
                assert store.vote_at(ledger.chain.best[n + 1].hash, 0, f"v{n}").voter_id == f"v{n}"
    finally:
        writer.join()
        store.close()
    assert not problems


WRITER = """
import sys
from pathlib import Path
from support.elections import TRIVIAL_BITS, make_election, make_vote
from votenet.protocol.node.events import SaveVotes
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

election = make_election(bits=TRIVIAL_BITS)
store = SqliteBlockStore(Path(sys.argv[1]), election)
for n in range(1_000_000):
    votes = [make_vote(election, f"voter-{n}-{m}") for m in range(3)]
    store.apply([SaveVotes(votes)])
    print(*(vote.id.hex() for vote in votes), flush=True)
"""


@pytest.mark.parametrize("enough", [1, 60])
def test_an_acknowledged_vote_survives_kill_9(tmp_path: Path, enough: int) -> None:
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        try:
            assert writer.stdout is not None
            told = [writer.stdout.readline() for _ in range(enough)]
        finally:
            writer.send_signal(signal.SIGKILL)  # in the middle of the next ones
        told += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    acknowledged = [vote_id for line in told if line.endswith("\n") for vote_id in line.split()]
    assert len(acknowledged) >= 3 * enough

    store = SqliteBlockStore(tmp_path, ELECTION)
    try:
        waiting = store.load().waiting
        kept = [hashed.id.hex() for hashed in waiting]
        assert kept[: len(acknowledged)] == acknowledged, "all of them, in their order"
        assert len(kept) % 3 == 0, "and no half of a batch"
        assert all(hashed.vote.time == CREATED + 1 for hashed in waiting)
        store.apply([SaveVotes([make_vote(ELECTION, "afterwards")])])
        assert len(store.load().waiting) == len(kept) + 1
    finally:
        store.close()


def test_whether_it_can_be_written_again_is_tried_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 10)
    store = SqliteBlockStore(tmp_path, ELECTION)
    monkeypatch.setattr(sqlite_block_store, "PROBE_BYTES", 8192)
    before = sorted(os.listdir(tmp_path))
    store.try_writing()
    other = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another program keeps it locked") as caught:
        store.try_writing()
    assert caught.value.next_step == "Stop the other program and try again."
    other.execute("ROLLBACK")
    other.close()
    (tmp_path / sqlite_block_store.PROBE_NAME).mkdir()  # stands for a disk without room
    with pytest.raises(StorageError, match="cannot write in"):
        store.try_writing()
    (tmp_path / sqlite_block_store.PROBE_NAME).rmdir()
    store.try_writing()
    assert sorted(os.listdir(tmp_path)) == before
    store.close()
    SqliteBlockStore(tmp_path, ELECTION).close()


@pytest.mark.parametrize(
    ("records", "line"),
    [
        (b"", b'{"type":"block","header":"00ff","votes":[]}'),
        (b'{"a":1},{"b":2}', b'{"type":"block","header":"00ff","votes":[{"a":1},{"b":2}]}'),
    ],
)
def test_a_block_line_is_joined_not_encoded(records: bytes, line: bytes) -> None:
    assert join_block_line(b"\x00\xff", records) == line


def test_a_percent_sign_in_a_vote_is_only_a_percent_sign() -> None:
    hashed = make_vote(ELECTION, "100%s %d %")
    assert hashed.record in join_block_line(bytes(80), hashed.record)


def test_a_block_line_is_joined_from_rows() -> None:
    whole = join_block_line(bytes(80), b"1,2,3,4,5")
    assert (
        join_block_line(bytes(80), b"1,2", b"3,4", b"5")
        == join_block_line(bytes(80), b"1", b"2,3,4,5")
        == whole
    )
    assert join_block_line(bytes(80)) == join_block_line(bytes(80), b"")
