"""What the bootstrap server asks of its registry's storage, which stores there are, and `peers.json`.

What lives here: PeerStore (a Registry that can be saved), reading and writing of the chapter's file.
What must not: rules (`protocol/bootstrap.py`), SQL (`sqlite_peer_store.py`), Redis
(`redis_peer_store.py`). All stores, and the twin in memory (`memory_peer_store.py`), pass the same tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from votenet.errors import ConfigError, Rejected, StorageError
from votenet.protocol.address import parse_address
from votenet.protocol.registry import Registry
from votenet.storage.input_file import read_input
from votenet.storage.output_file import written

FILE_NAME: Final = "peers.db"
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
        found = msgspec.json.decode(data, type=list[_Listed])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_file(path, str(error)) from error
    addresses: dict[str, str] = {}
    for place, entry in enumerate(found):
        try:
            address = str(parse_address(entry.address))
        except Rejected as error:
            raise _bad_file(path, f"entry {place + 1}: {error.message}") from error
        addresses.setdefault(address.lower(), address)
    return list(addresses.values())


def write_peers_file(path: Path, addresses: Sequence[str]) -> None:
    """Write a `peers.json` whole or not at all. Raises StorageError."""
    try:
        with written(path) as file:
            file.write(peers_json(addresses))
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            next_step="Check the folder and its free space.",
        ) from error


def peers_json(addresses: Sequence[str]) -> bytes:
    """The chapter's `peers.json`, readable by its server."""
    return msgspec.json.encode([{"address": address} for address in addresses])


def _bad_file(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is not a usable list of peers: {why}",
        code="bad-peers-file",
        next_step=_WRITE_IT,
    )
