"""What a user remembers of elections: the network at an address, the largest checkpoint of each log, and
where named nodes were.

So another network at a known address is noticed, and a log that lost records. One small file each, written
whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from votenet.config import private_dir
from votenet.errors import ConfigError
from votenet.storage.files import write_atomically

_NETWORK_ID = re.compile("[0-9a-f]{64}")


class KnownElections:
    """The folder `known` of a user; it is made when something is to be remembered.

    Methods raise ConfigError where the folder or a file in it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # -- networks ------------------------------------------------------------------------------------

    def network_at(self, address: str) -> str | None:
        """The network id (hexadecimal) that was seen at an address, `host:port`."""
        path = self._network_file(address)
        network_id = _read(path).strip()
        if network_id and not _NETWORK_ID.fullmatch(network_id):
            raise _damaged(path)
        return network_id or None

    def remember_network(self, address: str, network_id: str) -> None:
        if _read(self._network_file(address)).strip() != network_id:
            self._write(self._network_file(address), f"{network_id}\n")

    def address_of(self, network_id: str) -> str | None:
        """An address at which this network was seen."""
        files = sorted((self.folder / "networks").glob("*"))
        return next((unquote(path.name) for path in files if _read(path).strip() == network_id), None)

    def _network_file(self, address: str) -> Path:
        return self.folder / "networks" / quote(address, safe="")

    # -- logs ----------------------------------------------------------------------------------------

    def checkpoint_of(self, network_id: str) -> str:
        """The largest certificate seen of this election's log, a signed note; empty if none was."""
        return _read(self._checkpoint_file(network_id))

    def remember_checkpoint(self, network_id: str, note: str) -> None:
        """Keep a certificate, unless a larger one is kept: another process may have seen it meanwhile."""
        path = self._checkpoint_file(network_id)
        with self._locked():
            if _size(note) > _size(_read(path)):
                self._write(path, note)

    def _checkpoint_file(self, network_id: str) -> Path:
        return self.folder / "checkpoints" / network_id

    # -- nodes ---------------------------------------------------------------------------------------

    def places_of(self, network_id: str) -> dict[str, str]:
        """Addresses, `host:port`, at which nodes proved their keys; by node key."""
        lines = (line.split() for line in _read(self._places_file(network_id)).splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def remember_places(self, network_id: str, places: Mapping[str, str]) -> None:
        """Keep where nodes are now; others stay where they were."""
        known = self.places_of(network_id)
        if (now := known | dict(places)) != known:
            lines = (f"{key} {address}\n" for key, address in sorted(now.items()))
            self._write(self._places_file(network_id), "".join(lines))

    def _places_file(self, network_id: str) -> Path:
        return self.folder / "places" / network_id

    # -- evidence ------------------------------------------------------------------------------------

    def keep_evidence(self, name: str, data: bytes) -> Path:
        """Save a file that proves a lie; returns its path."""
        path = self.folder / "evidence" / name
        private_dir(path.parent)
        write_atomically(path, data)
        return path

    # -- inside --------------------------------------------------------------------------------------

    def _write(self, path: Path, text: str) -> None:
        private_dir(path.parent)
        write_atomically(path, text.encode())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait until no other process compares and writes. The wait is short: a file is read and written."""
        private_dir(self.folder)
        path = self.folder / "lock"
        with _using(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _size(note: str) -> int:
    """The size that a checkpoint says, 0 for none."""
    lines = note.split("\n", 2)
    return int(lines[1]) if len(lines) == 3 and lines[1].isdecimal() else 0


def _read(path: Path) -> str:
    """The text of a file; empty if it is not there."""
    with _using(path):
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except UnicodeDecodeError:
            raise _damaged(path) from None


def _using(path: Path) -> contextlib.AbstractContextManager[None]:
    step = "Check the owner and the mode of the file, and the disk."
    return ConfigError.of_os_errors(f"cannot use {path}", code="bad-directory", next_step=step)


def _damaged(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is not what was saved",
        code="bad-known-file",
        next_step=f"Remove it, and compare the network id with what the organisers published: rm {path}",
    )
