"""Atomic files and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from votenet.errors import ConfigError, Locked, StorageError
from votenet.processes.files import FileLock, is_locked, write_atomically


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_atomically(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock.acquire(path) as lock:
        assert is_locked(path)
        with pytest.raises(Locked) as caught:
            FileLock.acquire(path)
        assert caught.value.exit_code == 75
        assert not os.get_inheritable(lock.fd)
    lock.release()
    assert not is_locked(path)
    assert not is_locked(tmp_path / "nothing")
    FileLock.acquire(path).release()


def test_a_lock_file_that_was_removed_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock.acquire(path):
        path.unlink()
        with FileLock.acquire(path):
            assert is_locked(path)


def test_a_lock_may_take_its_file_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock.acquire(path)
    lock.release(remove=True)
    assert not path.exists()
    old = FileLock.acquire(path)
    path.unlink()
    with FileLock.acquire(path):
        old.release(remove=True)
        assert path.exists(), "that file is another's by now"


def test_a_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        FileLock.acquire(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


def test_an_inherited_lock_goes_on_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock.acquire(path)
    code = (
        "import sys; from pathlib import Path; from votenet.processes.files import FileLock; "
        "FileLock.adopt(Path(sys.argv[1]), int(sys.argv[2])); print('held', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(path), str(lock.fd)]
    with subprocess.Popen(
        argv, pass_fds=(lock.fd,), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        lock.release()
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert is_locked(path)
        child.communicate()
    assert not is_locked(path)


def test_a_foreign_descriptor_is_not_adopted(tmp_path: Path) -> None:
    with FileLock.acquire(tmp_path / "a") as other, pytest.raises(ConfigError, match="is not the lock"):
        FileLock.adopt(tmp_path / "b", other.fd)


def test_a_disk_that_takes_only_a_part_is_written_to_until_it_says_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, path = os.write, tmp_path / "record.json"
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    write_atomically(path, b"0123456789")
    assert path.read_bytes() == b"0123456789"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO, errno.EINTR])
def test_only_a_lock_that_is_held_is_called_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "lock"
    lock = FileLock.acquire(path)

    def refused(fd: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    assert not is_locked(path)
    for take in (lambda: FileLock.acquire(path), lambda: FileLock.adopt(path, lock.fd)):
        with pytest.raises(ConfigError, match=os.strerror(number)) as caught:
            take()
        assert caught.value.code == "no-locks"
    lock.release()
