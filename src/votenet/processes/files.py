"""Small files that must survive a crash; locks and sockets, which must not.

What lives here: atomic writing, `FileLock`, `SocketFile`. What must not: what the files mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from votenet.errors import ConfigError, Locked
from votenet.storage.output_file import store


def write_atomically(path: Path, data: bytes) -> None:
    """Either the old content or the new one is there, also after a power cut. Mode 0600.

    Raises:
        StorageError: the disk refused.
    """
    store(path, data, 0o600)


class SocketFile:
    """The name in the filesystem by which others find a unix socket, bound by the constructor. Mode 0600.

    The caller holds the lock of the instance, so what is already there is stale. Cleaners of temporary
    folders remove what nobody has touched for days: the owner looks now and then whether it is `there`.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, kind: socket.SocketKind) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
        mask = os.umask(0o177)
        try:
            self.socket.bind(os.fspath(path))
            self._status = os.stat(path)
        except OSError:
            self.socket.close()
            raise
        finally:
            os.umask(mask)
        self.socket.setblocking(False)

    @property
    def there(self) -> bool:
        """Whether the name still leads to this socket."""
        try:
            return os.path.samestat(self._status, os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Nobody is served any more, and the name is gone."""
        self.socket.close()
        if self.there:
            self.path.unlink(missing_ok=True)


class FileLock:
    """An exclusive flock on a file, held until `release` or the end of every process that shares it.

    The lock belongs to the open file: a process that inherits the descriptor holds it too. So a
    network's lock goes from `up --detach` to the supervisor without a gap.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path, self.fd = path, fd

    @classmethod
    def acquire(cls, path: Path) -> FileLock:
        """Take the lock now.

        Raises:
            Locked: somebody else has it.
            ConfigError: the file cannot be made, or its filesystem has no locks.
        """
        while True:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise ConfigError(
                    f"cannot open the lock {path}: {error.strerror or error}",
                    next_step="Check the owner, the mode and the free space of its folder.",
                ) from error
            try:
                _lock(fd, path)
            except BaseException:
                os.close(fd)
                raise
            if _same_file(fd, path):  # else it was removed between open and lock: take the new one
                return cls(path, fd)
            os.close(fd)

    @classmethod
    def adopt(cls, path: Path, fd: int) -> FileLock:
        """Take over a lock that came with an inherited descriptor.

        Raises:
            Locked: it is not held by who handed it over, but by another.
            ConfigError: the descriptor is not that file.
        """
        if not _same_file(fd, path):
            raise ConfigError(
                f"descriptor {fd} is not the lock {path}",
                next_step="Leave --inherit out: it is for votenet itself.",
            )
        os.set_inheritable(fd, False)
        _lock(fd, path)
        return cls(path, fd)

    def release(self, *, remove: bool = False) -> None:
        """Let go. Safe to call twice.

        Args:
            remove: remove the file first, if no other process shares this lock. `acquire` sees to it
                that nobody holds a file that is no longer there.
        """
        if self.fd >= 0:
            if remove and _same_file(self.fd, self.path):
                with contextlib.suppress(OSError):
                    self.path.unlink()
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether another process holds the flock on `path` now. Where no lock can be had, none is held."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _lock(fd: int, path: Path) -> None:
    """Raises Locked, ConfigError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked(
            f"another process holds {path}", next_step=f"Wait for its end, or see who it is: fuser -v {path}"
        ) from error
    except OSError as error:  # ENOLCK, EIO: a network filesystem whose lock service is away
        raise ConfigError(
            f"the lock {path} cannot be taken: {error.strerror or error}",
            code="no-locks",
            next_step="Choose a folder on a local disk with VOTENET_HOME.",
        ) from error


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False
