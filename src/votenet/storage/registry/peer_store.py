"""The interface of the bootstrap server's stores, the choice of one, and `peers.json`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from votenet.errors import ConfigError, Rejected, StorageError
from votenet.protocol.bootstrap.bootstrap_messages import encode_plain
from votenet.protocol.bootstrap.registry import Registry
from votenet.protocol.wire.address import parse_address
from votenet.storage.files import lock_data_dir
from votenet.storage.input_file import read_input
from votenet.storage.output_file import written

REGISTRY_FILE: Final = "peers.db"
MAX_PEERS_FILE: Final = 512 * 1024 * 1024
"""Largest `peers.json` read: ten million peers; a larger one is surely another file."""

_WRITE_IT: Final = 'Write it as [{"address":"host:port"}]; nothing of it was imported.'


class StoreConflict(StorageError):
    """Another server changed the same entries meanwhile: nothing was saved, do it again."""


class PeerStore(Registry, Protocol):
    """A registry that can be saved.

    Inside `saving`, `find`, `held`, `count` and `retired` see the changes of the block; lists need not.
    """

    def saving(self) -> AbstractContextManager[None]:
        """Changes inside the block are durable when it ends, and undone when it raises.

        Raises:
            StoreConflict: another server was faster; the block may be run again.
            StorageError: they could not be saved; nothing changed.
        """

    def prefetch(self, addresses: Sequence[str]) -> None:
        """Inside `saving`: these are about to be asked for. A store far away reads them all at once."""

    def close(self) -> None: ...


@contextlib.contextmanager
def opened(store: str) -> Iterator[PeerStore]:
    """Open `sqlite:PATH` or `redis://HOST:PORT/DB` until the block ends.

    A SQLite file's folder is made, and held for this process alone.

    Raises:
        ConfigError: bad-store; redis-missing, redis-not-durable.
        Locked: another process holds the folder.
        StorageError: it cannot be opened.
    """
    kind, _, place = store.partition(":")
    if kind == "sqlite" and place:
        from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

        path = Path(place).expanduser()
        with lock_data_dir(path.parent), contextlib.closing(SqlitePeerStore(path)) as sqlite:
            yield sqlite
    elif kind in ("redis", "rediss"):
        try:
            from votenet.storage.registry.redis_peer_store import RedisPeerStore
        except ImportError as error:
            raise ConfigError(
                "a registry in Redis needs the Python package redis",
                code="redis-missing",
                next_step="Install it with: pip install 'redis>=5'",
            ) from error
        with contextlib.closing(RedisPeerStore(store)) as redis:
            yield redis
    else:
        raise ConfigError(
            f"{store!r} names no store",
            code="bad-store",
            next_step="Write sqlite:PATH or redis://HOST:PORT/DB.",
        )


def place_of(store: str) -> str:
    """What a store is, for people: the path of a file, or the address of a database without its password."""
    kind, _, place = store.partition(":")
    if kind == "sqlite":
        return place
    return f"{kind}://{place.removeprefix('//').rpartition('@')[2]}"


# -- peers.json --------------------------------------------------------------------------------


class _Listed(msgspec.Struct):
    address: str


def read_peers_file(path: Path) -> list[str]:
    """The addresses of a `peers.json`, `[{"address":"host:port"}]`, each once, in order.

    Raises:
        ConfigError: code bad-peers-file, with the place of the first mistake; nothing is returned then.
    """
    try:
        data = read_input(path, MAX_PEERS_FILE, code="bad-peers-file", next_step=_WRITE_IT)
        listed = msgspec.json.decode(data, type=list[_Listed])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_file(path, str(error)) from error
    addresses: dict[str, str] = {}
    for place, entry in enumerate(listed):
        try:
            address = str(parse_address(entry.address))
        except Rejected as error:
            raise _bad_file(path, f"entry {place + 1}: {error.message}") from error
        addresses.setdefault(address.lower(), address)
    return list(addresses.values())


def write_peers_file(path: Path, addresses: Sequence[str]) -> None:
    """Write a `peers.json` whole or not at all. Raises StorageError."""
    step = "Check the folder and its free space."
    with StorageError.of_os_errors(f"cannot write {path}", next_step=step), written(path) as file:
        file.write(encode_plain(addresses))


def _bad_file(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is not a usable list of peers: {why}",
        code="bad-peers-file",
        next_step=_WRITE_IT,
    )
