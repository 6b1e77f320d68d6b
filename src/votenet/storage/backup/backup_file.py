"""A backup of a node as one file: a tar archive that `tar -tf` lists, of which each byte is prescribed.

First `backup.json` (what is in it, of which election), then the files that it names, in that order, then
`backup.sha256`, the digest of all before. Headers have nothing but a name and a size, so a reader compares
each with the one header that can stand there. Nothing else of the format is interpreted: no path, no link,
no device, no extension can do anything.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from votenet.errors import ConfigError, StorageError
from votenet.storage.files import replacing

FORMAT: Final = "votenet-backup-1"
FILES: Final = ("node.key", "genesis.json", "roll.json", "node.env", "chain.db")
"""What may be in a backup, in this order."""
NEEDED: Final = ("node.key", "genesis.json", "chain.db")
_CONTENTS, _DIGEST = "backup.json", "backup.sha256"
_MAX_CONTENTS: Final = 64 * 1024
_SIZES: Final = 2**63
"""No file has as many bytes."""
_TIMES: Final = 250_000_000_000
"""Unix seconds up to the year 9892, which every clock can show in its zone."""
_BLOCK: Final = 512
_PIECE: Final = 1024 * 1024
_END: Final = bytes(2 * _BLOCK)


class BackedUpFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: int
    sha256: str


class BackupContents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup says of itself. `created` in Unix seconds; `height`: of the last block in it."""

    format: str = FORMAT
    network_id: str
    name: str
    node_key: str
    created: int
    version: str
    height: int
    final: bool
    """The node was stopped for good: nothing was signed after this."""
    files: tuple[BackedUpFile, ...]


class _Format(msgspec.Struct):
    """Of any version."""

    format: str


def bad_backup(path: Path, why: object) -> ConfigError:
    return ConfigError(
        f"{path} is not a whole backup: {why}",
        code="bad-backup",
        next_step="Nothing was changed. Take another copy of this file, or another backup.",
    )


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> int:
    return -size % _BLOCK


def digest_of_file(path: Path) -> tuple[int, str]:
    """Bytes, and SHA-256 in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


# -- writing ---------------------------------------------------------------------------------------


def write_backup(output: Path, contents: BackupContents, sources: Sequence[Path]) -> str:
    """Write the backup, mode 0600, whole or not at all; returns the digest of all of it.

    Args:
        sources: the files of `contents`, in the same order; they must not change meanwhile.

    Raises:
        StorageError: it cannot be written; nothing changed.
    """
    step = "Name a file in a folder that you may write to, on a disk with room."
    told = StorageError.of_os_errors(f"cannot write {output}", next_step=step)
    with told, replacing(output, 0o600) as file:
        written = _Hashing(file)
        written.member(_CONTENTS, [msgspec.json.encode(contents)])
        for named, source in zip(contents.files, sources, strict=True):
            written.member(named.name, _pieces(source, named.size), named.size)
        digest = written.digest.hexdigest()
        written.member(_DIGEST, [digest.encode()])
        file.write(_END)
    return digest


class _Hashing:
    """A file that is written, and the digest of what is in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)

    def member(self, name: str, pieces: Sequence[bytes] | Iterator[bytes], size: int | None = None) -> None:
        """`size`: of all pieces together; by default of a single one."""
        size = sum(map(len, pieces)) if size is None and isinstance(pieces, Sequence) else size
        assert size is not None
        self._write(_header(name, size))
        for piece in pieces:
            self._write(piece)
        self._write(bytes(_padding(size)))


def _pieces(source: Path, size: int) -> Iterator[bytes]:
    """Raises OSError: it ends before `size` bytes."""
    with source.open("rb") as file:
        while size:
            piece = file.read(min(size, _PIECE))
            if not piece:
                raise OSError(f"{source} was cut while it was read")
            size -= len(piece)
            yield piece


# -- reading ---------------------------------------------------------------------------------------


class BackupReader:
    """A backup that is read from its start to its end, each byte once."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Raises ConfigError: bad-backup; backup-version, a newer votenet wrote it."""
        self._path, self._file = path, file
        self._digest = hashlib.sha256()
        self.contents = self._read_contents()

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise bad_backup(self._path, "it is cut")
        self._digest.update(data)
        return data

    def _read_contents(self) -> BackupContents:
        header = self._take(_BLOCK)
        try:
            size = int(header[124:135], 8)
        except ValueError:
            size = -1
        if not 0 <= size <= _MAX_CONTENTS or header != _header(_CONTENTS, size):
            raise bad_backup(self._path, "it does not begin like one")
        data = self._take(size)
        self._skip_padding(size)
        try:
            found = msgspec.json.decode(data, type=_Format).format
            if found != FORMAT:
                raise ConfigError(
                    f"{self._path} is a backup of the format {found!r}; this votenet knows {FORMAT!r}",
                    code="backup-version",
                    next_step="Restore it with the newer votenet that wrote it.",
                )
            contents = msgspec.json.decode(data, type=BackupContents)
        except ValueError as error:
            raise bad_backup(self._path, error) from error
        names = [file.name for file in contents.files]
        in_order = [name for name in FILES if name in names] == names
        sized = all(0 <= file.size < _SIZES for file in contents.files)
        if not in_order or not set(NEEDED) <= set(names) or not sized:
            raise bad_backup(self._path, "it names other files than those of a node")
        if not 0 <= contents.created < _TIMES:
            raise bad_backup(self._path, "it was taken at no time that a calendar has")
        return contents

    def _skip_padding(self, size: int) -> None:
        if any(self._take(_padding(size))):
            raise bad_backup(self._path, "something stands between its files")

    def unpack(self, folder: Path) -> None:
        """Write the files into an empty folder, mode 0600, put each on the disk, and check every digest.

        Raises:
            ConfigError: bad-backup; some files may be in the folder.
            OSError: they cannot be written, or the backup cannot be read.
        """
        for named in self.contents.files:
            self._unpack_one(named, folder / named.name)
        expected = self._digest.hexdigest().encode()
        digest = self._take(_BLOCK) + self._take(_BLOCK)
        if digest != _header(_DIGEST, len(expected)) + expected + bytes(_padding(len(expected))):
            raise bad_backup(self._path, "its digest is not that of its content")
        if self._take(len(_END)) != _END or self._file.read(1):
            raise bad_backup(self._path, "something stands behind its end")

    def _unpack_one(self, named: BackedUpFile, target: Path) -> None:
        if self._take(_BLOCK) != _header(named.name, named.size):
            raise bad_backup(self._path, f"{named.name} is not where it should be")
        digest, left = hashlib.sha256(), named.size
        with target.open("xb") as file:
            target.chmod(0o600)
            while left:
                piece = self._take(min(left, _PIECE))
                digest.update(piece)
                file.write(piece)
                left -= len(piece)
            file.flush()
            os.fsync(file.fileno())
        self._skip_padding(named.size)
        if digest.hexdigest() != named.sha256:
            raise bad_backup(self._path, f"{named.name} is damaged")
