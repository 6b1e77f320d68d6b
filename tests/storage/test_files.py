"""Atomic files, synced folders, locks. That syncing helps is shown in tests/crash."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from votenet.errors import ConfigError, Locked, StorageError
from votenet.storage.files import (
    FileLock,
    alone,
    is_locked,
    lock_data_dir,
    replacing,
    sync_folder,
    write_atomically,
)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders as they are synced."""
    seen: list[str] = []
    real = os.fsync

    def watched(handle: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    return seen


def test_every_new_name_is_synced_in_its_folder(tmp_path: Path, synced: list[str]) -> None:
    with lock_data_dir(tmp_path / "a" / "b") as path:
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a")]
    with lock_data_dir(path):
        pass
    assert len(synced) == 2, "nothing new"
    sync_folder(path)
    assert synced[2:] == [str(path)]


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")


def test_a_file_of_our_own_folder_takes_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"keep")
    (tmp_path / "state").symlink_to("victim")
    with replacing(tmp_path / "state", 0o600) as file:
        file.write(b"new")
    assert (tmp_path / "victim").read_bytes() == b"keep"
    assert (tmp_path / "state").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "state").lstat().st_mode) == 0o600


def test_a_full_disk_is_a_storage_error_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_atomically(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
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


def test_who_waits_for_a_lock_gets_it_after_the_other_and_its_file_is_gone_in_the_end(tmp_path: Path) -> None:
    path, inside = tmp_path / "lock", list[int]()

    def take(number: int) -> bool:
        with alone(path):
            inside.append(number)
            held = is_locked(path) and inside == [number]
            inside.remove(number)
        return held

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(take, range(40))) == [True] * 40
    assert not path.exists()


def test_a_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        FileLock.acquire(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


def test_an_inherited_lock_goes_on_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock.acquire(path)
    code = (
        "import sys; from pathlib import Path; from votenet.storage.files import FileLock; "
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


def test_a_data_folder_has_one_owner_named_by_its_pid(tmp_path: Path) -> None:
    with lock_data_dir(tmp_path / "data") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(Locked, match=f"pid {os.getpid()}") as caught, lock_data_dir(folder):
            pass
        assert caught.value.exit_code == 75
        assert "another --data-dir" in str(caught.value.next_step)
        (folder / "node.key").touch()
        with pytest.raises(Locked) as node, lock_data_dir(folder):
            pass
        assert "--data-dir" not in str(node.value.next_step), "a second folder would need the same key"
    with lock_data_dir(tmp_path / "data"):
        pass


def test_the_lock_goes_with_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from votenet.storage.files import lock_data_dir\n"
        "with lock_data_dir(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(Locked, match=f"pid {owner.pid}"), lock_data_dir(tmp_path / "data"):
            pass
        owner.kill()
        owner.wait()
        with lock_data_dir(tmp_path / "data"):
            pass


def test_a_data_folder_that_is_a_file_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError), lock_data_dir(tmp_path / "file"):
        pass
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError), lock_data_dir(tmp_path / "link"):
        pass
    (tmp_path / "real" / "lock").mkdir()
    with pytest.raises(StorageError), lock_data_dir(tmp_path / "real"):
        pass
