"""How many commits a database has acknowledged, in a small file beside it.

SQLite takes a damaged write-ahead log for one that was torn by a crash: it silently drops the first frame
whose checksum is wrong and all that follow, acknowledged commits among them. So each commit counts itself
inside the database, and the number is written here when the commit is synced. A database with fewer commits
than its mark has lost some.

The mark is not synced. After kill -9 it is exact; after a power cut it may be old or empty, and an
old mark never accuses a good database.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Final

import xxhash

from votenet.errors import StorageError

_LAYOUT: Final = struct.Struct("<QQ")
"""The number, then XXH3-64 of its eight bytes, little-endian."""


class CommitMark:
    """The mark of one database, open until it is closed."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it. Raises StorageError."""
        step = "Check the owner, the mode and the free space of the folder."
        with StorageError.of_os_errors(f"cannot open {path}", next_step=step):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def read(self) -> int:
        """Commits acknowledged; 0 when that cannot be read."""
        try:
            number, check = _LAYOUT.unpack(os.pread(self._handle, _LAYOUT.size + 1, 0))
        except (OSError, struct.error):
            return 0
        return int(number) if check == _checksum(number) else 0

    def write(self, number: int) -> None:
        """Note that so many commits are on the disk. Never fails, as that is true without the mark, too."""
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, _LAYOUT.pack(number, _checksum(number)), 0)

    def close(self) -> None:
        """Safe to call twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _checksum(number: int) -> int:
    return xxhash.xxh3_64_intdigest(number.to_bytes(8, "little"))
