"""Files and folders that survive a power cut, and locks that end with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from votenet.config import private_dir
from votenet.errors import ConfigError, Locked, StorageError

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PART: Final = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part", re.DOTALL)
"""What `replacing` writes into; of a longer name it has the first 200 characters."""


def sync_folder(folder: Path) -> None:
    """Put the names in this folder on the disk: files made in it, moved into it, removed from it.

    Raises:
        OSError: the disk refused.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_open_to_others(path: Path) -> bool:
    """Whether this is a file that other users may read or change; not for a pipe, or where nothing is."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


# -- atomic writing ----------------------------------------------------------------------------


def write_atomically(
    path: Path, data: bytes, mode: int | None = 0o600, *, owner: os.stat_result | None = None
) -> None:
    """Replace a file: either the old content or the new one is there, also after a power cut.

    Args:
        mode: of the file; None for what umask leaves of 0666.
        owner: the new file gets the user and the group of this one.

    Raises:
        StorageError: it cannot be written; nothing changed.
    """
    step = "Check free space and the owner of that folder."
    with StorageError.of_os_errors(f"cannot write {path}", next_step=step), replacing(path, mode) as file:
        if owner is not None:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(data)


def replaced_name(name: str) -> str | None:
    """The name that a file of `replacing` would have taken, if this is one that a killed process left."""
    found = _PART.fullmatch(name)
    return None if found is None else found[1]


@contextlib.contextmanager
def replacing(
    target: Path, mode: int | None = None, *, like: os.stat_result | None = None
) -> Iterator[IO[bytes]]:
    """A new file that takes the name `target`, on the disk, when the block ends, whatever had that name.

    Args:
        like: without a `mode`, the new file gets the mode and the owner of this one.

    Raises:
        OSError: it cannot be written; nothing changed.
    """
    if like is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.part")
    handle = os.open(part, _NEW_FILE, 0o666 if mode is None and like is None else 0o600)
    try:
        with open(handle, "wb") as file:
            if mode is not None:
                os.fchmod(handle, mode)
            elif like is not None:
                _copy_mode_and_owner(handle, like)
            yield file
            file.flush()
            os.fsync(handle)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(target.parent)


def _copy_mode_and_owner(handle: int, like: os.stat_result) -> None:
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        try:  # before the mode: a change of owner clears set-user-id bits
            os.fchown(handle, like.st_uid, like.st_gid)
        except PermissionError as error:
            raise PermissionError(
                errno.EPERM, "it belongs to another user or group, which a new file could not"
            ) from error
    os.fchmod(handle, stat.S_IMODE(like.st_mode))


# -- locks -------------------------------------------------------------------------------------


class FileLock:
    """An exclusive flock on a file, held until `release` or the end of every process that shares it.

    The lock belongs to the open file: a process that inherits the descriptor holds it too. So a
    network's lock goes from `up --detach` to the supervisor without a gap.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path, self.fd = path, fd

    @classmethod
    def acquire(cls, path: Path, *, wait: bool = False) -> FileLock:
        """Take the lock now, or with `wait` as soon as no other process has it.

        Raises:
            Locked: another process has it, and nobody waits.
            ConfigError: the file cannot be made, or its filesystem has no locks.
        """
        step = "Check the owner, the mode and the free space of its folder."
        while True:
            with ConfigError.of_os_errors(f"cannot open the lock {path}", next_step=step):
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _lock(fd, path, wait)
            except BaseException:
                os.close(fd)
                raise
            if _same_file(fd, path):
                return cls(path, fd)
            os.close(fd)  # it was removed between open and lock: take the new one

    @classmethod
    def adopt(cls, path: Path, fd: int) -> FileLock:
        """Take over a lock that came with an inherited descriptor.

        Raises:
            Locked: another process holds it, not the parent.
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

    def sign(self) -> None:
        """Write our pid into the file, for messages that name the holder."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, b"%d\n" % os.getpid(), 0)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up. Safe to call twice.

        Args:
            remove: remove the file first, if no other process shares this lock. `acquire` never takes
                a file that is no longer there.
        """
        if self.fd >= 0:
            if remove and _same_file(self.fd, self.path):
                with contextlib.suppress(OSError):
                    self.path.unlink()
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold this lock until the block ends, after all who had it before; its file is gone afterwards.

    Raises:
        ConfigError: as `FileLock.acquire`.
    """
    lock = FileLock.acquire(path, wait=True)
    try:
        yield
    finally:
        lock.release(remove=True)


def last_holder(path: Path) -> int:
    """The pid that signed this lock last; 0 if unknown. For messages only, never for signals."""
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text() or 0)
    return 0


def is_locked(path: Path) -> bool:
    """Whether another process holds the flock on `path` now; False where no lock can be had."""
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


@contextlib.contextmanager
def lock_data_dir(path: Path) -> Iterator[Path]:
    """Make the folder (0700) if need be and hold it for this process alone until the block ends.

    Raises:
        ConfigError: the folder cannot be made or written.
        Locked: another process holds it; the message names its pid.
        StorageError: the lock cannot be made, or the disk has none.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    private_dir(path)
    what = f"cannot sync the folder {path.parent}"
    with StorageError.of_os_errors(what, next_step="Check the disk and the system log."):
        for folder in missing:
            sync_folder(folder.parent)
    with _data_lock(path):
        yield path


@contextlib.contextmanager
def lock_stopped_dir(path: Path) -> Iterator[os.stat_result | None]:
    """Hold the folder of a program that is stopped; as root also that of another user, who keeps it.

    Nothing of such a folder is followed, cut or given away: its owner may have put anything there.

    Yields:
        None for a folder of this user; else whose it is, for files that are made in it.

    Raises:
        As `lock_data_dir`.
    """
    with ConfigError.of_os_errors(f"cannot use the folder {path}", next_step="Check its name and its owner."):
        found = path.lstat()
    if os.geteuid() != 0 or found.st_uid == 0 or not stat.S_ISDIR(found.st_mode):
        with lock_data_dir(path):
            yield None
        return
    step = "Check the disk and the owner of that folder."
    with (
        StorageError.of_os_errors(f"cannot make the lock in {path}", next_step=step),
        contextlib.suppress(FileExistsError),
    ):
        handle = os.open(path / "lock", _NEW_FILE, 0o600)
        try:
            os.fchown(handle, found.st_uid, found.st_gid)
        finally:
            os.close(handle)
    with _data_lock(path, sign=False):
        yield found


def _data_lock(folder: Path, *, sign: bool = True) -> FileLock:
    from votenet.storage.key_store import NODE_KEY_NAME

    path = folder / "lock"
    try:
        lock = FileLock.acquire(path)
    except Locked as error:
        holder = last_holder(path)
        node = (folder / NODE_KEY_NAME).exists()  # another folder has no key, or the same one a second time
        raise Locked(
            f"the folder {folder} is in use" + (f" by pid {holder}" if holder else ""),
            next_step="Stop that process first: it is the node of this folder, and has its key."
            if node
            else "Stop that process, or give this one another --data-dir.",
        ) from error
    except ConfigError as error:
        next_step = "Put the folder on a local disk." if error.code == "no-locks" else error.next_step
        raise StorageError(error.message, next_step=next_step) from error
    if sign:
        lock.sign()
    return lock


def _lock(fd: int, path: Path, wait: bool = False) -> None:
    """Raises Locked, ConfigError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
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
