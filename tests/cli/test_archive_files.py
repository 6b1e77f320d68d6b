"""Archives on the disk: compressed, cut, damaged; progress; files that appear whole or not at all."""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive_support import ROLL_CASES, good_archive, roll_archive
from votenet.cli.archive_files import Progress, audit_archive, import_archive, longest_chain, write_lines
from votenet.core.evidence import FAULTS
from votenet.errors import ConfigError, NotProven, NotRunning, StorageError


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(NotProven) as caught:
        audit_archive(path)
    return caught.value.code


@pytest.mark.parametrize(("suffix", "squeeze"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_archives_and_what_can_be_wrong_with_them(tmp_path: Path, suffix: str, squeeze) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"a{suffix}"
    whole = squeeze(good_archive())
    path.write_bytes(whole)
    assert audit_archive(path).height == 14
    assert refusal(path, whole[: len(whole) // 2]) == "truncated"
    assert refusal(path, good_archive()) == "unreadable"
    for place in (len(whole) // 2, -6):  # -6: in the checksum at the end
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        code = refusal(path, bytes(damaged))
        # gzip finds damage at its end only: until then it may read as any text.
        assert code in FAULTS if suffix == ".gz" and place > 0 else code == "unreadable"


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


def test_progress_in_tenths_for_a_log_and_as_a_bar_for_a_terminal() -> None:
    log = io.StringIO()
    progress = Progress("a", 200, log)
    for position in range(0, 201, 5):
        progress.at(position, position)
    assert log.getvalue().splitlines() == [f"a: {10 * n}%, block {20 * n}" for n in range(1, 11)]
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    live = Progress("a", 2, screen)
    live.at(1, 7)
    live.at(5, 9)
    assert screen.getvalue().startswith("\ra ███")
    assert " 50%  block 7" in screen.getvalue()
    assert screen.getvalue().endswith("100%  block 9 \n")


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
    tip = b'{"height":0,"tip":"%s","votes":0}\n'
    from archive_support import election
    from votenet.core.block import genesis_header

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
