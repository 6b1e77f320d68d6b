"""Written files: whole or not at all, as they were before, and nothing else is replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.output_file import refuse_existing, write_output, written


def write(path: Path, data: bytes = b"new") -> None:
    with written(path) as file:
        file.write(data)


def _fail(path: Path, error: BaseException) -> None:
    with written(path) as file:
        file.write(b"half")
        raise error


def test_a_new_file_is_made_as_umask_says(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    write(path)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "one").symlink_to("folder/two")
    (tmp_path / "folder" / "two").symlink_to("three")
    for data in (b"first", b"second"):  # the last one is not there, then it is
        write(tmp_path / "one", data)
        assert (tmp_path / "folder" / "three").read_bytes() == data
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "folder" / "two").is_symlink()
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "round")


def test_a_device_is_written_to_and_stays() -> None:
    before = os.stat("/dev/null")
    write(Path("/dev/null"))
    assert os.path.samestat(before, os.stat("/dev/null"))
    with pytest.raises(OSError, match="No space left"):
        write(Path("/dev/full"))


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write(fifo)
    reader.join()
    assert got == [b"new"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_in_a_file_is_written_to_where_it_stands(tmp_path: Path, name: str) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom votenet.storage.output_file import written\n"
        "print('before', flush=True)\n"
        f"with written(Path({name!r})) as file: file.write(b'new\\n')\n"
        "print('after')\n"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nnew\nafter\n"
    assert os.listdir(tmp_path) == ["out"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for error in (OSError("the disk is gone"), KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(error)):
            _fail(tmp_path / "a", error)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
    with pytest.raises(IsADirectoryError):
        write(tmp_path)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "a")


def test_a_temporary_name_cannot_be_prepared_by_another_user(tmp_path: Path) -> None:
    """The part was `NAME.part`, or had the process id in it, and was opened through a link."""
    prepared = tmp_path / "victim"
    prepared.write_bytes(b"keep")
    for name in ("a.part", f".a.{os.getpid()}.part", f".a.{os.getpid()}", f".a.{os.getpid()}.new"):
        (tmp_path / name).symlink_to(prepared)
    write(tmp_path / "a")
    assert prepared.read_bytes() == b"keep"


def test_one_random_name_is_not_opened_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda count: "guessed")
    (tmp_path / "victim").write_bytes(b"keep")
    (tmp_path / ".a.guessed.part").symlink_to("victim")
    with pytest.raises(FileExistsError):
        write(tmp_path / "a")
    assert (tmp_path / "victim").read_bytes() == b"keep"
    assert (tmp_path / ".a.guessed.part").is_symlink(), "it is not ours to remove"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's link: needs root")
def test_another_users_link_in_a_shared_folder_is_not_followed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "victim").write_bytes(b"keep")
    (shared / "a").symlink_to(tmp_path / "victim")
    os.chown(shared / "a", 12345, 12345, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user"):
        write(shared / "a")
    assert (tmp_path / "victim").read_bytes() == b"keep"


def test_what_is_there_is_replaced_by_force_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    refuse_existing(path, force=False)
    write_output(path, b"one")
    refuse_existing(path, force=True)
    with pytest.raises(ConfigError, match="is there already") as caught:
        refuse_existing(path, force=False)
    assert (path.read_bytes(), caught.value.code) == (b"one", "file-exists")
    with pytest.raises(ConfigError, match="cannot write") as caught:
        write_output(tmp_path / "no" / "file", b"", code="bad-roll")
    assert caught.value.code == "bad-roll"
