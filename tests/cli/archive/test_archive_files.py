"""Archives on the disk: compressed, cut, damaged; progress; files that appear whole or not at all."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.archives import ROLL_CASES, good_archive, roll_archive
from support.secret_history import secret_history
from votenet.cli.archive.archive_files import (
    audit_archive,
    import_archive,
    longest_chain,
    write_folder,
    write_lines,
)
from votenet.errors import ConfigError, NotProven, NotRunning, StorageError
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.xz"
    write_lines(path, [b"one\n", b"two\n"])
    assert lzma.decompress(path.read_bytes()) == b"one\ntwo\n"

    def broken() -> Iterator[bytes]:
        yield b"three\n"
        raise OSError("the disk is gone")

    with pytest.raises(StorageError):
        write_lines(path, broken())
    assert lzma.decompress(path.read_bytes()) == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError):
        write_lines(tmp_path / "no" / "a", [])


def test_a_short_archive_is_not_done_before_its_last_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(good_archive())
    report = audit_archive(path)
    assert report.height > 1
    assert capsys.readouterr().err == f"a.jsonl: 100%, block {report.height}\n"


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "log"

    def files(number: int) -> Iterator[tuple[str, bytes]]:
        yield "tile/0/000", b"hashes"
        yield "checkpoint", b"%d" % (1 // number)

    with pytest.raises(ZeroDivisionError):
        write_folder(folder, files(0))
    assert list(tmp_path.iterdir()) == []
    assert write_folder(folder, files(1)) == ["tile/0/000", "checkpoint"]
    assert (folder / "tile/0/000").read_bytes() == b"hashes"
    with pytest.raises(ConfigError, match="already") as refused:
        write_folder(folder, files(1))
    assert refused.value.code == "not-empty"
    with pytest.raises(StorageError):
        write_folder(tmp_path / "no" / "log", files(1))


@pytest.mark.parametrize("folder", [".", "/", ".."])
@pytest.mark.parametrize("full", [False, True])
def test_no_folder_is_written_over_the_one_that_the_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, full: bool
) -> None:
    (here := tmp_path / "here").mkdir()
    if full:
        (here / "file").touch()
    monkeypatch.chdir(here)
    with pytest.raises(ConfigError, match="is there already") as refused:
        write_folder(Path(folder), [("checkpoint", b"")])
    assert refused.value.code == "not-empty"
    assert list(tmp_path.iterdir()) == [here]
    assert write_folder(Path("log"), [("checkpoint", b"")]) == ["checkpoint"]
    assert (here / "log" / "checkpoint").exists()


@pytest.mark.parametrize("name", ["a.zst", "a.BZ2", "a.zip"])
def test_a_name_of_a_compression_that_is_not_written_is_refused(tmp_path: Path, name: str) -> None:
    """It would hold plain text under a name that every other program takes for compressed."""
    with pytest.raises(ConfigError, match="does not compress") as caught:
        write_lines(tmp_path / name, [b"one\n"])
    assert ".xz or .gz" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_chain_is_not_touched(tmp_path: Path) -> None:
    path, folder = tmp_path / "a", tmp_path / "data"
    path.write_bytes(good_archive())
    assert import_archive(path, folder).votes > 0
    before = (folder / "chain.db").read_bytes()
    with pytest.raises(ConfigError) as caught:
        import_archive(path, folder)
    assert caught.value.code == "not-empty"
    assert (folder / "chain.db").read_bytes() == before


def test_the_longest_chain_of_an_instance(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        longest_chain(tmp_path)
    path = tmp_path / "a"
    lines = good_archive().splitlines(keepends=True)
    path.write_bytes(good_archive())
    import_archive(path, tmp_path / "node-2")
    tip = b'{"certificate":"","height":0,"tip":"%s","votes":0}\n'
    from support.archives import election
    from votenet.core.ledger.block import genesis_header

    path.write_bytes(b"".join(lines[:2]) + tip % genesis_header(election()).hash.hex().encode())
    import_archive(path, tmp_path / "node-1")
    assert longest_chain(tmp_path) == tmp_path / "node-2"


@pytest.mark.parametrize(("votes", "code"), ROLL_CASES)
def test_an_election_with_a_roll_is_imported_with_it_only(
    tmp_path: Path, votes: tuple[tuple[str, str], ...], code: str
) -> None:
    roll, data = roll_archive(*votes)
    path, folder = tmp_path / "a", tmp_path / "data"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as missing:
        import_archive(path, folder)
    assert (missing.value.code, "--roll" in missing.value.next_step) == ("roll-missing", True)
    assert not (folder / "chain.db").exists()
    if code:
        with pytest.raises(NotProven) as caught:
            import_archive(path, folder, None, roll)
        assert caught.value.code == code
        assert not (folder / "chain.db").exists()
        return
    assert import_archive(path, folder, None, roll).registration == "roll, checked"
    assert (folder / "roll.json").read_bytes() == roll.to_file()


def test_an_import_of_a_secret_election_keeps_the_shares_of_its_trustees(tmp_path: Path) -> None:
    history = secret_history()
    path, folder, election = tmp_path / "secret.jsonl", tmp_path / "node", history.setup.election
    shares = [history.setup.share(place, history.counted) for place in (1, 3)]
    path.write_bytes(b"".join(history.archive(shares)))
    assert import_archive(path, folder, roll=history.setup.roll).contests != ()
    store = SqliteBlockStore(folder, election)
    try:
        assert store.load().shares == shares
    finally:
        store.close()
