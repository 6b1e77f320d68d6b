"""The work of a node for a question, counted: hashes, rows, bytes parsed, encoded and sent."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from votenet.core.election.definition import Election
from votenet.core.log import merkle
from votenet.protocol import reference_go
from votenet.protocol.wire import messages
from votenet.storage.blocks import sqlite_block_store, tables
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.database import open_database


@dataclass
class Work:
    """`taken_apart` and `encoded` in bytes of JSON; `sent` in bytes of lines."""

    hashes: int = 0
    rows: int = 0
    taken_apart: int = 0
    encoded: int = 0
    sent: int = 0
    counts: int = 0
    """Passes over all ballots."""


class _Hashlib:
    """`hashlib` as `core/log/merkle.py` uses it."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def sha256(self, data: bytes) -> Any:
        self._work.hashes += 1
        return hashlib.sha256(data)


class _Decoder:
    def __init__(self, real: Any, work: Work) -> None:
        self._real, self._work = real, work

    def decode(self, data: bytes) -> Any:
        self._work.taken_apart += len(data)
        return self._real.decode(data)


class _Encoder:
    def __init__(self, real: Any, work: Work) -> None:
        self._real, self._work = real, work

    def encode(self, value: object) -> bytes:
        line: bytes = self._real.encode(value)
        self._work.encoded += len(line)
        return line


@contextlib.contextmanager
def counting(store: SqliteBlockStore) -> Iterator[Work]:
    """Count what is done with this store, and in the modules that answer, until the block ends."""
    work = Work()

    def row(cursor: object, found: tuple[object, ...]) -> tuple[object, ...]:
        work.rows += 1
        return found

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            work.counts += 1
            return real(*args)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merkle, "hashlib", _Hashlib(work))
        for name in ("raw_list", "vote_list"):
            patch.setattr(tables, name, _Decoder(getattr(tables, name), work))
        patch.setattr(messages, "_encoder", _Encoder(messages._encoder, work))
        patch.setattr(reference_go, "msgspec", _Json(reference_go.msgspec, work))
        patch.setattr(Election, "reports", counted(Election.reports))

        def opened(*args: Any, **options: Any) -> sqlite3.Connection:
            conn = open_database(*args, **options)
            conn.row_factory = row
            return conn

        patch.setattr(sqlite_block_store, "open_database", opened)
        for conn in (store._reader, store._shared, store._writer):
            conn.row_factory = row
        yield work
        for conn in (store._reader, store._shared, store._writer):
            conn.row_factory = None


class _Json:
    """`msgspec` as `protocol/reference_go.py` uses it."""

    def __init__(self, real: Any, work: Work) -> None:
        self.Struct, self.json = real.Struct, _Encoder(real.json, work)
