"""The number beside a database: exact or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from votenet.errors import StorageError
from votenet.storage.blocks.commit_mark import CommitMark


def test_the_number_written_last_is_read_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    mark = CommitMark(path)
    assert mark.read() == 0
    for number in (1, 2, 2**63, 3):
        mark.write(number)
        assert mark.read() == number
    mark.close()
    mark.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = CommitMark(path)
    assert again.read() == 3
    again.close()


def test_every_flipped_bit_makes_it_unreadable_not_another_number(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    mark = CommitMark(path)
    mark.write(1234)
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert mark.read() == 0
    mark.close()


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_another_size_is_no_mark(tmp_path: Path, size: int) -> None:
    mark = CommitMark(tmp_path / "mark")
    mark.write(5)
    os.truncate(tmp_path / "mark", size)
    assert mark.read() == 0
    mark.close()


def test_a_mark_that_cannot_be_written_stops_no_node(tmp_path: Path) -> None:
    mark = CommitMark(tmp_path / "mark")
    mark.close()
    mark.write(1)
    assert mark.read() == 0


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "mark").mkdir()
    with pytest.raises(StorageError, match="mark") as caught:
        CommitMark(tmp_path / "mark")
    assert caught.value.next_step
