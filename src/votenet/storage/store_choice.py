"""Which store the bootstrap server keeps its registry in: `sqlite:PATH` or `redis://HOST:PORT/DB`.

What lives here: the reading of that text, and opening. What must not: the stores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from votenet.errors import ConfigError
from votenet.storage.database import lock_data_dir
from votenet.storage.peer_store import PeerStore
from votenet.storage.redis_peer_store import RedisPeerStore
from votenet.storage.sqlite_peer_store import SqlitePeerStore


@contextlib.contextmanager
def opened(store: str) -> Iterator[PeerStore]:
    """Open a store until the block ends. A SQLite file's folder is made, and held for this process alone.

    Raises:
        ConfigError: bad-store; redis-missing, redis-not-durable.
        Locked: another process holds the folder.
        StorageError: it cannot be opened.
    """
    kind, _, place = store.partition(":")
    if kind == "sqlite" and place:
        path = Path(place).expanduser()
        with lock_data_dir(path.parent), contextlib.closing(SqlitePeerStore(path)) as found:
            yield found
    elif kind in ("redis", "rediss"):
        with contextlib.closing(RedisPeerStore(store)) as found:
            yield found
    else:
        raise ConfigError(
            f"{store!r} names no store",
            code="bad-store",
            next_step="Write sqlite:PATH or redis://HOST:PORT/DB.",
        )
