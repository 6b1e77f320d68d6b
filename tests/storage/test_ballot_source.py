"""Files of ballots by name: the shipped record, packed files, damaged ones."""

from __future__ import annotations

import gzip
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.ballot_source import read_ballot_file


def test_the_shipped_record_is_whole() -> None:
    lines = read_ballot_file(Path("minneapolis-2013")).splitlines()
    assert (lines[0], len(lines)) == (b"rank1,Rank2,rank3", 80_102)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_read_and_damaged_ones_refused(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """A cut or overwritten file is no shorter file."""
    file = tmp_path / f"b.csv{suffix}"
    text = b"c\n" + random.Random(1).randbytes(30_000).hex(" ").replace(" ", "\n").encode()
    whole = pack(text)
    file.write_bytes(whole)
    assert read_ballot_file(file) == text
    middle = len(whole) // 2
    damaged = (whole[:middle], whole[:middle] + bytes(100) + whole[middle + 100 :], b"not packed at all")
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(ConfigError) as refused:
            read_ballot_file(file)
        assert refused.value.code == "bad-ballot-file"
