"""Every file that a command writes: whole or not at all, and never in place of something that is no file.

What lives here: where a path leads, writing beside it, moving. What must not: what is in the file.

A regular file is replaced, with its mode and owner. A symbolic link is followed. A device, a pipe or a
socket is written to, as a shell does it: whoever says `-o /dev/null` wants no file there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from votenet.errors import StorageError
from votenet.storage.folders import sync_folder

STDOUT: Final = Path("-")
_LINKS: Final = 40
"""As many as the kernel follows."""
_BESIDE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def written(path: Path, *, mode: int | None = None, sync: bool = True) -> Iterator[IO[bytes]]:
    """A file to write into; `path` has the content when the block ends, and is as it was when it raises.

    Args:
        mode: of the file, whatever was there; else that of the file replaced, or as umask says.
        sync: it is on the disk when the block has ended.

    Raises:
        OSError: it cannot be written.
    """
    try:
        found = os.fstat(1) if path == STDOUT else os.stat(path)
    except FileNotFoundError:
        found = None
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor = 1 if path == STDOUT else _own_stream(found)
    if descriptor is not None:
        with open(os.dup(descriptor), "wb") as file:
            yield file
    elif found is None or stat.S_ISREG(found.st_mode):
        with replacing(_followed(path), mode, found=found, sync=sync) as file:
            yield file
    else:
        with open(os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC), "wb") as file:
            yield file


@contextlib.contextmanager
def replacing(
    target: Path, mode: int | None = None, *, found: os.stat_result | None = None, sync: bool = True
) -> Iterator[IO[bytes]]:
    """A new file that takes the place of whatever has this name when the block ends; for our own folders.

    Args:
        found: the regular file that it looks like afterwards, where no `mode` is given.

    Raises:
        OSError: it cannot be written; nothing changed then.
    """
    if found is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.part")
    handle = os.open(part, _BESIDE, 0o666 if mode is None and found is None else 0o600)
    try:
        with open(handle, "wb") as file:
            if mode is not None:
                os.fchmod(handle, mode)
            elif found is not None:
                _look_like(handle, found)
            yield file
            file.flush()
            if sync:
                os.fsync(handle)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    if sync:
        sync_folder(target.parent)


def store(path: Path, data: bytes, mode: int | None = None) -> None:
    """A file of our own folders, whole or not at all, also after a power cut.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with replacing(path, mode) as file:
            file.write(data)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            next_step="Check free space and the owner of that folder.",
        ) from error


def _look_like(handle: int, found: os.stat_result) -> None:
    """Owner first: changing it takes set-user-id bits away."""
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.fchown(handle, found.st_uid, found.st_gid)
        except PermissionError as error:
            raise PermissionError(
                errno.EPERM, "it belongs to another user or group, which a new file could not"
            ) from error
    os.fchmod(handle, stat.S_IMODE(found.st_mode))


def _own_stream(found: os.stat_result | None) -> int | None:
    """1 or 2, where the path is what this process writes to already (`/dev/stdout`, into a file)."""
    if found is None or stat.S_ISCHR(found.st_mode):
        return None
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                return descriptor
    return None


def _followed(path: Path) -> Path:
    """Where symbolic links lead, one after the other.

    Raises:
        OSError: too many; or another user put one into a folder that all may write to, which may lead
            anywhere (the kernel's rule for `protected_symlinks`).
    """
    for _ in range(_LINKS):
        try:
            link = path.lstat()
        except FileNotFoundError:
            return path
        if not stat.S_ISLNK(link.st_mode):
            return path
        folder = path.parent.stat()
        shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
        if shared and link.st_uid not in (os.geteuid(), folder.st_uid):
            raise PermissionError(errno.EACCES, "it is a symbolic link that another user has put there")
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
