"""Targets: databases that were damaged on the disk, then opened, loaded and read as their programs do.

An input is a list of edits, one JSON object a line: `{"file":"db"|"wal","at":N,"put":HEX}`,
`{"file":…,"cut":N}`, `{"table":T,"column":C,"row":N,"value":V}` (text in HEX with `"blob":true`),
`{"delete":T,"row":N}`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fuzz.engine import Target
from fuzz.files import folder
from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    Ledger,
    key_of,
    keys_of_node,
    make_election,
    make_votes,
)
from support.named_history import named_history
from votenet.core.records.archive import archive_lines
from votenet.network.node.persistence import load_core
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.bootstrap.server_core import BootstrapCore
from votenet.protocol.node.events import SaveBlock, SaveVotes, SetBest
from votenet.protocol.node.state import NodeInfo
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.protocol.reference_go import reference_chain
from votenet.storage.blocks.chain_reader import best_height, read_chain, stored_certificate
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

ELECTION: Final = make_election(bits=TRIVIAL_BITS)
VOTES: Final = make_votes(ELECTION, 12)
Files = dict[str, bytes]


# -- good files ------------------------------------------------------------------------------------


@functools.cache
def good_chain() -> tuple[Files, Files]:
    """A chain's files: (all in the database, most in the write-ahead log). Blocks, a branch, a pool."""
    return _files_of("chain.db", _make_chain)


@functools.cache
def good_named() -> tuple[Files, Files]:
    """The files of a named node up to the final result."""
    return _files_of("chain.db", _make_named)


@functools.cache
def good_registry() -> tuple[Files, Files]:
    return _files_of("peers.db", _make_registry)


def _files_of(name: str, make: Callable[[Path], Any]) -> tuple[Files, Files]:
    with folder() as place:
        store = make(place)
        logged = {path.name: path.read_bytes() for path in place.glob(f"{name}*") if "shm" not in path.name}
        store.close()
        return {name: (place / name).read_bytes()}, logged


def _make_chain(place: Path) -> SqliteBlockStore:
    store, ledger, branch = SqliteBlockStore(place, ELECTION), Ledger(ELECTION), Ledger(ELECTION)
    for first in (0, 3, 6):
        block = ledger.grow(*VOTES[first : first + 3])
        entry = ledger.chain.tip
        store.apply([SaveBlock(entry, block.votes), SetBest(entry.height - 1, [(entry, block.votes)])])
    stale = branch.grow(VOTES[10])
    store.apply([SaveBlock(branch.chain.tip, stale.votes), SaveVotes(VOTES[9:])])
    store.remember_peers([CachedPeer("a:1", "10.0.0.0/16", 1_700_000_000, True), CachedPeer("b:2")])
    return store


def _make_named(place: Path) -> SqliteBlockStore:
    election, batches = named_history()
    store = SqliteBlockStore(place, election)
    for batch in batches:
        store.apply(batch)
    return store


def _make_registry(place: Path) -> SqlitePeerStore:
    store = SqlitePeerStore(place / "peers.db")
    with store.saving():
        for n in range(8):
            key = key_of(str(n)).public_hex if n % 2 else None
            store.put(PeerEntry(f"a{n}:1", key, key and "ab" * 32, n, CREATED + n if n % 3 else None))
        store.remove("a4:1")
        store.retire(key_of("4").public_hex, "a4:1", 9, CREATED + 50)
    return store


# -- damage ----------------------------------------------------------------------------------------


def _edits(data: bytes) -> list[dict[str, Any]]:
    found = []
    for line in data.split(b"\n")[:30]:
        with contextlib.suppress(ValueError, RecursionError):
            edit = json.loads(line)
            if isinstance(edit, dict):
                found.append(edit)
    return found


def _damaged(place: Path, data: bytes, files: tuple[Files, Files]) -> None:
    """Write the files with the edits of an input; edits that cannot be made are passed over."""
    edits = _edits(data)
    in_bytes = [edit for edit in edits if "file" in edit]
    name = min(files[0])
    for found, raw in files[any(edit["file"] == "wal" for edit in in_bytes)].items():
        (place / found).write_bytes(raw)
    for edit in edits:
        if "file" not in edit:
            with contextlib.suppress(sqlite3.Error, ValueError, TypeError, OverflowError, LookupError):
                _edit_row(place / name, edit)
    for edit in in_bytes:
        with contextlib.suppress(ValueError, TypeError, OverflowError, LookupError, OSError):
            _edit_bytes(place / (f"{name}-wal" if edit["file"] == "wal" else name), edit)


def _edit_bytes(path: Path, edit: dict[str, Any]) -> None:
    raw = path.read_bytes()
    if "cut" in edit:
        path.write_bytes(raw[: edit["cut"] % (len(raw) + 1)])
        return
    at, new = edit["at"] % len(raw), bytes.fromhex(edit["put"])
    path.write_bytes(raw[:at] + new + raw[at + len(new) :])


