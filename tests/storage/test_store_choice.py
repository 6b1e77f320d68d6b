"""`--store`: which one is opened, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from redis_support import redis_server
from votenet.errors import ConfigError, Locked
from votenet.protocol.registry import PeerEntry
from votenet.storage.redis_peer_store import RedisPeerStore
from votenet.storage.sqlite_peer_store import SqlitePeerStore
from votenet.storage.store_choice import opened


def test_a_sqlite_file_is_made_with_its_folder_and_held_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "peers.db"
    with opened(f"sqlite:{path}") as store:
        assert isinstance(store, SqlitePeerStore)
        store.put(PeerEntry("a:1"))
        with pytest.raises(Locked), opened(f"sqlite:{path}"):
            pass
    with opened(f"sqlite:{path}") as store:
        assert store.count() == 1


def test_a_redis_database_is_shared(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, opened(server.url()) as one, opened(server.url()) as other:
        assert isinstance(one, RedisPeerStore)
        one.put(PeerEntry("a:1"))
        assert other.count() == 1


@pytest.mark.parametrize("text", ["", "sqlite", "sqlite:", "mysql://a/b", "/var/lib/peers.db"])
def test_anything_else_is_no_store(text: str) -> None:
    with pytest.raises(ConfigError) as caught, opened(text):
        pass
    assert caught.value.code == "bad-store"
    assert "sqlite:PATH" in caught.value.next_step
