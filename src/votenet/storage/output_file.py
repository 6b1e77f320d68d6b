"""Files that a command writes at a path of the user's choice.

A regular file is replaced, whole or not at all, and keeps its mode and owner. A symbolic link is
followed. A device, a pipe or a socket is written to, as a shell does it. `-` is standard output.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from votenet.errors import ConfigError
from votenet.storage.files import replacing

STDOUT: Final = Path("-")
_LINKS: Final = 40
"""As many as the kernel follows."""


@contextlib.contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into. `path` gets the content when the block ends, and stays unchanged if it raises.

    Raises:
        OSError: it cannot be written.
    """
    try:
        status = os.fstat(1) if path == STDOUT else os.stat(path)
    except FileNotFoundError:
        status = None
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor = 1 if path == STDOUT else _own_stream(status)
    if descriptor is None and (status is None or stat.S_ISREG(status.st_mode)):
        with replacing(_followed(path), like=status) as file:
            yield file
        return
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC
    with open(os.open(path, flags) if descriptor is None else os.dup(descriptor), "wb") as file:
        yield file


def write_output(path: Path, data: bytes, *, code: str = "output-failed") -> None:
    """Write a whole file at a path of the user's choice. Raises ConfigError with this code."""
    step = "Name a file in a folder that you may write to, on a disk with room."
    with ConfigError.of_os_errors(f"cannot write {path}", code=code, next_step=step), written(path) as file:
        file.write(data)


def refuse_existing(path: Path, force: bool) -> None:
    """Raises ConfigError where a new file would replace one, unless that is forced."""
    if path != STDOUT and path.is_file() and not force:
        raise ConfigError(
            f"{path} is there already",
            code="file-exists",
            next_step="Name another file, or replace it with --force.",
        )


def _own_stream(status: os.stat_result | None) -> int | None:
    """1 or 2, where the path is what this process writes to already (`/dev/stdout`, into a file)."""
    if status is None or stat.S_ISCHR(status.st_mode):
        return None
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(status, os.fstat(descriptor)):
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