def _edit_row(path: Path, edit: dict[str, Any]) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        table = edit.get("table") or edit["delete"]
        keys = [row[1] for row in conn.execute(f"PRAGMA table_info({_name(table)})") if row[5]] or ["rowid"]
        rows = conn.execute(f"SELECT {', '.join(keys)} FROM {_name(table)}").fetchall()
        where = " AND ".join(f"{key} IS ?" for key in keys)
        row = rows[edit["row"] % len(rows)]
        if "delete" in edit:
            conn.execute(f"DELETE FROM {_name(table)} WHERE {where}", row)
            return
        value = bytes.fromhex(edit["value"]) if edit.get("blob") else edit["value"]
        if isinstance(value, list | dict):
            value = json.dumps(value)
        conn.execute(f"UPDATE {_name(table)} SET {_name(edit['column'])} = ? WHERE {where}", (value, *row))
    finally:
        conn.close()


def _name(text: str) -> str:
    if not (isinstance(text, str) and text.replace("_", "").isalnum() and text.isascii()):
        raise ValueError("no name of a table or column")
    return text


# -- what the programs do --------------------------------------------------------------------------


def chain_store(data: bytes) -> None:
    """Load, answer from the store, export: each part may refuse, none may break."""
    with folder() as place:
        _damaged(place, data, good_chain())
        store = SqliteBlockStore(place, ELECTION)
        try:
            core = load_core(
                ELECTION, store, NodeInfo("n", "0", key_of("us").public_hex, "us:1", "t", True, 0.0, 0)
            )
            chain = core.state.chain
            core.ready(CREATED + 100.0)
            core.status(CREATED + 100.0)
            for hashed in VOTES:
                core.vote_status(hashed.voter_id)
            for entry in chain.best:
                if entry.height:
                    store.votes_of(entry.hash)
                    store.block_line(entry.hash)
            store.known_peers()
            reference_chain(ELECTION, chain.genesis.header, store.blocks_in_order())
        finally:
            store.close()
        best_height(place)
        b"".join(archive_lines(ELECTION, read_chain(place, ELECTION)))


def named_store(data: bytes) -> None:
    """As chain_store, for a named node: its log, its statements, its certificate, evidence."""
    election, keys = named_history()[0], keys_of_node(0)
    with folder() as place:
        _damaged(place, data, good_named())
        store = SqliteBlockStore(place, election)
        try:
            info = NodeInfo("n", "0", keys.node.public_hex, "us:1", "t", True, 0.0, 0, keys)
            core = load_core(election, store, info)
            core.ready(CREATED + 150.0)
            core.status(CREATED + 150.0)
            for entry in core.state.chain.best[1:]:
                store.block_line(entry.hash)
            store.tile(0, 0)
        finally:
            store.close()
        height, note = stored_certificate(place)
        b"".join(archive_lines(election, read_chain(place, election, up_to=height), note))


def registry_store(data: bytes) -> None:
    with folder() as place:
        _damaged(place, data, good_registry())
        store = SqlitePeerStore(place / "peers.db")
        try:
            core = BootstrapCore(store, random.Random(1))
            core.sample(5, CREATED)
            store.page(0, 3, CREATED)
            store.addresses(10, CREATED)
            for n in range(8):
                store.find(f"A{n}:1")
                store.retired(key_of(str(n)).public_hex, f"a{n}:1")
            with store.saving():
                store.put(PeerEntry("new:1"))
                store.remove("a1:1")
                core.liveness_policy.expire(3, CREATED + 5)
        finally:
            store.close()


# -- seeds -----------------------------------------------------------------------------------------


def _rows(tables: dict[str, str]) -> list[bytes]:
    edits: list[dict[str, Any]] = []
    for table, columns in tables.items():
        edits.append({"delete": table, "row": 0})
        for column in columns.split():
            for value in (-1, "x", None):
                edits.append({"table": table, "column": column, "row": 1, "value": value})
            edits.append({"table": table, "column": column, "row": 0, "value": "ab" * 32, "blob": True})
    return [json.dumps(edit).encode() for edit in edits]


def _bytes_edits() -> list[bytes]:
    edits = [
        {"file": file, "at": at, "put": put}
        for file in ("db", "wal")
        for at in (0, 16, 28, 44, 100, 4096, 8192, 20480)
        for put in ("00", "ff")
    ]
    cuts = [{"file": file, "cut": cut} for file in ("db", "wal") for cut in (0, 1, 100, 4096, 10000)]
    return [json.dumps(edit).encode() for edit in (*edits, *cuts)]


_CHAIN: Final = {
    "meta": "value", "blocks": "number hash height best header", "peers": "address source met anchor",
    "bodies": "place records", "waiting": "batch records digest",
}  # fmt: skip
_NAMED: Final = {
    "meta": "value", "blocks": "extras precommits best", "tiles": "level number hashes",
    "evidence": "node kind proof sentence",
}  # fmt: skip
_REGISTRY: Final = {
    "peers": "id slot address node_key network_id sequence expires",
    "retired": "node_key address sequence until",
}

TARGETS: Final = (
    Target(
        "chain-store", chain_store, lambda: [b"", *_rows(_CHAIN), *_bytes_edits()], max_bytes=8192, weight=3.0
    ),
    Target("named-store", named_store, lambda: [b"", *_rows(_NAMED), *_bytes_edits()], max_bytes=8192),
    Target(
        "registry-store", registry_store, lambda: [b"", *_rows(_REGISTRY), *_bytes_edits()], max_bytes=8192
    ),
)
