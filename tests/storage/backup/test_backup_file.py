from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import ConfigError, StorageError
from votenet.storage.backup.backup_file import (
    BackedUpFile,
    BackupContents,
    BackupReader,
    digest_of_file,
    write_backup,
)

CONTENT = {
    "node.key": b"{}",
    "genesis.json": b"g" * 511,
    "node.env": b"",
    "chain.db": bytes(range(256)) * 9000,
}


def made(folder: Path, content: dict[str, bytes] | None = None) -> Path:
    content = CONTENT if content is None else content
    sources = []
    for name, data in content.items():
        (folder / name).write_bytes(data)
        sources.append(folder / name)
    files = tuple(BackedUpFile(name, *digest_of_file(folder / name)) for name in content)
    about = BackupContents(
        network_id="ab" * 32, name="north", node_key="cd" * 32, created=5, version="0", height=3, final=False,
        files=files,
    )  # fmt: skip
    write_backup(folder / "x.backup", about, sources)
    return folder / "x.backup"


def unpacked(data: bytes, folder: Path) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    BackupReader(Path("x.backup"), io.BytesIO(data)).unpack(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("backup"), {**CONTENT, "chain.db": b"c" * 3000}).read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unpacked") / "node"


def test_what_was_written_is_read_and_is_private(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    found = unpacked(path.read_bytes(), tmp_path / "node")
    assert found == CONTENT
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "node").iterdir()} == {0o600}


def test_each_file_is_on_the_disk_when_it_has_been_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, synced, sync = made(tmp_path).read_bytes(), dict[str, bytes](), os.fsync

    def watched(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        synced[path.name] = path.read_bytes()
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    unpacked(data, tmp_path / "node")
    assert synced == CONTENT


def test_tar_lists_it(tmp_path: Path) -> None:
    with tarfile.open(made(tmp_path)) as archive:
        assert archive.getnames() == ["backup.json", *CONTENT, "backup.sha256"]
        assert all(member.isreg() for member in archive.getmembers())


def test_the_digest_is_of_all_that_stands_before_it(tmp_path: Path) -> None:
    data = made(tmp_path).read_bytes()
    at = data.index(b"backup.sha256")
    assert data[at + 512 : at + 576].decode() == hashlib.sha256(data[:at]).hexdigest()


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_it_can_change(whole: bytes, place: Path, at: int, bit: int) -> None:
    data = bytearray(whole)
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(ConfigError) as caught:
        unpacked(bytes(data), place)
    assert caught.value.code in ("bad-backup", "backup-version")


@given(size=st.integers(0, 10_000))
def test_no_part_of_it_is_taken_for_the_whole(whole: bytes, place: Path, size: int) -> None:
    with pytest.raises(ConfigError, match="not a whole backup"):
        unpacked(whole[: size % len(whole)], place)


def test_nothing_may_stand_behind_it(whole: bytes, place: Path) -> None:
    with pytest.raises(ConfigError, match="behind its end"):
        unpacked(whole + b"\0", place)


def test_a_backup_of_a_later_format_is_named_so(whole: bytes, place: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        unpacked(whole.replace(b"votenet-backup-1", b"votenet-backup-2"), place)
    assert caught.value.code == "backup-version"


def foreign(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "trick",
    [
        member("../outside"),
        member("/etc/passwd"),
        member("node.key", tarfile.SYMTYPE, "/etc/passwd"),
        member("node.key", tarfile.LNKTYPE, "/etc/passwd"),
        member("node.key", tarfile.CHRTYPE),
        member("node.key", tarfile.FIFOTYPE),
        member("node.key", tarfile.DIRTYPE),
        member("a" * 300),
        member("node.key", tarfile.XHDTYPE),
        member("node.key", tarfile.GNUTYPE_SPARSE),
    ],
    ids=lambda info: f"{info.name[:12]}-{info.type!r}",
)
def test_tricks_of_foreign_archives_do_nothing(whole: bytes, tmp_path: Path, trick: tarfile.TarInfo) -> None:
    """As the first file, and in the place of a file that belongs there."""
    node = tmp_path / "node"
    contents = whole[: whole.index(b"node.key\0")]
    for data in (foreign((trick, b"")), contents + foreign((trick, b"")), contents + trick.tobuf()):
        with pytest.raises(ConfigError) as caught:
            unpacked(data, node)
        assert caught.value.code == "bad-backup"
        assert list(node.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


def test_a_file_that_claims_to_be_huge_fills_nothing(tmp_path: Path) -> None:
    (tmp_path / "node.key").write_bytes(b"{}")
    huge = tuple(BackedUpFile(name, 2**50, "00" * 32) for name in ("node.key", "genesis.json", "chain.db"))
    about = BackupContents(
        network_id="", name="x", node_key="", created=0, version="", height=0, final=True, files=huge
    )
    with pytest.raises(StorageError):
        write_backup(tmp_path / "x.backup", about, [tmp_path / "node.key"] * 3)
    assert not (tmp_path / "x.backup").exists()


def saying(whole: bytes, old: bytes, new: bytes) -> bytes:
    """The same files, of which it says something else first."""
    size = int(whole[124:135], 8)
    text = whole[512 : 512 + size].replace(old, new, 1)
    start = tarfile.TarInfo("backup.json")
    start.size, start.mode = len(text), 0o600
    padded = text + bytes(-len(text) % 512)
    return start.tobuf(tarfile.GNU_FORMAT) + padded + whole[512 + size + -size % 512 :]


@pytest.mark.parametrize("size", [2**63, 10**27, 10**40])
def test_a_size_that_no_archive_can_have_is_refused(whole: bytes, place: Path, size: int) -> None:
    with pytest.raises(ConfigError, match="names other files") as caught:
        unpacked(saying(whole, b'"size":2,', b'"size":%d,' % size), place)
    assert caught.value.code == "bad-backup"


@pytest.mark.parametrize("created", [-1, 10**12, 10**40])
def test_a_time_that_no_calendar_has_is_refused(whole: bytes, place: Path, created: int) -> None:
    with pytest.raises(ConfigError, match="no time") as caught:
        unpacked(saying(whole, b'"created":5,', b'"created":%d,' % created), place)
    assert caught.value.code == "bad-backup"


def test_a_folder_without_room_keeps_the_old_file(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    (tmp_path / "chain.db").unlink()
    files = BackupReader(path, io.BytesIO(before)).contents
    with pytest.raises(StorageError):
        write_backup(path, files, [tmp_path / named.name for named in files.files])
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
